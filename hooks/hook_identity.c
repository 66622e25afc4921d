#include "hooks/hook_identity.h"

#include <assert.h>
#include <stdlib.h>

struct hook_identity *hook_identity_new(uint32_t metadata_max)
{
    struct hook_identity *i = calloc(1, sizeof *i + metadata_max * sizeof i->metadata[0]);
    if (i != NULL) atomic_init(&i->refs, 1);
    return i;
}

struct hook_identity *hook_identity_ref(struct hook_identity *i)
{
    atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);
    return i;
}

void hook_identity_unref(struct hook_identity *i)
{
    if (i != NULL && atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel) == 1) free(i);
}

struct slice hook_identity_metadata(const struct hook_identity *i, const char *hook)
{
    for (uint32_t k = 0; k < i->metadata_count; k++)
        if (strcmp(i->metadata[k].hook, hook) == 0) return slice_of(i->metadata[k].bytes, i->metadata[k].len);
    return slice_of(NULL, 0);
}

void hook_text_copy(char *ret, size_t ret_bytes, struct slice text)
{
    assert(text.len < ret_bytes);
    if (text.len > 0) memcpy(ret, text.bytes, text.len);
    ret[text.len] = '\0';
}
