/* store_model.h -- protocol section 3 once more, in the plainest way: the judge of the store.
 *
 * It shares no code with core/facts/merge.c and nothing with storage: lists that are searched from one end to
 * the other, and what two facts are about is decided by their names, not by their keys. What is current in a
 * database is one list; its log is that list in the order of stamps. */
#ifndef TESTS_STORE_MODEL_H
#define TESTS_STORE_MODEL_H

#include "core/base/buf.h"
#include "core/facts/batch.h"
#include "core/facts/merge.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_DATABASES_MAX = 4 };

struct model_entry {
    struct fact fact; /* texts and key are the model's own */
    struct stamp stamp;
    uint64_t created_ms;
};

struct model_database {
    const char *name;
    struct site_id server_site;
    struct stamp last, pruned;
    struct model_entry *entries; /* what is current, by stamp */
    size_t count;
};

struct store_model {
    bool allow_resurrection;
    struct model_database databases[MODEL_DATABASES_MAX];
    size_t database_count;
    struct arena arena;
};

void model_deinit(struct store_model *m);

/* Known or new. The name is borrowed. */
struct model_database *model_database(struct store_model *m, const char *name,
                                      const struct site_id *server_site);

struct merge_result model_apply(struct store_model *m, struct model_database *d, const struct batch *b,
                                uint64_t now_ms);

/* Tombstones made before created_before_ms with stamps up to floor go. Returns how many. */
size_t model_prune(struct model_database *d, uint64_t created_before_ms, const struct stamp *floor);

/* All that there is to say about a fact, as one line: equal lines, equal facts. */
void model_print(struct buf *out, const struct fact *f, const struct stamp *s);

#endif
