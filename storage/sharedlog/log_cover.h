/* log_cover.h -- what verified snapshots make superfluous in the shared log, in a round of tidying it.
 *
 * Two answers for a database, both a stamp up to which the log is not needed; zero: all of it is.
 *
 *   noted    what is noted on this machine. Costs no request; good for deciding what is worth doing
 *   proved   the snapshot has been looked for in the object store in this round, and is there. Before
 * anything of a database goes it is asked this way: somebody may have deleted the snapshot since it was noted
 *
 * A database is proved once a round, however many of its sections go. Of more than LOG_PROOFS_MAX databases
 * in a round the rest is not proved, so nothing of it goes before the next one: that bounds memory and
 * requests.
 *
 * Threads: one at a time; blocks as the source does. */
#ifndef STORAGE_SHAREDLOG_LOG_COVER_H
#define STORAGE_SHAREDLOG_LOG_COVER_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/facts/hlc.h"

enum { LOG_PROOFS_MAX = 16384 }; /* up to 5 MiB while a round lasts */

/* Where the answers come from. An error ends the round. What concerns one database alone is no error:
 * zero. */
struct log_cover_source {
    enum sync_err (*noted)(void *arg, struct slice database, struct stamp *ret, struct err_ctx *ec);
    enum sync_err (*prove)(void *arg, struct slice database, struct stamp *ret, struct err_ctx *ec);
    void *arg;
};

struct log_cover;

enum sync_err log_cover_new(const struct log_cover_source *source, struct log_cover **ret,
                            struct err_ctx *ec);
void log_cover_free(struct log_cover *c); /* takes NULL */

/* A round is over, or begins: nothing is proved any more. */
void log_cover_forget(struct log_cover *c);

/* Errors: as of the source; SYNC_ENOMEM. Nothing is noted or proved of a NULL cover. */
enum sync_err log_cover_noted(struct log_cover *c, struct slice database, struct stamp *ret,
                              struct err_ctx *ec);
enum sync_err log_cover_proved(struct log_cover *c, struct slice database, struct stamp *ret,
                               struct err_ctx *ec);

#endif
