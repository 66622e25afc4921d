#include "server/commands/command_coordinator.h"

#include "core/election/ticket.h"

#include "server/base/system.h"
#include "server/base/version.h"
#include "server/commands/command.h"
#include "server/config_source.h"
#include "server/coordinator/elector.h"
#include "server/coordinator/hints.h"
#include "server/objects/objects.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CALL_TIMEOUT_MS = 10000, LOOK_AGAIN_MS = 250, TASKS_SHOWN_MAX = 64 };

static const char USAGE[] =
    "Usage: sync-coordinator coordinator status|elect|step-down [--task NAME] [FLAG]...\n"
    "\n"
    "  status      who leads, in which epoch, and which workers there are\n"
    "  elect       has an election held, although the leader may be well\n"
    "  step-down   has the leader stop and leave the lease to another instance\n"
    "\n"
    "FLAG: as for the server, which finds the same object store and namespace by them (--config, "
    "--object-dir,\n"
    "--s3-bucket, --coordinator-namespace, ...). --task: the election of one task, where coordinator.mode "
    "is\n"
    "per-task.\n";

struct coordinator_command {
    struct loaded_config loaded;
    struct object_store *store;
    struct election_config election;
    struct election_site site;
    struct object_call call;
    const char *task; /* NULL: the shared election */
};

static int fail(const struct err_ctx *ec)
{
    (void)fprintf(stderr, "sync-coordinator: %s\n", ec->text);
    return COMMAND_FAILED;
}

/* ---- looking */

/* "3.2 s ago", or when it lies ahead of this machine's clock, that. */
static void put_age(uint64_t wall_ms)
{
    uint64_t now_ms = system_wall_ms();
    if (wall_ms > now_ms)
        printf("%.1f s ahead of this machine's clock", (double)(wall_ms - now_ms) / 1000);
    else
        printf("%.1f s ago", (double)(now_ms - wall_ms) / 1000);
}

static enum sync_err read_state(const struct coordinator_command *c, const struct election_site *site,
                                struct election_state *ret, struct err_ctx *ec)
{
    struct object_version ignored;
    enum sync_err rc = election_io_read_state(site, &c->call, ret, &ignored, ec);
    if (rc != SYNC_OK && rc != SYNC_ENOTFOUND) err_wrap(ec, "%s%s", site->root, ELECTION_STATE_KEY);
    return rc;
}

static void show_state(const struct election_state *s)
{
    if (s->hold == ELECTION_HELD)
        printf("leader      %s\n", s->leader_id);
    else
        printf("leader      none\n");
    printf("epoch       %" PRIu64 "\n", s->epoch);
    printf("lease       %s, %u ms long", election_hold_name(s->hold), s->lease_ms);
    if (s->hold == ELECTION_HELD) {
        printf(", renewed ");
        put_age(s->renewed_wall_ms);
    } else if (s->hold == ELECTION_RELEASED) {
        printf(", by %s", s->leader_id);
    }
    printf("\n");
}

static enum sync_err show_worker(const struct coordinator_command *c, const struct election_site *site,
                                 const char *id, const struct election_state *state, struct err_ctx *ec)
{
    struct election_worker_record w;
    enum sync_err rc = election_io_read_worker(site, &c->call, id, &w, ec);
    if (rc == SYNC_ENOTFOUND) return SYNC_OK; /* it left meanwhile */
    if (rc == SYNC_EBADMSG || rc == SYNC_EFORMAT) {
        printf("  %s  %s\n", id, ec->text);
        return SYNC_OK;
    }
    if (rc != SYNC_OK) return rc;
    bool leads = state->hold == ELECTION_HELD && strcmp(state->leader_id, id) == 0;
    uint64_t beat_ms =
        leads && state->renewed_wall_ms > w.heartbeat_wall_ms ? state->renewed_wall_ms : w.heartbeat_wall_ms;
    uint64_t now_ms = system_wall_ms();
    bool silent = now_ms > beat_ms && now_ms - beat_ms > c->election.worker_timeout_ms;
    printf("  %-36s %-8s heartbeat ", id, leads ? "leader" : silent ? "silent" : "live");
    put_age(beat_ms);
    printf("  %s  %s\n", w.url, w.version);
    return SYNC_OK;
}

static enum sync_err show_workers(const struct coordinator_command *c, const struct election_site *site,
                                  const struct election_state *state, struct err_ctx *ec)
{
    char prefix[ELECTION_ROOT_MAX + 16];
    struct object_page page;
    (void)snprintf(prefix, sizeof prefix, "%s%s", site->root, ELECTION_WORKERS_KEY);
    struct object_query query = {.prefix = slice_str(prefix)};
    size_t root_len = strlen(site->root);
    enum sync_err rc = object_list(site->store, &c->call, &query, &page, ec);
    if (rc != SYNC_OK) return rc;
    printf("workers     %zu%s\n", page.count, page.more ? " and more" : "");
    for (size_t i = 0; i < page.count && rc == SYNC_OK; i++) {
        struct slice key = page.entries[i].key, id;
        char text[WORKER_ID_MAX + 1];
        if (!election_key_worker(slice_of(key.bytes + root_len, key.len - root_len), &id)) continue;
        (void)snprintf(text, sizeof text, "%.*s", SLICE_ARG(id));
        rc = show_worker(c, site, text, state, ec);
    }
    object_page_deinit(&page);
    return rc;
}

static enum sync_err show_election(const struct coordinator_command *c, const struct election_site *site,
                                   const char *label, bool *ret_there, struct err_ctx *ec)
{
    struct election_state state = {.hold = ELECTION_VACANT};
    enum sync_err rc = read_state(c, site, &state, ec);
    *ret_there = rc != SYNC_ENOTFOUND;
    if (rc == SYNC_ENOTFOUND) return SYNC_OK;
    printf("election    %s\n", label);
    if (rc != SYNC_OK) return rc;
    show_state(&state);
    return show_workers(c, site, &state, ec);
}

/* The elections of single tasks, of which there are some where the mode is, or was, per-task. */
static enum sync_err show_task_elections(const struct coordinator_command *c, size_t *ret_count,
                                         struct err_ctx *ec)
{
    char prefix[ELECTION_ROOT_MAX + 1];
    struct object_page page;
    (void)snprintf(prefix, sizeof prefix, "%s%s/", ELECTION_TASK_ROOT_KEY, c->site.namespace_name);
    struct object_query query = {
        .prefix = slice_str(prefix), .delimiter = '/', .entries_max = TASKS_SHOWN_MAX};
    size_t prefix_len = strlen(prefix);
    *ret_count = 0;
    enum sync_err rc = object_list(c->store, &c->call, &query, &page, ec);
    if (rc != SYNC_OK) return rc;
    for (size_t i = 0; i < page.count && rc == SYNC_OK; i++) {
        struct slice key = page.entries[i].key;
        char task[TICKET_TASK_MAX + 1];
        bool there;
        if (!page.entries[i].is_prefix || key.len - prefix_len - 1 > TICKET_TASK_MAX) continue;
        (void)snprintf(task, sizeof task, "%.*s", (int)(key.len - prefix_len - 1), key.bytes + prefix_len);
        struct election_site site = c->site;
        election_site_root(&site, c->site.namespace_name, task);
        rc = show_election(c, &site, task, &there, ec);
        *ret_count += there ? 1 : 0;
    }
    object_page_deinit(&page);
    return rc;
}

static int status(struct coordinator_command *c)
{
    struct err_ctx ec;
    bool there = false;
    size_t tasks = 0;
    printf("store       %s\n", object_store_name(c->store));
    printf("namespace   %s\n", c->site.namespace_name);
    enum sync_err rc = show_election(c, &c->site, c->task != NULL ? c->task : "global", &there, &ec);
    if (rc == SYNC_OK && c->task == NULL) rc = show_task_elections(c, &tasks, &ec);
    if (rc != SYNC_OK) return fail(&ec);
    if (there || tasks > 0) return COMMAND_DONE;
    printf("leader      none: there has not been an election here\n");
    return COMMAND_FAILED;
}

/* ---- asking */

static void tell_leader(const struct coordinator_command *c, const struct election_state *state)
{
    struct err_ctx ec;
    if (hint_send(&c->site, state->leader_id, HINT_ELECTION, &ec) != SYNC_OK)
        printf("The leader could not be told (%s); it looks by itself, some seconds later.\n", ec.text);
}

/* Until another epoch is led, or the leader's was released and nobody wants it. */
static int wait_for_next(const struct coordinator_command *c, uint64_t epoch)
{
    uint64_t lease_ms = c->election.lease_timeout_ms, beat_ms = c->election.heartbeat_interval_ms;
    uint64_t end_ms = system_boot_ms() + 2 * lease_ms + 4 * beat_ms;
    struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};
    struct election_state state;
    struct err_ctx ec;
    while (system_boot_ms() < end_ms) {
        enum sync_err rc = read_state(c, &c->site, &state, &ec);
        if (rc == SYNC_OK && state.hold == ELECTION_HELD && state.epoch > epoch) {
            printf("%s leads (epoch: %" PRIu64 ").\n", state.leader_id, state.epoch);
            return COMMAND_DONE;
        }
        if (rc != SYNC_OK && rc != SYNC_EBUSY && rc != SYNC_ENOTFOUND) return fail(&ec);
        (void)nanosleep(&pause, NULL);
    }
    (void)err_set(&ec, SYNC_EBUSY, "no new leader within %" PRIu64 " ms; see `coordinator status`",
                  2 * lease_ms + 4 * beat_ms);
    return fail(&ec);
}

static enum sync_err read_leader(const struct coordinator_command *c, struct election_state *ret,
                                 struct err_ctx *ec)
{
    enum sync_err rc = read_state(c, &c->site, ret, ec);
    if (rc == SYNC_ENOTFOUND || (rc == SYNC_OK && ret->hold != ELECTION_HELD))
        return err_set(ec, SYNC_ENOTFOUND, "nobody leads %s: an election is held as soon as an instance runs",
                       c->site.root);
    return rc;
}

/* Creates a key below the root, once; that it is there already is as good. */
static enum sync_err create(const struct coordinator_command *c, const char *key, struct slice bytes,
                            struct err_ctx *ec)
{
    char full[ELECTION_ROOT_MAX + ELECTION_KEY_MAX + 1];
    enum object_outcome outcome;
    (void)snprintf(full, sizeof full, "%s%s", c->site.root, key);
    enum sync_err rc = object_put_if_absent(c->store, &c->call, slice_str(full), bytes, &outcome, NULL, ec);
    if (rc == SYNC_OK && outcome == OBJECT_UNKNOWN) rc = SYNC_EBUSY;
    if (rc != SYNC_OK) err_wrap(ec, "create %s", full);
    return rc;
}

static enum sync_err check_age(const struct coordinator_command *c, const struct election_state *state,
                               struct err_ctx *ec)
{
    uint64_t now_ms = system_wall_ms(), min_ms = c->election.epoch_min_ms;
    uint64_t age_ms = now_ms > state->acquired_wall_ms ? now_ms - state->acquired_wall_ms : 0;
    if (age_ms >= min_ms) return SYNC_OK;
    return err_set(ec, SYNC_EBUSY,
                   "%s has led for %" PRIu64 " ms, and perTask.minEpochDurationMs is %" PRIu64
                   ": try again later",
                   state->leader_id, age_ms, min_ms);
}

static int elect(struct coordinator_command *c)
{
    struct election_state state;
    struct err_ctx ec;
    struct buf bytes = buf_make(ELECTION_RECORD_BYTES_MAX);
    enum sync_err rc = read_leader(c, &state, &ec);
    if (rc == SYNC_OK) rc = check_age(c, &state, &ec);
    if (rc == SYNC_OK) {
        struct election_epoch epoch = {.epoch = state.epoch + 1,
                                       .worker_id = "operator",
                                       .token = {.incarnation = system_random_u64()},
                                       .lease_ms = state.lease_ms,
                                       .created_wall_ms = system_wall_ms()};
        election_epoch_put(&bytes, &epoch);
        rc = buf_check(&bytes, &ec);
        if (rc == SYNC_OK) rc = create(c, election_epoch_key(epoch.epoch).text, buf_slice(&bytes), &ec);
    }
    buf_deinit(&bytes);
    if (rc != SYNC_OK) return fail(&ec);
    printf("Asked for an election after epoch %" PRIu64 ", led by %s.\n", state.epoch, state.leader_id);
    tell_leader(c, &state);
    return wait_for_next(c, state.epoch);
}

static int step_down(struct coordinator_command *c)
{
    struct election_state state;
    struct err_ctx ec, ignored;
    char key[ELECTION_KEY_MAX + 1], full[ELECTION_ROOT_MAX + ELECTION_KEY_MAX + 1];
    enum sync_err rc = read_leader(c, &state, &ec);
    if (rc == SYNC_OK) {
        election_step_down_key(state.epoch, key);
        rc = create(c, key, slice_str("{ \"format\":1 }\n"), &ec);
    }
    if (rc != SYNC_OK) return fail(&ec);
    printf("Asked %s to step down (epoch: %" PRIu64 ").\n", state.leader_id, state.epoch);
    tell_leader(c, &state);
    int code = wait_for_next(c, state.epoch);
    (void)snprintf(full, sizeof full, "%s%s", c->site.root, key);
    if (code == COMMAND_DONE)
        (void)object_delete(c->store, &c->call, slice_str(full),
                            &ignored); /* it says nothing to a later epoch */
    return code;
}

/* ---- the command line */

static enum sync_err open_command(struct coordinator_command *c, int argc, char *const argv[],
                                  struct err_ctx *ec)
{
    static const struct object_observer nobody = {0};
    struct config_input in = config_source(argc, argv);
    enum sync_err rc = config_load(&in, &c->loaded, ec);
    if (rc != SYNC_OK) return rc;
    const struct config *config = &c->loaded.config;
    if (config->object.dir[0] == '\0' && config->s3.bucket[0] == '\0')
        return err_set(ec, SYNC_ECONFIG,
                       "there is no object store to look into: set s3.bucket or object.dir");
    if (!election_namespace_ok(slice_str(config->coordinator.namespace_name)))
        return err_set(ec, SYNC_ECONFIG, "coordinator.namespace is not a name of one");
    rc = objects_open(config, &nobody, &c->store, ec);
    if (rc != SYNC_OK) return rc;
    c->election = c->task == NULL ? coordinator_shared_election(&config->coordinator)
                                  : coordinator_task_election(&config->coordinator);
    c->site = (struct election_site){.store = c->store, .url = "", .host = "", .version = SYNC_VERSION};
    c->call = (struct object_call){.timeout_ms = CALL_TIMEOUT_MS};
    election_site_root(&c->site, config->coordinator.namespace_name, c->task);
    return SYNC_OK;
}

static int usage(void)
{
    (void)fputs(USAGE, stderr);
    return COMMAND_USAGE;
}

int command_coordinator(int argc, char *const argv[])
{
    static const struct {
        const char *name;
        int (*run)(struct coordinator_command *c);
    } verbs[] = {{"status", status}, {"elect", elect}, {"step-down", step_down}};
    struct coordinator_command c = {0};
    struct err_ctx ec;
    int (*run)(struct coordinator_command *) = NULL;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0] && argc > 1; i++)
        if (strcmp(argv[1], verbs[i].name) == 0) run = verbs[i].run;
    if (run == NULL) return usage();
    int first = 1; /* what config_source() takes for the program's name */
    if (argc > 3 && strcmp(argv[2], "--task") == 0) {
        c.task = argv[3];
        first = 3;
        if (!ticket_task_ok(slice_str(c.task))) {
            (void)err_set(&ec, SYNC_ECONFIG, "--task: that is no task's name");
            return fail(&ec);
        }
    }
    (void)signal(SIGPIPE, SIG_IGN);
    int code = open_command(&c, argc - first, argv + first, &ec) == SYNC_OK ? run(&c) : fail(&ec);
    object_store_close(c.store);
    config_unload(&c.loaded);
    return fflush(stdout) == 0 ? code : COMMAND_FAILED;
}
