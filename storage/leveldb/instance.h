/* instance.h -- one LevelDB, which can be closed and opened again below its readers.
 *
 * After a failed write LevelDB cannot be trusted with further ones: its log may end in half a record, behind
 * which later records would be lost, and a failed sync makes it refuse them anyway. Opening it again heals
 * both. Readers must not hold that up, since one may be a slow client that reads its next piece in minutes.
 * So a reader belongs to the LevelDB it began with: instance_reopen() takes its snapshot and iterators away,
 * and from then on it gets SYNC_ESTORE.
 *
 * That is also why what a reader returns is copied out of LevelDB's memory.
 *
 * Threads: the owner (a shard's thread) writes, gets and reopens. Readers: any thread, each one thread at a
 * time. A reader's lock is held during its reads of LevelDB; only a reopening ever waits for it. */
#ifndef STORAGE_LEVELDB_INSTANCE_H
#define STORAGE_LEVELDB_INSTANCE_H

#include "core/base/err.h"
#include "core/base/slice.h"

#include <leveldb/c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct instance;

/* Looks through the logs first (log_check.h). `options` outlives the instance. Errors: SYNC_ESTORE,
 * SYNC_ENOMEM, SYNC_EFORMAT for damaged logs, SYNC_EIO. */
enum sync_err instance_open(const char *dir, const leveldb_options_t *options, bool sync,
                            struct instance **ret, struct err_ctx *ec);
void instance_close(struct instance *in); /* takes NULL; no reader is open */

/* How many bytes were cut off the torn ends of logs since instance_open() began. Any thread. */
uint64_t instance_torn_bytes(const struct instance *in);

/* ---- the owner ---- */

/* Can the disk take what an opening writes? A few bytes are written and synced, and room is asked for. While
 * it cannot, the LevelDB that is open is better kept, since it still reads. Errors: SYNC_ESTORE. */
enum sync_err instance_probe(struct instance *in, struct err_ctx *ec);

/* Errors: as instance_open(); nothing may then be read or written until a repeated call succeeds. */
enum sync_err instance_reopen(struct instance *in, struct err_ctx *ec);

/* A value as LevelDB allocated it. */
struct instance_value {
    char *bytes; /* NULL: not found */
    size_t len;
};

static inline struct slice instance_value_slice(const struct instance_value *v)
{
    return slice_of(v->bytes, v->len);
}

void instance_value_deinit(struct instance_value *v);

enum sync_err instance_get(struct instance *in, struct slice key, struct instance_value *ret,
                           struct err_ctx *ec);
/* lazy: need not be synced, whatever the instance is set to. */
enum sync_err instance_write(struct instance *in, leveldb_writebatch_t *batch, bool lazy, struct err_ctx *ec);

/* Everything written before is on the disk. */
enum sync_err instance_sync(struct instance *in, struct err_ctx *ec);

/* Moves what only LevelDB's log holds into a table, so that the next one to open it has nothing to replay. No
 * promise rests on it: where it does not work out the log is replayed. */
void instance_flush(struct instance *in);

/* ---- readers ---- */

struct reader;

/* What is there now, and stays as it is now. */
enum sync_err reader_open(struct instance *in, struct reader **ret, struct err_ctx *ec);
void reader_close(struct reader *r); /* takes NULL; its scans are closed before */

enum sync_err reader_get(struct reader *r, struct slice key, struct instance_value *ret, struct err_ctx *ec);

/* Bytes on disk between two keys, about, and not as of the reader's point in time. */
enum sync_err reader_approximate_bytes(struct reader *r, struct slice from, struct slice to, uint64_t *ret,
                                       struct err_ctx *ec);

/* Entries with a common prefix, in the order of their keys. */
struct scan;

/* `keep_cached`: may what it reads push other blocks out of the cache? */
enum sync_err scan_open(struct reader *r, struct slice prefix, bool keep_cached, struct scan **ret,
                        struct err_ctx *ec);
void scan_close(struct scan *s); /* takes NULL */

/* The next scan_next() gives the first entry at or behind `key`, which has the prefix. */
enum sync_err scan_seek(struct scan *s, struct slice key, struct err_ctx *ec);

/* *ret_found is false at the end. Key and value are good until the next call on this scan.
 * Errors: SYNC_ESTORE, also for a block that is damaged: nothing is passed over in silence. */
enum sync_err scan_next(struct scan *s, bool *ret_found, struct slice *ret_key, struct slice *ret_value,
                        struct err_ctx *ec);

#endif
