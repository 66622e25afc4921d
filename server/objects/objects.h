/* objects.h -- the server's object store: opened as configured, and found good before anyone relies on it.
 *
 * At the start it is opened and probed (object_probe.h). One that cannot be used ends the start with a
 * message that says what to do; with object.optional the server starts all the same, says so loudly, and
 * tries again in the background until it works. Until then server_objects() is NULL, so nobody has to tell
 * apart "none" and "not yet" but who wants to.
 *
 * Threads: start and stop on the main thread, the rest any. */
#ifndef SERVER_OBJECTS_OBJECTS_H
#define SERVER_OBJECTS_OBJECTS_H

#include "core/base/err.h"
#include "core/config/config.h"
#include "server/net/job.h"
#include "storage/objects/object_store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct server;

enum {
    OBJECTS_PROBE_MS = 20000, /* for the whole probe */
    OBJECTS_RETRY_MS = 5000,  /* between two attempts in the background */
};

struct objects {
    struct server *server;
    struct object_store *store; /* NULL: not opened yet; only start, stop and the thread touch it */
    _Atomic(struct object_store *) usable;
    struct worker_pool pool; /* runs jobs that call the object store */
    atomic_bool stopping;    /* cancels calls */
    pthread_t thread;        /* tries again */
    bool thread_started;
    pthread_mutex_t lock; /* guards nothing but the wait for stopping */
    pthread_cond_t changed;
    bool started;
};

/* Opens the one that is configured, without asking anything of it; for commands too. */
enum sync_err objects_open(const struct config *config, const struct object_observer *observer,
                           struct object_store **ret, struct err_ctx *ec);

/* Does nothing when no object store is configured. Errors: SYNC_ECONFIG and what object_store.h lists. */
enum sync_err objects_start(struct objects *o, struct server *server, struct err_ctx *ec);

/* Runs the jobs that are queued, the calls of which may be cut short, and ends their threads. Before the
 * loops close, since jobs go home. */
void objects_stop_jobs(struct objects *o);

/* Closes the store; nobody uses it any more. All-zero ones too. */
void objects_stop(struct objects *o);

/* The object store, good until the server stops; NULL: none, or not usable yet. */
struct object_store *server_objects(struct server *s);

/* Is one configured, usable or not? */
bool server_has_objects(const struct server *s);

/* Do its databases go there, and come from there? Of the servers that share a store for the coordinator only
 * one writes the shared log (object.log). The others keep their databases to themselves: snapshots and
 * restores of two servers under one name would mix what never belonged together. */
bool server_keeps_databases_there(const struct server *s);

/* Jobs that call the object store: `run` on one of a few threads, `done` on the home loop. Only where one is
 * configured. */
void server_objects_put(struct server *s, struct job *j);

#endif
