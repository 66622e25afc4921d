/* hook.h -- one hook of the chain: in this process or in a helper, with its deadline and its figures.
 *
 * Counted: the chains that have it hold references, and a reload may hand it from one chain to the next. The
 * last reference shuts it down, which may block.
 *
 * Threads: hook_call() as the hook allows; counters any. */
#ifndef HOOKS_HOOK_H
#define HOOKS_HOOK_H

#include "hooks/hook_local.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct hook_process;

enum { HOOK_TIMEOUT_MS_DEFAULT = 5000 };

enum hook_isolation { HOOK_IN_PROCESS, HOOK_IN_HELPER };

/* One entry of the configuration. */
struct hook_config {
    const char *path;
    const char *config;  /* NULL: "" */
    uint32_t timeout_ms; /* 0: HOOK_TIMEOUT_MS_DEFAULT */
    enum hook_isolation isolation;
};

/* What every hook of a server shares. */
struct hook_environment {
    void *log_arg;
    void (*log)(void *arg, const char *hook, int level, const char *text); /* any thread; SYNC_LOG_ERROR .. */
    const char *helper_path; /* the sync-hook-host program, for HOOK_IN_HELPER */
};

/* A counter that the hook made. */
struct hook_counter {
    char name[HOOK_NAME_MAX + 1];
    atomic_uint_fast64_t value;
};

struct hook_figures {
    atomic_uint_fast64_t calls, refusals, timeouts, failures;
    atomic_uint_fast64_t rejections; /* ChangeSets */
};

struct hook {
    atomic_uint refs;
    char name[HOOK_NAME_MAX + 1];
    char *path, *config;
    uint32_t timeout_ms;
    enum hook_isolation isolation;
    bool serial;  /* called one at a time */
    uint32_t ops; /* bit (1 << op) for each function it has */
    struct hook_environment env;
    struct hook_local local;
    struct hook_process *process;
    struct hook_figures figures;
    atomic_uint_fast64_t logged_ns; /* when hook_log_seldom() wrote last */
    atomic_uint_fast64_t unlogged;  /* lines left out since */
    struct hook_counter counters[SYNC_COUNTERS_MAX];
    atomic_uint counter_count;
    pthread_mutex_t counter_lock; /* of making a new counter */

    /* the runner's, under its lock */
    pthread_cond_t changed; /* busy or stuck */
    bool busy;              /* a call is in a serial hook */
    uint32_t stuck;         /* calls in it past their deadline */
};

/* `name` is unique in the chain. Errors: those of hook_local_open() and hook_process_open(). */
enum sync_err hook_open(const struct hook_config *config, const char *name,
                        const struct hook_environment *env, struct hook **ret, struct err_ctx *ec);
struct hook *hook_ref(struct hook *h);
void hook_unref(struct hook *h);

/* Does the hook come from this entry, and is its file still the same? */
bool hook_is_of(const struct hook *h, const struct hook_config *config);

/* As hook_local_call(). A helper that does not answer until deadline_ns on the monotonic clock is ended, and
 * the result is SYNC_HOOK_FAILED with a text; in this process the deadline is the runner's to watch. */
int hook_call(struct hook *h, struct hook_turn *turn, uint64_t deadline_ns);

/* Writes a line about the hook into the server's log. */
void hook_log(const struct hook *h, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same, for what may happen with every call: once in a second at most, with how many lines were left
 * out. */
void hook_log_seldom(struct hook *h, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* "libs/jwt.so" becomes "jwt"; a name that a hook before has gets "#2". */
void hook_name_make(const struct hook_config *hooks, size_t index, char ret[HOOK_NAME_MAX + 1]);

#endif
