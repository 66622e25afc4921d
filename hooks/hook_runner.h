/* hook_runner.h -- runs the chain on threads of its own, so that a hook may block and nobody else does.
 *
 * - A call waits for nobody but its hook, and not longer than the hook's deadline: past it the call is
 * refused (HOOK_UNAVAILABLE), counted and logged with the hook's name, while the thread stays with the hook
 * and is replaced. A hook that holds `stuck_max` such threads (one, when it is called one at a time) is not
 * called again until one comes back: calls are refused at once.
 * - A call also waits not longer than the longest deadline of the chain for a free thread.
 * - Calls with one key are made and answered in the order in which they were submitted.
 * - Notices (after_apply_changes, client_disconnect) have threads of their own and delay nothing else. When
 *   they come too fast, the newest are left out, which is counted and logged.
 * - hook_runner_reload() puts a new chain in place of the old. Calls in flight finish on the old one; what it
 * has alone is then shut down.
 *
 * Threads: all functions from any, but hook_runner_close() once, at the end. */
#ifndef HOOKS_HOOK_RUNNER_H
#define HOOKS_HOOK_RUNNER_H

#include "hooks/hook_call.h"
#include "hooks/hook_chain.h"

struct hook_runner;

struct hook_runner_config {
    uint32_t threads;        /* for calls that somebody waits for */
    uint32_t notice_threads; /* for notices */
    uint32_t stuck_max;      /* threads that one thread-safe hook may hold past its deadline */
    uint32_t queue_max;      /* calls that wait, of either kind */
    struct hook_environment env;
};

#define HOOK_RUNNER_DEFAULT                                                                                  \
    {                                                                                                        \
        .threads = 8, .notice_threads = 2, .stuck_max = 16, .queue_max = 16384                               \
    }

/* Loads the hooks and starts the threads. Errors: those of hook_chain_open(), SYNC_ENOMEM. */
enum sync_err hook_runner_open(const struct hook_runner_config *config, const struct hook_config *hooks,
                               size_t count, struct hook_runner **ret, struct err_ctx *ec);

/* Does any hook have the function? Where not, there is nobody to ask, and a call would be approved. */
bool hook_runner_has(const struct hook_runner *r, enum hook_op op);

/* Takes the call until it is posted (see hook_call.h). */
void hook_runner_submit(struct hook_runner *r, struct hook_call *c);

/* Loads the list beside the running chain, on a thread of its own, and puts it in place if all of it loads
 * and has all functions of `needed` (bit 1 << op). `done` is called on that thread, with SYNC_OK, or with why
 * everything stays as it is. The list is copied. A reload asked for while another runs comes after it.
 * Errors: SYNC_ENOMEM; `done` is then not called. */
enum sync_err hook_runner_reload(struct hook_runner *r, const struct hook_config *hooks, size_t count,
                                 uint32_t needed, void (*done)(void *arg, enum sync_err rc, const char *text),
                                 void *arg, struct err_ctx *ec);

/* Figures of the running chain, for metrics. `each` is called for one hook after the other. */
void hook_runner_each(struct hook_runner *r, void (*each)(void *arg, const struct hook *h), void *arg);
uint64_t hook_runner_dropped_notices(const struct hook_runner *r);
uint32_t hook_runner_stuck(struct hook_runner *r); /* threads held past a deadline, right now */

/* Makes the calls that wait, then ends the threads and shuts the hooks down. Calls that are stuck are waited
 * for until wait_ms have passed; if they do not return, they and their hook are left behind, and false is
 * returned: end the process without unloading anything. NULL does nothing. */
bool hook_runner_close(struct hook_runner *r, uint32_t wait_ms);

#endif
