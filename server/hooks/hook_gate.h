/* hook_gate.h -- the hooks of a server: loaded, asked, reloaded, shown.
 *
 * The rest of the server asks through hook_ask.h and only where hook_gate_has() says that somebody would
 * answer: without hooks nothing is queued, allocated or locked. A server that has never had hooks has no
 * threads for them either.
 *
 * Threads: any, but open, reload and close on the main thread. */
#ifndef SERVER_HOOKS_HOOK_GATE_H
#define SERVER_HOOKS_HOOK_GATE_H

#include "core/config/config.h"
#include "core/log/log.h"
#include "core/metrics/sync_metrics.h"
#include "hooks/hook_runner.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    HOOK_CLOSE_MS = 2000, /* calls that do not return are waited for at the end */
    HOOK_NOTICE_BYTES_MAX =
        64 << 20, /* batches that wait for after_apply_changes; further ones are left out */
};

struct hook_gate {
    struct hook_runner *_Atomic runner; /* NULL: there have never been hooks */
    struct logger logger;
    char helper_path[PATH_MAX]; /* sync-hook-host */
    struct sync_metrics *metrics;
    _Atomic uint64_t connections; /* numbers given out */
    _Atomic size_t notice_bytes;
    _Atomic uint64_t notices_left_out;
};

/* Loads the configured hooks. `g` stays where it is. Errors: SYNC_ECONFIG, SYNC_EIO, SYNC_ENOMEM, with the
 * hook in the text; SYNC_ECONFIG too when auth.mode is custom and no hook authenticates. hook_gate_close() is
 * fine after a failure. */
enum sync_err hook_gate_open(struct hook_gate *g, const struct config *config, struct logger logger,
                             struct sync_metrics *metrics, struct err_ctx *ec);

/* Makes the calls that wait, and shuts the hooks down. False: a call did not return and was left behind with
 * its hook; the process must end without unloading anything. */
bool hook_gate_close(struct hook_gate *g);

/* Loads the list of a fresh configuration beside the running one and puts it in place. All or nothing: after
 * an error, which is as of hook_gate_open(), the hooks before go on. Blocks until that is decided. */
enum sync_err hook_gate_reload(struct hook_gate *g, const struct config *fresh, struct err_ctx *ec);

/* Would the configured hooks load? Opens the files and looks at their tables; calls nothing of them. Errors
 * as of hook_gate_open(). */
enum sync_err hook_gate_check(const struct config *config, struct err_ctx *ec);

static inline struct hook_runner *hook_gate_runner(const struct hook_gate *g)
{
    return atomic_load_explicit(&((struct hook_gate *)g)->runner, memory_order_acquire);
}

/* Does any hook have the function? */
static inline bool hook_gate_has(const struct hook_gate *g, enum hook_op op)
{
    const struct hook_runner *r = hook_gate_runner(g);
    return r != NULL && hook_runner_has(r, op);
}

/* A number for a connection, never given twice. */
uint64_t hook_gate_number(struct hook_gate *g);

/* Where does the database lie in the object store? Writes a path, or "" when no hook has an opinion. May
 * block as long as a hook may: not for loops and store threads. Errors: SYNC_EFORBIDDEN (a hook refused the
 * database), SYNC_EBUSY (no answer: do not open the database, try again later), SYNC_ENOMEM. */
enum sync_err hook_gate_storage_path(struct hook_gate *g, struct slice database,
                                     char ret[STORAGE_PATH_MAX + 1], struct err_ctx *ec);

/* Appends the metrics of the hooks that run, in Prometheus' text format. */
void hook_gate_put_metrics(struct hook_gate *g, struct buf *out);

#endif
