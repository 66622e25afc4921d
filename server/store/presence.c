#include "server/store/presence.h"

#include "core/base/hash.h"
#include "server/base/system.h"
#include "server/net/loop.h"
#include "server/objects/restoring.h"
#include "server/server.h"
#include "storage/views/view.h"

#include <assert.h>
#include <stdlib.h>

enum entry_state { ENTRY_LOOKING, ENTRY_HERE, ENTRY_EVICTING };

struct presence_entry {
    struct presence_entry *chain;
    struct presence_entry *newer, *older; /* of those that nobody is in */
    struct job *waiters, **waiters_end;   /* presence_wait */
    enum entry_state state;
    uint32_t users;
    uint64_t used_ms; /* monotonic */
    size_t name_len;
    char name[];
};

/* ---- the table; the lock is held */

static struct presence_entry **place_of(struct presence *p, struct slice name)
{
    struct presence_entry **at = &p->buckets[hash_bytes(0, name) % PRESENCE_BUCKETS];
    while (*at != NULL && !slice_eq(slice_of((*at)->name, (*at)->name_len), name)) at = &(*at)->chain;
    return at;
}

static void unlink_idle(struct presence *p, struct presence_entry *e)
{
    *(e->newer == NULL ? &p->newest : &e->newer->older) = e->older;
    *(e->older == NULL ? &p->oldest : &e->older->newer) = e->newer;
    e->newer = e->older = NULL;
    p->idle_count--;
}

static void link_idle(struct presence *p, struct presence_entry *e)
{
    e->older = p->newest;
    *(p->newest == NULL ? &p->oldest : &p->newest->newer) = e;
    p->newest = e;
    p->idle_count++;
}

static void drop(struct presence *p, struct presence_entry *e)
{
    struct presence_entry **at = place_of(p, slice_of(e->name, e->name_len));
    assert(*at == e && e->users == 0 && e->waiters == NULL);
    *at = e->chain;
    free(e);
}

/* Nobody is in it any more. */
static void became_idle(struct presence *p, struct presence_entry *e)
{
    e->used_ms = system_monotonic_ms();
    link_idle(p, e);
    if (p->idle_count <= PRESENCE_IDLE_MAX) return;
    struct presence_entry *oldest = p->oldest;
    p->forgotten_ms = oldest->used_ms;
    unlink_idle(p, oldest);
    drop(p, oldest);
}

static struct presence_entry *add(struct presence *p, struct slice name)
{
    struct presence_entry *e = calloc(1, sizeof *e + name.len);
    if (e == NULL) return NULL;
    e->name_len = name.len;
    memcpy(e->name, name.bytes, name.len);
    e->waiters_end = &e->waiters;
    e->used_ms = system_monotonic_ms();
    *place_of(p, name) = e;
    return e;
}

/* ---- looking for it */

struct look_job {
    struct job job;
    struct presence *presence;
    size_t name_len;
    char name[DATABASE_ID_MAX];
};

static void free_job(struct job *j)
{
    free(j);
}

/* Sends the waiters home. They are in it, or were refused. */
static void send_home(struct job *waiters, enum sync_err rc, const struct err_ctx *ec)
{
    while (waiters != NULL) {
        struct job *j = waiters;
        waiters = j->next;
        j->rc = rc;
        if (rc != SYNC_OK) j->ec = *ec;
        loop_post(j->home, j);
    }
}

/* What was found out of a database. */
static void settle(struct presence *p, struct slice name, enum sync_err rc, const struct err_ctx *ec)
{
    pthread_mutex_lock(&p->lock);
    struct presence_entry *e = *place_of(p, name);
    assert(e != NULL && e->state == ENTRY_LOOKING && e->users == 0);
    struct job *waiters = e->waiters;
    e->waiters = NULL;
    e->waiters_end = &e->waiters;
    e->state = ENTRY_HERE;
    for (const struct job *j = waiters; rc == SYNC_OK && j != NULL; j = j->next) e->users++;
    if (rc != SYNC_OK)
        drop(p, e); /* the next who enters looks again */
    else if (e->users == 0)
        became_idle(p, e);
    pthread_mutex_unlock(&p->lock);
    send_home(waiters, rc, ec);
}

static struct look_job *look_job_new(struct presence *p, struct slice name, void (*run)(struct job *))
{
    struct look_job *j = calloc(1, sizeof *j);
    if (j == NULL) return NULL;
    j->job.run = run;
    j->job.done = free_job;
    j->presence = p;
    j->name_len = name.len;
    memcpy(j->name, name.bytes, name.len);
    return j;
}

/* On a thread for the object store. */
static void run_restore(struct job *job)
{
    struct look_job *j = (struct look_job *)job;
    struct slice name = slice_of(j->name, j->name_len);
    struct err_ctx ec;
    enum sync_err rc = restoring_run(j->presence->server, name, &j->presence->stopping, &ec);
    settle(j->presence, name, rc, &ec);
}

/* On a reader: quick, so that a database that is here does not wait behind those that have to be restored. */
static void run_look(struct job *job)
{
    struct look_job *j = (struct look_job *)job;
    struct presence *p = j->presence;
    struct slice name = slice_of(j->name, j->name_len);
    struct view *v = NULL;
    struct err_ctx ec;
    enum sync_err rc = view_open(server_shard(p->server, name), name, &v, &ec);
    bool here = rc == SYNC_OK && view_database(v)->exists;
    view_close(v);
    if (here || (rc != SYNC_OK && rc != SYNC_EBUSY)) {
        settle(p, name, rc, &ec);
        return;
    }
    struct look_job *next = look_job_new(p, name, run_restore);
    if (next == NULL) {
        settle(p, name, err_set(&ec, SYNC_ENOMEM, "out of memory"), &ec);
        return;
    }
    server_objects_put(p->server, &next->job);
}

/* The lock is not held. */
static void look(struct presence *p, struct slice name)
{
    struct err_ctx ec;
    struct look_job *j = look_job_new(p, name, run_look);
    if (j != NULL)
        worker_pool_put(&p->server->readers, &j->job);
    else
        settle(p, name, err_set(&ec, SYNC_ENOMEM, "out of memory"), &ec);
}

/* ---- entering and leaving */

static void wait_for(struct presence_entry *e, struct presence_wait *w)
{
    w->job.next = NULL;
    *e->waiters_end = &w->job;
    e->waiters_end = &w->job.next;
}

bool presence_enter(struct presence *p, struct slice database, struct presence_wait *w)
{
    if (!p->enabled) return true;
    bool here = false, begins = false, failed = false;
    pthread_mutex_lock(&p->lock);
    struct presence_entry *e = *place_of(p, database);
    if (e != NULL && e->state == ENTRY_HERE) {
        if (e->users++ == 0) unlink_idle(p, e);
        here = true;
    } else if (e == NULL) {
        e = add(p, database);
        begins = e != NULL;
        failed = e == NULL;
    }
    if (!here && !failed) wait_for(e, w);
    pthread_mutex_unlock(&p->lock);
    if (begins) look(p, database);
    if (failed) {
        w->job.next = NULL;
        struct err_ctx ec;
        send_home(&w->job, err_set(&ec, SYNC_ENOMEM, "out of memory"), &ec);
    }
    return here;
}

void presence_leave(struct presence *p, struct slice database)
{
    if (!p->enabled) return;
    pthread_mutex_lock(&p->lock);
    struct presence_entry *e = *place_of(p, database);
    assert(e != NULL && e->state == ENTRY_HERE && e->users > 0);
    if (--e->users == 0) became_idle(p, e);
    pthread_mutex_unlock(&p->lock);
}

void presence_hold(struct presence *p, struct slice database)
{
    if (!p->enabled) return;
    pthread_mutex_lock(&p->lock);
    struct presence_entry *e = *place_of(p, database);
    assert(e != NULL && e->state == ENTRY_HERE && e->users > 0);
    e->users++;
    pthread_mutex_unlock(&p->lock);
}

/* ---- eviction */

/* The lock is held. A time of use may be a moment behind `now`. */
static bool is_idle(const struct presence *p, const struct presence_entry *e, uint64_t now, uint64_t idle_ms)
{
    uint64_t used_ms = e == NULL ? p->forgotten_ms : e->used_ms;
    if (e != NULL && (e->state != ENTRY_HERE || e->users > 0)) return false;
    return now >= used_ms && now - used_ms >= idle_ms;
}

bool presence_is_idle(struct presence *p, struct slice database, uint64_t now, uint64_t idle_ms)
{
    pthread_mutex_lock(&p->lock);
    bool idle = is_idle(p, *place_of(p, database), now, idle_ms);
    pthread_mutex_unlock(&p->lock);
    return idle;
}

bool presence_begin_evicting(struct presence *p, struct slice database, uint64_t now, uint64_t idle_ms)
{
    pthread_mutex_lock(&p->lock);
    struct presence_entry *e = *place_of(p, database);
    bool idle = is_idle(p, e, now, idle_ms);
    if (idle && e == NULL)
        e = add(p, database);
    else if (idle)
        unlink_idle(p, e);
    if (idle && e != NULL) e->state = ENTRY_EVICTING;
    pthread_mutex_unlock(&p->lock);
    return idle && e != NULL;
}

bool presence_is_wanted(struct presence *p, struct slice database)
{
    pthread_mutex_lock(&p->lock);
    struct presence_entry *e = *place_of(p, database);
    bool wanted = e != NULL && e->waiters != NULL;
    pthread_mutex_unlock(&p->lock);
    return wanted;
}

void presence_evicted(struct presence *p, struct slice database, bool gone)
{
    pthread_mutex_lock(&p->lock);
    struct presence_entry *e = *place_of(p, database);
    assert(e != NULL && e->state == ENTRY_EVICTING);
    bool wanted = e->waiters != NULL;
    if (wanted) {
        e->state = ENTRY_LOOKING;
    } else if (gone) {
        drop(p, e);
    } else {
        e->state = ENTRY_HERE;
        became_idle(p, e);
    }
    pthread_mutex_unlock(&p->lock);
    if (wanted) look(p, database);
}

/* ---- start and stop */

enum sync_err presence_start(struct presence *p, struct server *server, struct err_ctx *ec)
{
    *p = (struct presence){.server = server};
    if (!server_keeps_databases_there(server)) return SYNC_OK;
    p->buckets = calloc(PRESENCE_BUCKETS, sizeof *p->buckets);
    if (p->buckets == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for the table of databases");
    (void)pthread_mutex_init(&p->lock, NULL);
    p->forgotten_ms = system_monotonic_ms();
    p->enabled = true;
    return SYNC_OK;
}

void presence_cancel(struct presence *p)
{
    atomic_store(&p->stopping, true);
}

void presence_stop(struct presence *p)
{
    if (!p->enabled) return;
    for (size_t i = 0; i < PRESENCE_BUCKETS; i++) {
        while (p->buckets[i] != NULL) {
            struct presence_entry *e = p->buckets[i];
            p->buckets[i] = e->chain;
            free(e);
        }
    }
    free(p->buckets);
    (void)pthread_mutex_destroy(&p->lock);
    *p = (struct presence){0};
}
