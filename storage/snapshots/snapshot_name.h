/* snapshot_name.h -- where the snapshots of a database are in the object store.
 *
 *     snapshots/DATABASE/STAMP-MADE.ndjson.gz     a snapshot: all that was current at STAMP
 *     damaged/DATABASE/STAMP-MADE                 why this snapshot is not to be used any more
 *
 * DATABASE is the name with every byte but letters, digits, "-", "_" and (not as the first) "." written ~XX,
 * so that any name makes one segment and none is a prefix of another. STAMP (28) and MADE (16, wall clock in
 * ms) are hexadecimal and of fixed width: the last key is the newest snapshot.
 *
 * Pure. */
#ifndef STORAGE_SNAPSHOTS_SNAPSHOT_NAME_H
#define STORAGE_SNAPSHOTS_SNAPSHOT_NAME_H

#include "core/hlc.h"
#include "core/slice.h"
#include "storage/objects/object_store.h"
#include "storage/view.h"

#include <stdbool.h>
#include <stdint.h>

#define SNAPSHOTS_PREFIX "snapshots/"
#define DAMAGED_PREFIX   "damaged/"

enum { STAMP_TEXT = 28 };

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

/* "snapshots/DATABASE/", or with DAMAGED_PREFIX. name: up to DATABASE_ID_MAX bytes. */
void snapshot_prefix(const char *top, struct slice database, struct snapshot_key *ret);
void snapshot_key_of(struct slice database, const struct snapshot_id *id, struct snapshot_key *ret);
void snapshot_damaged_key(struct slice database, const struct snapshot_id *id, struct snapshot_key *ret);

/* What a key names; false: no snapshot's. */
bool snapshot_key_parse(struct slice key, struct snapshot_id *ret);
bool snapshot_damaged_parse(struct slice key, struct snapshot_id *ret);

/* The database of "TOP/DATABASE/" or anything below it. False when there is none, or it was spelled
 * otherwise. */
bool snapshot_key_database(const char *top, struct slice key, char ret[DATABASE_ID_MAX], size_t *ret_len);

#endif
