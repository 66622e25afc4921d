/* shard_check_internal.h -- what the files of a shard's check share: the walk over databases and the checks
 * of one database's entries. */
#ifndef STORAGE_CHECK_SHARD_CHECK_INTERNAL_H
#define STORAGE_CHECK_SHARD_CHECK_INTERNAL_H

#include "core/base/buf.h"
#include "core/facts/fact_key.h"
#include "storage/check/shard_check.h"
#include "storage/records/keys.h"
#include "storage/records/record.h"

struct walk {
    const struct shard_check *config;
    struct shard_counts counts;
    struct json_reader *json; /* for keys made of facts, */
    struct arena arena;       /* which live here until the next */
    struct buf bytes;         /* a record under way */
    /* Of the database under way: */
    struct slice name;
    uint32_t number;
    struct stamp last; /* the highest that anything in it has or asks for */
    uint64_t problems; /* in it */
    struct key row;    /* the row looked at last: its tombstone's key, */
    bool row_deleted;  /* is there one? */
    struct stamp row_stamp;
};

/* Reports and counts a problem of the database under way, or of the shard where it has no name. */
void walk_problem(struct walk *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What LevelDB holds now under the key; to be deinit()ed. */
enum sync_err walk_get(struct walk *w, const struct key *key, struct instance_value *ret, struct err_ctx *ec);
enum sync_err walk_put(struct walk *w, const struct key *key, const void *bytes, size_t len,
                       struct err_ctx *ec);
enum sync_err walk_delete(struct walk *w, const struct key *key, struct err_ctx *ec);

void walk_see_stamp(struct walk *w, const struct stamp *s);

/* Is `a` of an earlier batch than `b`? */
bool stamp_batch_before(const struct stamp *a, const struct stamp *b);

/* The fact's record under its own key, and its entry in the log, made anew. */
enum sync_err walk_put_stored(struct walk *w, const struct fact *f, const struct stamp *s,
                              uint64_t created_ms, struct err_ctx *ec);
enum sync_err walk_put_log(struct walk *w, const struct stored_record *r, const struct key *key,
                           struct err_ctx *ec);
enum sync_err walk_delete_log(struct walk *w, const struct stamp *s, struct err_ctx *ec);

/* Checks one entry of the database under way: `key` whole, of this kind. */
enum sync_err check_stored(struct walk *w, enum key_kind kind, const struct key *key, struct slice value,
                           struct err_ctx *ec);
enum sync_err check_logged(struct walk *w, const struct key *key, struct slice value, struct err_ctx *ec);
enum sync_err check_migration_index(struct walk *w, const struct key *key, struct slice value,
                                    struct err_ctx *ec);

#endif
