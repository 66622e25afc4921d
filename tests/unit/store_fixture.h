/* store_fixture.h -- a store in a directory of its own, for tests. Failures that no test expects end it. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "facts.h"
#include "storage/shard/shard.h"
#include "storage/store.h"
#include "storage/views/view.h"

struct store_fixture {
    char dir[64];
    struct store_config config;
    struct store *store;
};

/* A new directory and an open store with one shard, not synced. */
void fixture_init(struct store_fixture *x);
void fixture_reopen(struct store_fixture *x); /* with x->config */
void fixture_free(struct store_fixture *x);   /* removes the directory */
void fixture_remove_dir(const char *dir);

struct shard *fixture_shard(struct store_fixture *x, const char *database);

/* Applies the batch by itself and frees it; expects success. */
struct merge_result fixture_apply(struct store_fixture *x, const char *database, struct batch *b);

struct view *fixture_view(struct store_fixture *x, const char *database);

/* What is stored, one line a fact, in an arena. Log in arrival order:
 *
 *     cell t [1] name = "x" (was "w")
 *     delete t [1]
 *     migration t create_table 1
 *
 * The others in the order of their cursor. */
const char *fixture_log(struct store_fixture *x, const char *database, struct arena *arena);
const char *fixture_facts(struct store_fixture *x, const char *database, enum fact_type type,
                          struct arena *arena);

#endif
