#include "server/objects/log_cleaner.h"

#include "server/base/system.h"
#include "server/base/waiting.h"
#include "server/objects/log_proof.h"
#include "server/objects/log_shards.h"
#include "server/objects/log_uploader.h"
#include "server/server.h"
#include "storage/sharedlog/log_plan.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    LOOK_MS = 500,    /* between two looks at whether anything is due */
    RETRY_MS = 30000, /* after a round that failed */
    CALL_MS = 120000, /* one request: a segment goes up as one */
    NICENESS = 10,
};

static struct server *server_of(const struct log_cleaner *c)
{
    return c->log->server;
}

static const struct config_object *config_of(const struct log_cleaner *c)
{
    return &server_of(c)->config->object;
}

/* False when it is time to end. */
static bool pause_for(struct log_cleaner *c, uint64_t wait_ms)
{
    struct shared_log *l = c->log;
    return wait_unless_stopped(&l->lock, &l->changed, &l->stopping, wait_ms);
}

static bool may_delete(void *arg)
{
    struct log_cleaner *c = arg;
    uint64_t now = system_monotonic_ms(), apart_ms = 1000 / config_of(c)->log_deletes_per_s;
    uint64_t next = c->deleted_ms + apart_ms;
    c->deleted_ms = next > now ? next : now;
    return next <= now ? !atomic_load(&c->log->stopping) : pause_for(c, next - now);
}

/* ---- one round; the lock is held */

static void tell(struct log_cleaner *c, uint32_t partition, const struct log_tidy_result *r)
{
    struct object_metrics *m = &server_of(c)->metrics.object;
    struct logger *logger = &server_of(c)->logger;
    counter_add(&m->segments, r->merged + r->thinned);
    counter_add(&m->log_deleted, r->deleted);
    if (r->merged + r->thinned + r->deleted > 0)
        log_info(logger, LOG_STORAGE, "log.tidied", LOG_U64("partition", partition),
                 LOG_U64("merged", r->merged), LOG_U64("thinned", r->thinned),
                 LOG_U64("segment_bytes", r->segment_bytes), LOG_U64("dropped_bytes", r->dropped_bytes),
                 LOG_U64("deleted", r->deleted), LOG_U64("waiting", r->waiting), LOG_U64("parts", r->parts));
    if (r->failures > 0)
        log_error(logger, LOG_STORAGE, "log.not_merged", LOG_U64("partition", partition),
                  LOG_U64("ranges", r->failures), LOG_FAILURE(&r->why),
                  LOG_STR("next", "these parts of the shared log stay as they are"));
}

static enum sync_err tidy_part(struct log_cleaner *c, uint32_t partition, bool weigh,
                               struct log_tidy_result *ret, struct err_ctx *ec)
{
    struct log_uploader *u = &c->log->uploaders[partition];
    uint64_t until = atomic_load(&u->number);
    *ret = (struct log_tidy_result){0};
    if (atomic_load(&u->lost)) return err_set(ec, SYNC_EBUSY, "another server writes this log");
    /* What is merged must be known to have been written after a power cut, too. */
    enum sync_err rc = log_shards_sync(u, 0, ec);
    if (rc == SYNC_OK) rc = log_tidy_round(c->parts[partition].tidy, until, weigh, ret, ec);
    tell(c, partition, ret);
    if (rc == SYNC_OK) c->parts[partition].number = until;
    c->parts[partition].waiting = ret->waiting;
    return rc;
}

static void add(struct log_tidy_result *sum, const struct log_tidy_result *r)
{
    sum->merged += r->merged;
    sum->thinned += r->thinned;
    sum->segment_bytes += r->segment_bytes;
    sum->dropped_bytes += r->dropped_bytes;
    sum->deleted += r->deleted;
    sum->waiting += r->waiting;
    sum->parts += r->parts;
    sum->failures += r->failures;
    if (r->failures > 0) sum->why = r->why;
}

enum sync_err log_cleaner_run(struct log_cleaner *c, struct log_tidy_result *ret, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    *ret = (struct log_tidy_result){0};
    if (c->fan_in == 0 || !c->has_lock)
        return err_set(ec, SYNC_EBUSY, "this server does not merge the shared log");
    pthread_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < c->count && rc == SYNC_OK; i++) {
        struct log_tidy_result r;
        rc = tidy_part(c, i, true, &r, ec);
        add(ret, &r);
    }
    pthread_mutex_unlock(&c->lock);
    return rc;
}

/* ---- the thread */

static enum sync_err fill(struct log_cleaner *c, uint32_t partition, struct err_ctx *ec)
{
    struct log_cleaner_part *p = &c->parts[partition];
    if (p->filled) return SYNC_OK;
    struct log_known *known = c->log->uploaders[partition].known;
    enum sync_err rc = known == NULL
                           ? SYNC_OK
                           : log_known_fill(known, server_objects(server_of(c)), &c->call, partition, ec);
    p->filled = rc == SYNC_OK;
    return rc;
}

/* Is there anything to do in this partition but for looking at what snapshots cover? */
static bool is_due(const struct log_cleaner *c, uint32_t partition, uint64_t waited_ms)
{
    const struct log_cleaner_part *p = &c->parts[partition];
    const struct log_uploader *u = &c->log->uploaders[partition];
    if (atomic_load(&u->lost)) return false;
    if (atomic_load(&u->number) / c->fan_in != p->number / c->fan_in) return true;
    return p->waiting > 0 && waited_ms > config_of(c)->log_grace_ms;
}

static void *run(void *arg)
{
    struct log_cleaner *c = arg;
    uint64_t cleaned_ms = system_monotonic_ms(), tidied_ms = cleaned_ms;
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS); /* of this thread alone, as Linux has it */
    while (pause_for(c, c->failures > 0 ? RETRY_MS : LOOK_MS)) {
        bool weigh = system_monotonic_ms() - cleaned_ms >= config_of(c)->log_clean_ms;
        enum sync_err rc = SYNC_OK;
        struct err_ctx ec;
        pthread_mutex_lock(&c->lock);
        for (uint32_t i = 0; i < c->count && rc == SYNC_OK; i++) {
            struct log_tidy_result r;
            rc = fill(c, i, &ec);
            if (rc != SYNC_OK || c->fan_in == 0) continue;
            if ((!weigh && !is_due(c, i, system_monotonic_ms() - tidied_ms)) ||
                atomic_load(&c->log->uploaders[i].lost))
                continue;
            rc = tidy_part(c, i, weigh, &r, &ec);
            tidied_ms = system_monotonic_ms();
        }
        pthread_mutex_unlock(&c->lock);
        if (weigh && rc == SYNC_OK) cleaned_ms = system_monotonic_ms();
        c->failures = rc == SYNC_OK || rc == SYNC_ECANCELED ? 0 : c->failures + 1;
        if (c->failures > 0)
            log_warn(&server_of(c)->logger, LOG_STORAGE, "log.not_tidied", LOG_U64("failures", c->failures),
                     LOG_FAILURE(&ec), LOG_STR("next", "nothing is lost; tried again in half a minute"));
    }
    return NULL;
}

/* ---- start and stop */

static uint32_t power_of_two(uint32_t n)
{
    uint32_t power = 1;
    while (power <= n / 2) power *= 2;
    return power;
}

enum sync_err log_cleaner_start(struct log_cleaner *c, struct shared_log *log, struct err_ctx *ec)
{
    const struct config_object *object = &log->server->config->object;
    enum sync_err rc = SYNC_OK;
    c->log = log;
    c->fan_in = object->segment_objects < 2 ? 0 : power_of_two(object->segment_objects);
    c->call = (struct object_call){.timeout_ms = CALL_MS, .cancel = &c->cancel};
    c->parts = calloc(log->meta.partitions, sizeof *c->parts);
    if (c->parts == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to tidy the shared log");
    for (; c->count < log->meta.partitions && rc == SYNC_OK; c->count++) {
        const struct log_tidy_config cfg = {.merge = {.objects = server_objects(log->server),
                                                      .call = &c->call,
                                                      .partition = c->count,
                                                      .bytes_max = object->segment_bytes},
                                            .cover = log_proof_source(c),
                                            .fan_in = c->fan_in,
                                            .thin_bytes_min = object->segment_bytes / 1024,
                                            .grace_ms = object->log_grace_ms,
                                            .now_ms = system_monotonic_ms,
                                            .may_delete = may_delete,
                                            .arg = c};
        if (c->fan_in > 0) rc = log_tidy_new(&cfg, &c->parts[c->count].tidy, ec);
    }
    (void)pthread_mutex_init(&c->lock, NULL);
    c->has_lock = true;
    if (rc == SYNC_OK) rc = thread_start(&c->thread, "log-tidy", run, c, ec);
    c->thread_started = rc == SYNC_OK;
    return rc;
}

void log_cleaner_stop(struct log_cleaner *c)
{
    if (!c->thread_started) return;
    atomic_store(&c->cancel, true);
    pthread_join(c->thread, NULL);
    c->thread_started = false;
}

void log_cleaner_free(struct log_cleaner *c)
{
    for (uint32_t i = 0; i < c->count; i++) log_tidy_free(c->parts[i].tidy);
    free(c->parts);
    c->parts = NULL;
    c->count = 0;
    if (c->has_lock) (void)pthread_mutex_destroy(&c->lock);
    c->has_lock = false;
}
