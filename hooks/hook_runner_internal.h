/* hook_runner_internal.h -- what the parts of the runner share. Everything here is under `lock` unless it
 * says otherwise. No lock is held while a hook runs, a call is posted, or a chain is closed. */
#ifndef HOOKS_HOOK_RUNNER_INTERNAL_H
#define HOOKS_HOOK_RUNNER_INTERNAL_H

#include "hooks/hook_order.h"
#include "hooks/hook_runner.h"
#include "hooks/hook_thread.h"

#include <pthread.h>

enum {
    SLOW_CALL_NS = 200000, /* a call that takes as long was worth a thread of its own */
    SLOW_ALWAYS = 256,
    LOOK_NS = 2000000, /* a call that waits as long for a thread that is awake gets another */
};

/* Calls of one kind, and the threads that make them.
 *
 * To wake a thread costs more than a call of a hook that only looks at what it is given. So while calls are
 * quick, those that come meanwhile are left to the threads that are awake; where these do not get to them,
 * since a hook blocks after all or there is too much to do, the watch wakes one more every LOOK_NS. Where
 * calls usually block, each wakes a thread at once. */
struct lane {
    struct hook_runner *runner;
    struct hook_order order;
    struct hook_call *first, **end;
    uint32_t queued; /* in the list, and behind others of their key */
    pthread_cond_t changed;
    uint32_t threads;  /* that are to be there */
    uint32_t live;     /* that are, without the stuck ones */
    uint32_t idle;     /* of these: asleep, or woken and not here yet */
    bool waking;       /* one of them was woken */
    uint32_t slowness; /* how many of the last calls were slow: 0 to SLOW_ALWAYS */
};

/* One thread, and the call it is at. */
struct worker {
    struct worker *next;
    struct lane *lane;
    struct hook_call *call;
    struct hook *inside;  /* the hook that the call is in; NULL: in none, or in one that watches itself */
    enum hook_op op;      /* which function of it */
    uint64_t deadline_ns; /* of `inside` */
    bool abandoned;       /* the deadline passed: the call was answered for it */
};

struct reload {
    struct reload *next;
    struct hook_config hooks[HOOKS_MAX];
    size_t count;
    uint32_t needed; /* bit (1 << op) for each function that some hook must have */
    void (*done)(void *arg, enum sync_err rc, const char *text);
    void *arg;
    char texts[]; /* the paths and configuration strings */
};

struct hook_runner {
    atomic_uint refs; /* the owner, each thread */
    struct hook_runner_config config;
    atomic_uint ops; /* of the chain; read without the lock */
    atomic_uint_fast64_t dropped_notices;
    pthread_mutex_t lock;
    struct hook_chain *chain;
    uint64_t timeout_min_ns, timeout_max_ns; /* of its hooks */
    struct lane calls, notices;
    struct worker *workers;
    uint32_t stuck;
    bool closing;
    pthread_cond_t worker_ended;

    /* the watch: sees deadlines pass */
    pthread_t watch;
    bool watching;
    bool watch_end;
    bool called;            /* since the watch last looked */
    bool left_waiting;      /* a call, to threads that were awake; since the watch last looked */
    uint64_t watch_next_ns; /* when it looks again */
    pthread_cond_t watch_changed;

    /* the keeper: loads and closes chains */
    pthread_t keeper;
    bool keeping;
    bool keeper_end;
    struct reload *reload_first, **reload_end;
    struct hook_chain *retired;
    pthread_cond_t keeper_changed;
};

void *runner_watch(void *arg); /* hook_watch.c */
void *runner_keep(void *arg);  /* hook_keeper.c */

/* Answers a call. Called without the lock; the call's reference stays the caller's. */
void runner_finish(struct lane *l, struct hook_call *c);

/* Wakes a thread for what waits, if one sleeps. */
void runner_wake(struct lane *l);

void runner_retire(struct hook_runner *r, struct hook_chain *c); /* its last reference is gone */
enum sync_err runner_start_worker(struct lane *l, struct err_ctx *ec);
void runner_use(struct hook_runner *r, struct hook_chain *c); /* from now on */
bool runner_enter_alone(struct hook_runner *r, struct hook *h, uint64_t deadline_ns);
void runner_leave_alone(struct hook_runner *r, struct hook *h);

#endif
