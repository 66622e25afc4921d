#include "storage/objects/object_race.h"

#include "storage/objects/object_probe.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/random.h>

struct race {
    struct object_store *store;
    const struct object_call *call;
    struct slice key;
    struct object_version match; /* "": they create */
    pthread_mutex_t lock;        /* guards go and off */
    pthread_cond_t changed;
    bool go;  /* all are there */
    bool off; /* there are too few of them */
};

struct racer {
    struct race *race;
    pthread_t thread;
    char body[16];
    enum sync_err rc;
    enum object_outcome outcome;
    struct object_version version;
    struct err_ctx ec;
};

static void *run(void *arg)
{
    struct racer *r = arg;
    struct race *c = r->race;
    struct slice body = slice_str(r->body);
    pthread_mutex_lock(&c->lock);
    while (!c->go && !c->off) pthread_cond_wait(&c->changed, &c->lock);
    bool off = c->off;
    pthread_mutex_unlock(&c->lock);
    if (off)
        r->rc = SYNC_ECANCELED;
    else if (c->match.text[0] == '\0')
        r->rc = object_put_if_absent(c->store, c->call, c->key, body, &r->outcome, &r->version, &r->ec);
    else
        r->rc =
            object_put_if_match(c->store, c->call, c->key, body, &c->match, &r->outcome, &r->version, &r->ec);
    return NULL;
}

/* All at once. */
static enum sync_err run_all(struct race *c, struct racer racers[OBJECT_RACE_RACERS], struct err_ctx *ec)
{
    int count = 0;
    c->go = c->off = false;
    for (; count < OBJECT_RACE_RACERS; count++) {
        racers[count] = (struct racer){.race = c};
        /* Versions may be hashes of the bytes: who replaces writes other ones than who created, or the
         * version would still be there afterwards, for the next one to replace rightly. */
        (void)snprintf(racers[count].body, sizeof racers[count].body, "%s %d",
                       c->match.text[0] == '\0' ? "creator" : "replacer", count);
        if (pthread_create(&racers[count].thread, NULL, run, &racers[count]) != 0) break;
    }
    bool all = count == OBJECT_RACE_RACERS;
    pthread_mutex_lock(&c->lock);
    c->go = all;
    c->off = !all;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < count; i++) pthread_join(racers[i].thread, NULL);
    return all ? SYNC_OK : err_set(ec, SYNC_ENOMEM, "no threads to test the object store with");
}

/* Judges a race. *ret_version: of what is there, if it is known; "" otherwise. */
static enum sync_err judge(const struct racer racers[OBJECT_RACE_RACERS], const char *broken,
                           struct object_version *ret_version, struct err_ctx *ec)
{
    int won = 0, unknown = 0;
    ret_version->text[0] = '\0';
    for (int i = 0; i < OBJECT_RACE_RACERS; i++) {
        if (racers[i].rc != SYNC_OK) {
            *ec = racers[i].ec;
            return racers[i].rc;
        }
        if (racers[i].outcome == OBJECT_UNKNOWN) unknown++;
        if (racers[i].outcome != OBJECT_OK) continue;
        won++;
        *ret_version = racers[i].version;
    }
    if (won > 1)
        return err_set(ec, SYNC_ECONFIG,
                       "this object store cannot be used by several instances: %d of %d that %s at once were "
                       "all told that they did it",
                       won, OBJECT_RACE_RACERS, broken);
    if (won == 0 && unknown == 0)
        return err_set(
            ec, SYNC_ECONFIG,
            "this object store cannot be used by several instances: of %d that %s at once none did "
            "it",
            OBJECT_RACE_RACERS, broken);
    if (won == 0) ret_version->text[0] = '\0';
    return SYNC_OK;
}

static enum sync_err race_once(struct race *c, struct err_ctx *ec)
{
    struct racer racers[OBJECT_RACE_RACERS];
    struct object_version replaced;
    c->match.text[0] = '\0';
    enum sync_err rc = run_all(c, racers, ec);
    if (rc == SYNC_OK) rc = judge(racers, "created one object", &c->match, ec);
    if (rc != SYNC_OK || c->match.text[0] == '\0') return rc;
    rc = run_all(c, racers, ec);
    if (rc == SYNC_OK) rc = judge(racers, "replaced one version", &replaced, ec);
    return rc;
}

enum sync_err object_race(struct object_store *s, const struct object_call *call, struct err_ctx *ec)
{
    struct race c = {.store = s, .call = call};
    char key[sizeof OBJECT_PROBE_PREFIX + 40];
    uint64_t random[2];
    enum sync_err rc = SYNC_OK;
    if (getrandom(random, sizeof random, 0) != sizeof random) return err_set(ec, SYNC_EIO, "no random bytes");
    (void)pthread_mutex_init(&c.lock, NULL);
    (void)pthread_cond_init(&c.changed, NULL);
    for (int round = 0; round < OBJECT_RACE_ROUNDS && rc == SYNC_OK; round++) {
        (void)snprintf(key, sizeof key, "%srace-%016llx%d", OBJECT_PROBE_PREFIX,
                       (unsigned long long)(random[0] ^ random[1]), round);
        c.key = slice_str(key);
        rc = race_once(&c, ec);
        struct err_ctx ignored;
        (void)object_delete(s, call, c.key, &ignored); /* only tidiness */
    }
    (void)pthread_cond_destroy(&c.changed);
    (void)pthread_mutex_destroy(&c.lock);
    if (rc != SYNC_OK) err_wrap(ec, "%s", object_store_name(s));
    return rc;
}
