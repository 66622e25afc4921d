/* hook_local.h -- a hook that runs in this process: its library, its state, and what the server offers it.
 *
 * Translates between the server's own structs and those of the public header, and trusts nothing that comes
 * back. Knows no deadline; whoever calls it has threads to lose.
 *
 * Threads: hook_local_call() from several at once where the hook is thread-safe, else from one at a time. */
#ifndef HOOKS_HOOK_LOCAL_H
#define HOOKS_HOOK_LOCAL_H

#include "core/base/err.h"

#include "hooks/hook_call.h"
#include "hooks/hook_library.h"

#include <stdbool.h>

/* Where a hook's log lines and counters go. Called on any thread. */
struct hook_events {
    void *arg;
    void (*log)(void *arg, const char *hook, int level, const char *text);
    void (*count)(void *arg, const char *hook, const char *name, uint64_t n);
};

/* What one hook's call works on. */
struct hook_turn {
    const struct hook_input *in;
    struct hook_sets *sets;      /* before_apply_changes, after_apply_changes: what this hook gets to see */
    struct hook_actions actions; /* before_apply_changes: what it decided */
    struct sync_grant grant;     /* authenticate: as granted so far, then what it makes of it */
    char text[SYNC_ANSWER_TEXT];
    char path[STORAGE_PATH_MAX + 1];
};

struct hook_local {
    struct sync_host host;
    char name[HOOK_NAME_MAX + 1];
    struct hook_events events;
    struct hook_library library;
    void *state;
    bool opened;
};

/* Loads the library and opens the hook; `l` stays where it is from now on. Errors: those of
 * hook_library_open(), and SYNC_ECONFIG when the hook did not open. */
enum sync_err hook_local_open(struct hook_local *l, const char *name, const char *path, const char *config,
                              const struct hook_events *events, struct err_ctx *ec);

/* Shuts the hook down and closes the library. No call is in it. Takes a half-open one, too. */
void hook_local_close(struct hook_local *l);

bool hook_local_is_serial(const struct hook_local *l); /* to be called one at a time */
uint32_t hook_local_ops(const struct hook_local *l);   /* bit (1 << op) for each function it has */

/* Calls the function for turn->in->op, which the hook has. Returns what the hook returned; SYNC_HOOK_OK for
 * notices. */
int hook_local_call(struct hook_local *l, struct hook_turn *turn);

/* SYNC_ENOTFOUND: it has no such function. SYNC_ECONFIG: it did not go well. */
enum sync_err hook_local_reload(struct hook_local *l, struct err_ctx *ec);

#endif
