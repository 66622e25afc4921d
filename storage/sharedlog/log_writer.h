/* log_writer.h -- writes a partition of the shared log: one server, one object after the other.
 *
 * A step gathers what waits (log_gather.h), makes an object of it, creates the next number (log_create.h),
 * and moves the positions. While an attempt brings no clear answer the object is kept and put again, the same
 * bytes under the same number; nothing else is written meanwhile. When the number holds something else,
 * another server writes this log: this one has lost it for good, and says so from then on.
 *
 * Opening finds the log's end, takes over what an earlier run of this server had created and not noted, and
 * creates an object that says that this server has begun: from then on a former writer meets it. Refused,
 * with a message that says what to do (SYNC_ECONFIG):
 *   - the log was written by another server after this one, or this data directory is older than the log;
 *   - the data directory holds databases and the log is another server's;
 *   - the log has lost its end.
 * A data directory that wrote another log before has everything uploaded anew.
 *
 * Threads: one at a time; blocks. */
#ifndef STORAGE_SHAREDLOG_LOG_WRITER_H
#define STORAGE_SHAREDLOG_LOG_WRITER_H

#include "storage/sharedlog/log_create.h"
#include "storage/sharedlog/log_gather.h"
#include "storage/sharedlog/log_meta.h"

enum { LOG_CALL_MS = 30000 }; /* one request, its repeats included */

struct log_writer_config {
    struct store *store;
    struct object_store *objects;
    struct log_meta meta;
    uint32_t partition;
    uint8_t writer[LOG_WRITER_BYTES];
    uint8_t run[LOG_RUN_BYTES];
    const char *host;
    bool object_durable;
    size_t bytes;              /* of one object, about */
    const atomic_bool *cancel; /* of calls; may be NULL */
    uint64_t (*wall_ms)(void);

    /* These reach the shards' own threads (shard_upload.h), and return when it is done. `complete` tells, for
     * each position, that what was accepted up to it may be acknowledged as uploaded. */
    enum sync_err (*uploaded)(void *arg, uint32_t shard, const struct upload_position *positions,
                              const bool *complete, size_t count, const struct log_state *state,
                              struct err_ctx *ec);
    enum sync_err (*put_state)(void *arg, const struct log_state *state, struct err_ctx *ec);
    enum sync_err (*wait_from_start)(void *arg, struct slice database, struct err_ctx *ec);
    /* NULL: what can be read is on the disk. Else called before it is uploaded: the log must not be ahead of
     * the disk, or a power cut would have stamps given twice. */
    enum sync_err (*sync)(void *arg, uint32_t shard, struct err_ctx *ec);
    void *arg;
};

struct log_writer;

/* Errors: SYNC_ECONFIG as said above; as object_store.h; of the store; as the callbacks. */
enum sync_err log_writer_open(const struct log_writer_config *cfg, struct log_writer **ret,
                              struct err_ctx *ec);
void log_writer_close(struct log_writer *w); /* takes NULL; writes nothing */

enum log_step {
    LOG_IDLE,  /* nothing waits */
    LOG_WROTE, /* an object was created and noted */
    LOG_WAITS, /* not this time; ec says why. Try again after a while */
    LOG_LOST,  /* another server writes this log; log_writer_rival() says which. For good */
};

struct log_step_info {
    uint64_t number, bytes, entries, databases; /* of the object, where one was written */
    bool more;                                  /* waits */
    struct log_backlog backlog;
    uint64_t pending_bytes; /* of an object that is being put again and again; 0: none */
};

/* Errors: SYNC_ECANCELED; of the store and the callbacks: nothing is lost, try again. */
enum sync_err log_writer_step(struct log_writer *w, enum log_step *ret, struct log_step_info *ret_info,
                              struct err_ctx *ec);

/* Writes that everything is in the log. To be called when the last step was LOG_IDLE and nothing can have
 * been accepted since. One attempt. */
enum sync_err log_writer_close_mark(struct log_writer *w, enum log_step *ret, struct err_ctx *ec);

/* How long a call may take from now on. */
void log_writer_hurry(struct log_writer *w, uint32_t timeout_ms);

const struct log_rival *log_writer_rival(const struct log_writer *w); /* good after LOG_LOST */
uint64_t log_writer_number(const struct log_writer *w);               /* of the newest object */

#endif
