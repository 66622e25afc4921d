/* log_tidy.h -- keeps what is left of a partition of the shared log short: merges small parts into segments,
 * drops what verified snapshots cover, and deletes what was replaced.
 *
 * A round lists the partition and does what is due. Nothing of it is remembered anywhere but in the log
 * itself: a crash between any two requests leaves a log that reads the same, and the next round goes on.
 *
 *   merge    parts that follow one another become one segment (log_plan.h, log_merge.h), without the sections
 *            that snapshots cover
 *   thin     a segment of which snapshots cover all or more than half becomes a new generation of itself
 *   delete   what has been replaced for `grace_ms`, seen by this very log_tidy: whoever listed the log before
 *            has gone on by then, or lists again when it misses something (log_reader.h)
 *
 * A part goes only when it was replaced, and what replaces it lacks only what verified snapshots cover that
 * were still there in that round (log_cover.h).
 *
 * Threads: one at a time; blocks. */
#ifndef STORAGE_SHAREDLOG_LOG_TIDY_H
#define STORAGE_SHAREDLOG_LOG_TIDY_H

#include "storage/sharedlog/log_merge.h"

struct log_tidy_config {
    struct log_merge_config merge; /* but for its cover, which log_tidy makes of this: */
    struct log_cover_source cover;
    uint32_t fan_in;         /* a power of two, 2 to LOG_FAN_IN_MAX */
    uint64_t thin_bytes_min; /* less is not worth a request; it goes when its segment is merged */
    uint64_t grace_ms;
    uint64_t (*now_ms)(void); /* monotonic */
    /* Before each deletion: waits, so that they do not come too fast. False: no more of them. May be NULL. */
    bool (*may_delete)(void *arg);
    void *arg;
};

struct log_tidy_result {
    uint32_t merged, thinned; /* segments that were made */
    uint64_t segment_bytes;   /* of those */
    uint64_t dropped_bytes;   /* that snapshots cover and that were left out of those, about */
    uint32_t deleted;
    uint32_t waiting;   /* replaced, and not deleted yet */
    uint32_t parts;     /* that are left */
    uint32_t failures;  /* ranges that could not be merged */
    struct err_ctx why; /* of the last of those */
};

struct log_tidy;

enum sync_err log_tidy_new(const struct log_tidy_config *cfg, struct log_tidy **ret, struct err_ctx *ec);
void log_tidy_free(struct log_tidy *t); /* takes NULL */

/* One round. `until`: the newest number that whoever writes the log has noted durably; what is above is left
 * alone. `weigh`: looks into every part for what snapshots cover; otherwise only names and sizes are looked
 * at. *ret is set in any case. Errors: as log_list_read(); SYNC_ECANCELED; SYNC_EBUSY, SYNC_ENOTFOUND (try
 * again); as log_cover_proved(). */
enum sync_err log_tidy_round(struct log_tidy *t, uint64_t until, bool weigh, struct log_tidy_result *ret,
                             struct err_ctx *ec);

#endif
