/* hook_process.h -- a hook in a helper process: the same shared object, where a crash takes nothing along.
 *
 * One helper per hook. Calls go to it as messages over a socketpair, several at once where the hook is
 * thread-safe. When the helper ends, or does not answer a call by its deadline (it is then killed), the calls
 * in flight fail, and a new helper is started: at once, then after pauses that double up to
 * HELPER_PAUSE_MS_MAX as long as helpers live short. While there is none, calls fail at once. A helper ends
 * when its server does.
 *
 * Threads: any. A thread of this module reads what the helper says and starts the next one. */
#ifndef HOOKS_HOOK_PROCESS_H
#define HOOKS_HOOK_PROCESS_H

#include "hooks/hook_local.h"

struct hook;
struct hook_process;

enum {
    HELPER_PAUSE_MS_MIN = 100,
    HELPER_PAUSE_MS_MAX = 10000,
    HELPER_START_MS_MAX = 30000, /* for opening the hook */
};

/* Starts the helper and waits until it has opened the hook. `h` (path, configuration string, name,
 * environment) outlives the process. Errors: SYNC_EIO (no helper could be started), SYNC_ECONFIG (it could
 * not open the hook), SYNC_ENOMEM. */
enum sync_err hook_process_open(const struct hook *h, const struct hook_events *events,
                                struct hook_process **ret, struct err_ctx *ec);
void hook_process_close(struct hook_process *p); /* no call is in it; NULL does nothing */

bool hook_process_is_serial(const struct hook_process *p);
uint32_t hook_process_ops(const struct hook_process *p);

/* As hook_call(). Returns by deadline_ns. */
int hook_process_call(struct hook_process *p, struct hook_turn *turn, uint64_t deadline_ns);

#endif
