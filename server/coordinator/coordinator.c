#include "server/coordinator/coordinator.h"

#include "server/base/system.h"
#include "server/base/version.h"
#include "server/base/waiting.h"
#include "server/coordinator/coordinator_internal.h"
#include "server/objects/objects.h"
#include "storage/objects/object_race.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    PROBE_TIMEOUT_MS = 10000,
    PROBE_WAIT_FIRST_MS = 500, /* after a store that did not answer; doubled each time */
    PROBE_WAIT_LAST_MS = 30000,
    TICKET_TIMEOUT_FACTOR = 3, /* times the worker time-out */
};

/* ---- who this instance is */

static void make_worker_id(struct coordinator *c)
{
    const char *given = c->config->worker_id;
    if (given[0] != '\0')
        (void)snprintf(c->cluster.worker_id, sizeof c->cluster.worker_id, "%s", given);
    else
        /* As the predecessor made them. A long namespace is cut: the id must fit. */
        (void)snprintf(c->cluster.worker_id, sizeof c->cluster.worker_id, "gcs-%.32s-%" PRIu64 "-%06x",
                       c->config->namespace_name, system_wall_ms() / 1000,
                       (unsigned)(system_random_u64() & 0xffffff));
}

/* http://HOST:PORT/base, where the others reach this instance as far as it can know. */
static void make_url(struct coordinator *c)
{
    const struct server *s = c->server;
    const char *host = s->config->server.host;
    bool everywhere = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    if (gethostname(c->host, sizeof c->host) != 0) c->host[0] = '\0';
    c->host[sizeof c->host - 1] = '\0';
    if (c->config->url[0] != '\0') {
        size_t len = strlen(c->config->url);
        while (len > 0 && c->config->url[len - 1] == '/') len--;
        (void)snprintf(c->url, sizeof c->url, "%.*s", (int)len, c->config->url);
        return;
    }
    if (everywhere) host = c->host;
    bool bracket = strchr(host, ':') != NULL;
    (void)snprintf(c->url, sizeof c->url, "%s://%s%.160s%s:%u%.64s",
                   s->config->tls.cert[0] != '\0' ? "https" : "http", bracket ? "[" : "", host,
                   bracket ? "]" : "", s->port, s->config->server.base_path);
}

/* ---- asking the store */

static bool is_stopping(struct coordinator *c)
{
    return atomic_load(&c->stopping);
}

/* That one conditional write after the other holds was asked when the store was opened; here they race. */
static enum sync_err ask_store(struct coordinator *c, struct err_ctx *ec)
{
    struct object_call call = {.timeout_ms = PROBE_TIMEOUT_MS, .cancel = &c->stopping};
    c->cluster.store = server_objects(c->server);
    if (c->cluster.store == NULL) return err_set(ec, SYNC_EBUSY, "the object store cannot be used yet");
    return object_race(c->cluster.store, &call, ec);
}

/* Until the store has answered: SYNC_OK, or that it cannot be led on. */
static enum sync_err ask_store_until_it_answers(struct coordinator *c, struct err_ctx *ec)
{
    uint32_t wait_ms = PROBE_WAIT_FIRST_MS;
    for (;;) {
        enum sync_err rc = ask_store(c, ec);
        if (rc == SYNC_OK || rc == SYNC_ECONFIG || is_stopping(c)) return rc;
        log_warn(&c->cluster.logger, LOG_SERVICE, "coordinator.store_silent", LOG_FAILURE(ec),
                 LOG_U64("retry_ms", wait_ms), LOG_STR("next", "no election before the store has answered"));
        if (!wait_unless_stopped(&c->lock, &c->changed, &c->stopping, wait_ms)) return SYNC_ECANCELED;
        wait_ms = wait_ms * 2 < PROBE_WAIT_LAST_MS ? wait_ms * 2 : PROBE_WAIT_LAST_MS;
    }
}

static void refuse(struct coordinator *c, const struct err_ctx *why)
{
    log_error(&c->cluster.logger, LOG_SERVICE, "coordinator.refused", LOG_FAILURE(why),
              LOG_STR("next", "this instance serves, but never leads and does no work of the cluster"));
    pthread_mutex_lock(&c->lock);
    c->state = COORDINATOR_REFUSED;
    c->why = *why;
    pthread_mutex_unlock(&c->lock);
}

/* ---- elections */

static struct election_site site_of(struct coordinator *c, const char *task)
{
    struct election_site site = {.store = c->cluster.store,
                                 .self = {.incarnation = c->cluster.incarnation},
                                 .url = c->url,
                                 .host = c->host,
                                 .version = SYNC_VERSION,
                                 .tasks = c->task_names,
                                 .task_count = c->task_count};
    memcpy(site.self.worker_id, c->cluster.worker_id, sizeof site.self.worker_id);
    election_site_root(&site, c->cluster.namespace_name, task);
    return site;
}

static enum sync_err start_election(struct coordinator *c, const char *task, size_t first, size_t count,
                                    struct err_ctx *ec)
{
    struct coordinator_election *e = &c->elections[c->election_count];
    *e = (struct coordinator_election){
        .coordinator = c, .label = task == NULL ? "global" : task, .first = first, .count = count};
    struct elector_config cfg = {.election = task == NULL ? coordinator_shared_election(c->config)
                                                          : coordinator_task_election(c->config),
                                 .site = site_of(c, task),
                                 .listener = coordinator_listener(e),
                                 .pool = &c->pool};
    if (task != NULL) {
        cfg.site.tasks = &c->task_names[first];
        cfg.site.task_count = 1;
    }
    enum sync_err rc = elector_start(&cfg, &e->elector, ec);
    if (rc != SYNC_OK) return rc;
    pthread_mutex_lock(&c->lock);
    c->election_count++;
    pthread_mutex_unlock(&c->lock);
    for (size_t i = first; i < first + count; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "Plugin subscribed: %s", c->task_names[i]);
        coordinator_log_line(c, e->label, text);
    }
    return SYNC_OK;
}

static enum sync_err start_elections(struct coordinator *c, enum coordination_mode mode, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    pthread_mutex_lock(&c->lock);
    c->mode = mode;
    pthread_mutex_unlock(&c->lock);
    if (mode == COORDINATION_GLOBAL) return start_election(c, NULL, 0, c->task_count, ec);
    for (size_t i = 0; i < c->task_count && rc == SYNC_OK; i++)
        rc = start_election(c, c->task_names[i], i, 1, ec);
    return rc;
}

/* May this instance use the shared election? Rights are often given by prefix, and its is another than that
 * of the tasks' own elections. */
static enum sync_err try_shared(struct coordinator *c, struct err_ctx *ec)
{
    struct election_site site = site_of(c, NULL);
    struct object_call call = {.timeout_ms = PROBE_TIMEOUT_MS, .cancel = &c->stopping};
    struct object_query query = {.prefix = slice_str(site.root), .entries_max = 1};
    struct object_page page;
    enum sync_err rc = object_list(site.store, &call, &query, &page, ec);
    if (rc == SYNC_OK) object_page_deinit(&page);
    return rc;
}

static enum coordination_mode choose_mode(struct coordinator *c)
{
    struct err_ctx ec = {""};
    char text[ERR_TEXT_MAX + 64];
    if (c->config->mode == COORDINATION_PER_TASK) return COORDINATION_PER_TASK;
    if (try_shared(c, &ec) != SYNC_ECONFIG) return COORDINATION_GLOBAL;
    (void)snprintf(text, sizeof text, "Failed to initialize global coordination: %s", ec.text);
    for (size_t i = 0; i < c->task_count; i++) {
        log_warn(&c->cluster.logger, LOG_SERVICE, "coordinator.fallback", LOG_STR("task", c->task_names[i]),
                 LOG_STR("text", text));
        log_warn(&c->cluster.logger, LOG_SERVICE, "coordinator.fallback", LOG_STR("task", c->task_names[i]),
                 LOG_STR("text", "Global coordinator unavailable, falling back to per-task mode"));
    }
    return COORDINATION_PER_TASK;
}

static enum sync_err start_work(struct coordinator *c, struct err_ctx *ec)
{
    enum coordination_mode mode = choose_mode(c);
    struct election_config election = mode == COORDINATION_GLOBAL ? coordinator_shared_election(c->config)
                                                                  : coordinator_task_election(c->config);
    c->cluster.beat_ms = election.heartbeat_interval_ms;
    enum sync_err rc = io_pool_start(&c->pool, mode == COORDINATION_GLOBAL ? 2 : IO_LANE_THREADS_MAX, ec);
    for (size_t i = 0; i < c->task_count && rc == SYNC_OK; i++)
        rc = task_lane_start(&c->lanes[i], &c->tasks[i], &c->cluster.logger, c->cluster.metrics, ec);
    if (rc == SYNC_OK)
        rc = ticket_desk_start(&c->desk, &c->cluster, c->tasks, c->task_count,
                               TICKET_TIMEOUT_FACTOR * election.worker_timeout_ms, ec);
    if (rc == SYNC_OK) rc = start_elections(c, mode, ec);
    return rc;
}

static void *start(void *arg)
{
    struct coordinator *c = arg;
    struct err_ctx ec = {""};
    enum sync_err rc = ask_store_until_it_answers(c, &ec);
    if (rc == SYNC_OK) rc = start_work(c, &ec);
    if (rc == SYNC_OK) {
        pthread_mutex_lock(&c->lock);
        c->state = COORDINATOR_RUNNING;
        pthread_mutex_unlock(&c->lock);
    } else if (!is_stopping(c)) {
        refuse(c, &ec);
    }
    return NULL;
}

/* ---- its life */

static void set_up(struct coordinator *c, struct server *s)
{
    c->server = s;
    c->config = &s->config->coordinator;
    c->cluster = (struct cluster){.server = s,
                                  .logger = s->logger,
                                  .metrics = &s->metrics.coordinator,
                                  .namespace_name = c->config->namespace_name,
                                  .incarnation = system_random_u64(),
                                  .call_ms = PROBE_TIMEOUT_MS,
                                  .beat_ms = c->config->heartbeat_interval_ms,
                                  .tell_tickets = coordinator_tell_tickets,
                                  .spent = coordinator_spent,
                                  .arg = c};
    (void)snprintf(c->cluster.root, sizeof c->cluster.root, "%s%s/", CLUSTER_WORK_ROOT_KEY,
                   c->cluster.namespace_name);
    make_worker_id(c);
    wait_init(&c->lock, &c->changed);
}

enum sync_err coordinator_new(struct server *s, struct coordinator **ret, struct err_ctx *ec)
{
    struct coordinator *c = calloc(1, sizeof *c);
    if (c == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for the coordinator");
    set_up(c, s);
    enum sync_err rc = cluster_tasks_new(&c->cluster, c->tasks, &c->task_count, &c->built_in, ec);
    for (size_t i = 0; i < c->task_count; i++) c->task_names[i] = c->tasks[i].name;
    if (rc != SYNC_OK)
        coordinator_free(c);
    else
        *ret = c;
    return rc;
}

enum sync_err coordinator_start(struct coordinator *c, struct err_ctx *ec)
{
    pthread_mutex_lock(&c->lock);
    make_url(c);
    pthread_mutex_unlock(&c->lock);
    enum sync_err rc = thread_start(&c->starter, "coordinator", start, c, ec);
    c->starter_started = rc == SYNC_OK;
    return rc;
}

/* Tasks first, while the lease still keeps others from starting theirs; then the lease is given back. */
void coordinator_stop(struct coordinator *c, uint32_t within_ms)
{
    if (c == NULL) return;
    wait_stop(&c->lock, &c->changed, &c->stopping);
    if (c->starter_started) pthread_join(c->starter, NULL);
    c->starter_started = false;
    for (size_t i = 0; i < c->task_count; i++) task_lane_stop(&c->lanes[i]);
    for (size_t i = 0; i < c->election_count; i++) elector_ask(c->elections[i].elector, ELECTION_LEAVE);
    for (size_t i = 0; i < c->election_count; i++) elector_leave(c->elections[i].elector, within_ms);
    pthread_mutex_lock(&c->lock);
    c->state = COORDINATOR_STOPPED; /* from here on no hint kicks the desk, which is about to go */
    pthread_mutex_unlock(&c->lock);
    ticket_desk_stop(&c->desk);
    io_pool_stop(&c->pool); /* hints of the leaving go out */
}

void coordinator_free(struct coordinator *c)
{
    if (c == NULL) return;
    for (size_t i = 0; i < c->election_count; i++) elector_free(c->elections[i].elector);
    for (size_t i = 0; i < c->task_count; i++) task_lane_deinit(&c->lanes[i]);
    cluster_tasks_free(c->built_in);
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

/* ---- what others ask */

bool coordinator_hands_out_work(struct coordinator *c)
{
    if (c == NULL) return false;
    pthread_mutex_lock(&c->lock);
    bool running = c->state == COORDINATOR_RUNNING;
    pthread_mutex_unlock(&c->lock);
    return running;
}

bool coordinator_hint(struct coordinator *c, struct slice header_value)
{
    enum hint_kind kind;
    if (!hint_parse(header_value, c->cluster.incarnation, &kind)) return false;
    counter_add(&c->cluster.metrics->hints_received, 1);
    pthread_mutex_lock(&c->lock);
    if (c->state == COORDINATOR_RUNNING && kind == HINT_TICKETS) ticket_desk_kick(&c->desk);
    if (c->state == COORDINATOR_RUNNING && kind == HINT_ELECTION)
        for (size_t i = 0; i < c->election_count; i++) elector_ask(c->elections[i].elector, ELECTION_HINT);
    pthread_mutex_unlock(&c->lock);
    return true;
}

void coordinator_scrape(struct coordinator *c)
{
    struct election_status statuses[CLUSTER_TASKS_MAX];
    if (c == NULL) return;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->election_count; i++) elector_status(c->elections[i].elector, &statuses[i]);
    if (c->election_count > 0)
        coordinator_metrics_elections(c->cluster.metrics, statuses, c->election_count, system_boot_ms());
    pthread_mutex_unlock(&c->lock);
}
