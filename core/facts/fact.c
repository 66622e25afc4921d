#include "core/facts/fact.h"

struct migration_type_info {
    const char *name;
    bool is_index;
};

static const struct migration_type_info types[MIGRATION_TYPE_COUNT] = {
#define X(c, name, index) {name, index},
    MIGRATION_TYPE_MAP(X)
#undef X
};

const char *migration_type_name(enum migration_type type)
{
    return types[type].name;
}

bool migration_type_is_index(enum migration_type type)
{
    return types[type].is_index;
}

bool migration_type_parse(struct slice name, enum migration_type *ret)
{
    for (int i = 0; i < MIGRATION_TYPE_COUNT; i++) {
        if (!slice_is(name, types[i].name)) continue;
        *ret = (enum migration_type)i;
        return true;
    }
    return false;
}
