/* snapshot_name.h -- where the snapshots of a database are in the object store.
 *
 *     snapshots/[PATH/]DATABASE/STAMP-MADE.ndjson.gz     a snapshot: all that was current at STAMP
 *     damaged/[PATH/]DATABASE/STAMP-MADE                 why this snapshot is not to be used any more
 *
 * PATH is where a hook wants the database to lie (storage_path); mostly there is none. DATABASE is the last
 * segment in any case: so a database has a folder of its own, whatever hooks say about others. DATABASE is
 * the name with every byte but letters, digits, "-", "_" and (not as the first) "." written ~XX, so that any
 * name makes one segment and none is a prefix of another. STAMP (28) and MADE (16, wall clock in ms) are
 * hexadecimal and of fixed width: the last key is the newest snapshot.
 *
 * Pure. */
#ifndef STORAGE_SNAPSHOTS_SNAPSHOT_NAME_H
#define STORAGE_SNAPSHOTS_SNAPSHOT_NAME_H

#include "core/base/slice.h"
#include "core/facts/hlc.h"
#include "storage/objects/object_store.h"
#include "storage/views/view.h"

#include <stdbool.h>
#include <stdint.h>

#define SNAPSHOTS_PREFIX "snapshots/"
#define DAMAGED_PREFIX   "damaged/"

enum { STAMP_TEXT = 28 };

/* Where a database lies. Both texts are borrowed. */
struct snapshot_place {
    struct slice database; /* 1 to DATABASE_ID_MAX bytes */
    struct slice path;     /* segments with slashes between them; empty: none */
};

static inline struct snapshot_place snapshot_place_of(struct slice database)
{
    return (struct snapshot_place){.database = database};
}

/* Does it make good keys? Every database does where there is no path. Errors: SYNC_EBADMSG, SYNC_ELIMIT, with
 * the path in the text. */
enum sync_err snapshot_place_check(struct snapshot_place at, struct err_ctx *ec);

struct snapshot_id {
    struct stamp stamp;
    uint64_t made_ms;
};

/* Zero terminated, fits every database's name. */
struct snapshot_key {
    char text[OBJECT_KEY_MAX + 1];
};

static inline struct slice snapshot_key_slice(const struct snapshot_key *k)
{
    return slice_str(k->text);
}

int snapshot_id_cmp(const struct snapshot_id *a, const struct snapshot_id *b);

void stamp_format(const struct stamp *s, char ret[STAMP_TEXT + 1]); /* zero terminated */
bool stamp_parse(struct slice text, struct stamp *ret);

/* "snapshots/[PATH/]DATABASE/", or with DAMAGED_PREFIX. The place is a good one. */
void snapshot_prefix(const char *top, struct snapshot_place at, struct snapshot_key *ret);
void snapshot_key_of(struct snapshot_place at, const struct snapshot_id *id, struct snapshot_key *ret);
void snapshot_damaged_key(struct snapshot_place at, const struct snapshot_id *id, struct snapshot_key *ret);

/* What a key names; false: no snapshot's. */
bool snapshot_key_parse(struct slice key, struct snapshot_id *ret);
bool snapshot_damaged_parse(struct slice key, struct snapshot_id *ret);

/* The database whose snapshot or note "TOP/[PATH/]DATABASE/NAME" is, and its path, a slice of the key. False
 * when there is none, or it was spelled otherwise. */
bool snapshot_key_database(const char *top, struct slice key, char ret[DATABASE_ID_MAX], size_t *ret_len,
                           struct slice *ret_path);

#endif
