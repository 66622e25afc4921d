/* log_format.h -- LevelDB's log files as bytes: its write-ahead logs, and its MANIFEST.
 *
 * Such a file is blocks of 32 KiB; a record is one piece (FULL) or several (FIRST, MIDDLE..., LAST), none of
 * which crosses a block:
 *
 *     piece     masked CRC-32C of type and data (4, little-endian), length (2, little-endian), type (1), data
 *     rest of a block that is too short for a piece's head: skipped
 *
 * A log's record is a write batch: sequence number (8), count (4), then so many puts and deletes. A
 * MANIFEST's is a version edit: a list of tagged fields.
 *
 * LevelDB reads these files with less care than acknowledged data deserves: it takes a head of zeros, and a
 * length that leads past the end of the file, for an end, and drops what stands behind. So this tells what
 * the files hold before LevelDB does (log_check.h).
 *
 * Pure. Threads: any. */
#ifndef STORAGE_LEVELDB_LOG_FORMAT_H
#define STORAGE_LEVELDB_LOG_FORMAT_H

#include "core/base/buf.h"
#include "core/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOG_BLOCK_BYTES = 32 << 10,
    LOG_PIECE_HEAD_BYTES = 4 + 2 + 1,
};

/* Reads the record that begins at `at` into *record, which is scratch (its failure is for the caller to
 * check), and says where it ends. False when no whole record begins there. */
bool log_record_at(struct slice file, size_t at, struct buf *record, size_t *ret_end);

/* Appends the record to a file that is made of nothing but such records. */
void log_record_put(struct buf *file, struct slice record);

/* Is nothing but the unusable rest of a block behind `at`? */
bool log_ends_at(struct slice file, size_t at);

/* Looks for a whole record at or behind `at`, which is not known to be a place where one may begin; `accepts`
 * has the last word, unless memory was short for the record (its failure again). False when there is none. */
bool log_find_record(struct slice file, size_t at, bool (*accepts)(struct slice record, void *arg), void *arg,
                     struct buf *record, size_t *ret_at);

/* False unless the record is a write batch from end to end, of at least one put or delete. */
struct log_batch {
    uint64_t sequence; /* of its first; the others have those that follow */
    uint32_t count;
};

bool log_batch_read(struct slice record, struct log_batch *ret);

/* Takes what an edit says over into *ret, and leaves the rest of it as it is. False unless the record is an
 * edit from end to end. */
struct log_edit {
    bool has_log_number;
    uint64_t log_number;      /* logs below it are not read any more, */
    uint64_t prev_log_number; /* but for this one */
};

bool log_edit_read(struct slice record, struct log_edit *ret);

#endif
