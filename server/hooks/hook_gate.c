#include "server/hooks/hook_gate.h"

#include "core/config/config_hooks.h"
#include "hooks/hook_library.h"

#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static_assert((int)CONFIG_HOOKS_MAX == (int)HOOKS_MAX, "the longest chain");
static_assert((int)HOOK_TIMEOUT_MS_INITIAL == (int)HOOK_TIMEOUT_MS_DEFAULT, "the deadline of a call");

static void on_log(void *arg, const char *hook, int level, const char *text)
{
    const struct hook_gate *g = arg;
    switch (level) {
    case SYNC_LOG_ERROR:
        log_error(&g->logger, LOG_HOOKS, "hook.log", LOG_STR("hook", hook), LOG_STR("text", text));
        break;
    case SYNC_LOG_WARN:
        log_warn(&g->logger, LOG_HOOKS, "hook.log", LOG_STR("hook", hook), LOG_STR("text", text));
        break;
    case SYNC_LOG_INFO:
        log_info(&g->logger, LOG_HOOKS, "hook.log", LOG_STR("hook", hook), LOG_STR("text", text));
        break;
    default: log_debug(&g->logger, LOG_HOOKS, "hook.log", LOG_STR("hook", hook), LOG_STR("text", text));
    }
}

/* The helper lies beside the server's own program, or in libexec where that is in a folder bin. */
static void find_helper(char ret[PATH_MAX])
{
    static const char *const places[] = {"sync-hook-host", "../libexec/sync-coordinator/sync-hook-host",
                                         "../lib/sync-coordinator/sync-hook-host"};
    char own[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", own, sizeof own - 1);
    if (len < 0) len = 0;
    while (len > 0 && own[len - 1] != '/') len--;
    own[len] = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int n = snprintf(ret, PATH_MAX, "%s%s", own, places[i]);
        if (n > 0 && n < PATH_MAX && access(ret, X_OK) == 0) return;
    }
    (void)snprintf(ret, PATH_MAX, "%.*s%s", (int)(PATH_MAX - 32), own,
                   places[0]); /* told when it is started */
}

static size_t list_of(const struct config *config, struct hook_config ret[HOOKS_MAX])
{
    const struct config_hook_list *list = &config->hooks.chain;
    for (size_t i = 0; i < list->count; i++)
        ret[i] = (struct hook_config){
            .path = list->items[i].path,
            .config = list->items[i].config,
            .timeout_ms = list->items[i].timeout_ms,
            .isolation = list->items[i].place == HOOK_PLACE_HELPER ? HOOK_IN_HELPER : HOOK_IN_PROCESS};
    return list->count;
}

static uint32_t ops_needed(const struct config *config)
{
    return config->auth.mode == AUTH_MODE_CUSTOM ? 1u << HOOK_AUTHENTICATE : 0;
}

static enum sync_err nobody_authenticates(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ECONFIG,
                   "auth.mode: custom needs a hook that authenticates, and none of the configured ones does: "
                   "everyone would be let in");
}

/* Starts the runner, which there is only once there are hooks. */
static enum sync_err start(struct hook_gate *g, const struct config *config, struct err_ctx *ec)
{
    struct hook_config hooks[HOOKS_MAX];
    struct hook_runner_config runner = HOOK_RUNNER_DEFAULT;
    struct hook_runner *r;
    size_t count = list_of(config, hooks);
    if (count == 0) return ops_needed(config) == 0 ? SYNC_OK : nobody_authenticates(ec);
    runner.env = (struct hook_environment){.log_arg = g, .log = on_log, .helper_path = g->helper_path};
    enum sync_err rc = hook_runner_open(&runner, hooks, count, &r, ec);
    if (rc != SYNC_OK) return rc;
    if (ops_needed(config) != 0 && !hook_runner_has(r, HOOK_AUTHENTICATE)) {
        (void)hook_runner_close(r, HOOK_CLOSE_MS);
        return nobody_authenticates(ec);
    }
    atomic_store_explicit(&g->runner, r, memory_order_release);
    return SYNC_OK;
}

static void log_each(void *arg, const struct hook *h)
{
    const struct hook_gate *g = arg;
    log_info(&g->logger, LOG_HOOKS, "hook.loaded", LOG_STR("hook", h->name), LOG_STR("path", h->path),
             LOG_STR("isolation", h->isolation == HOOK_IN_HELPER ? "process" : "none"),
             LOG_U64("timeout_ms", h->timeout_ms), LOG_STR("calls", h->serial ? "one at a time" : "at once"));
}

enum sync_err hook_gate_open(struct hook_gate *g, const struct config *config, struct logger logger,
                             struct sync_metrics *metrics, struct err_ctx *ec)
{
    g->logger = logger;
    g->metrics = metrics;
    find_helper(g->helper_path);
    enum sync_err rc = start(g, config, ec);
    if (rc == SYNC_OK && hook_gate_runner(g) != NULL) hook_runner_each(hook_gate_runner(g), log_each, g);
    return rc;
}

bool hook_gate_close(struct hook_gate *g)
{
    /* From here on nobody is asked, and what still waits for an answer gets none that lets it through. */
    struct hook_runner *r = atomic_exchange(&g->runner, NULL);
    if (hook_runner_close(r, HOOK_CLOSE_MS)) return true;
    log_error(&g->logger, LOG_HOOKS, "hook.left_behind",
              LOG_STR("next", "a call did not return; the process ends without shutting its hook down"));
    return false;
}

/* ---- reload */

struct reload_wait {
    sem_t decided;
    enum sync_err rc;
    struct err_ctx *ec;
};

static void reloaded(void *arg, enum sync_err rc, const char *text)
{
    struct reload_wait *w = arg;
    w->rc = rc;
    if (rc != SYNC_OK) (void)err_set(w->ec, rc, "%s", text);
    (void)sem_post(&w->decided);
}

static enum sync_err reload(struct hook_runner *r, const struct config *fresh, struct err_ctx *ec)
{
    struct hook_config hooks[HOOKS_MAX];
    struct reload_wait w = {.ec = ec};
    int made = sem_init(&w.decided, 0, 0);
    assert(made == 0);
    enum sync_err rc =
        hook_runner_reload(r, hooks, list_of(fresh, hooks), ops_needed(fresh), reloaded, &w, ec);
    if (rc == SYNC_OK) {
        while (sem_wait(&w.decided) != 0) assert(errno == EINTR);
        rc = w.rc;
    }
    (void)sem_destroy(&w.decided);
    return rc;
}

enum sync_err hook_gate_reload(struct hook_gate *g, const struct config *fresh, struct err_ctx *ec)
{
    struct hook_runner *r = hook_gate_runner(g);
    enum sync_err rc = r == NULL ? start(g, fresh, ec) : reload(r, fresh, ec);
    if (rc != SYNC_OK) {
        err_wrap(ec, "hooks");
        return rc;
    }
    r = hook_gate_runner(g);
    if (r != NULL) hook_runner_each(r, log_each, g);
    return SYNC_OK;
}

enum sync_err hook_gate_check(const struct config *config, struct err_ctx *ec)
{
    bool authenticates = false;
    for (size_t i = 0; i < config->hooks.chain.count; i++) {
        struct hook_library l = {0};
        enum sync_err rc = hook_library_open(config->hooks.chain.items[i].path, &l, ec);
        if (rc != SYNC_OK) return rc;
        if (l.table.authenticate != NULL) authenticates = true;
        hook_library_close(&l);
    }
    return ops_needed(config) == 0 || authenticates ? SYNC_OK : nobody_authenticates(ec);
}

uint64_t hook_gate_number(struct hook_gate *g)
{
    return atomic_fetch_add_explicit(&g->connections, 1, memory_order_relaxed) + 1; /* 0 is no key */
}

/* ---- storage_path */

struct path_ask {
    struct hook_call call; /* first */
    sem_t *answered;
    char database[HOOK_DATABASE_MAX];
};

static void path_post(struct hook_call *c)
{
    (void)sem_post(((struct path_ask *)c)->answered);
}

static void path_destroy(struct hook_call *c)
{
    free(c);
}

enum sync_err hook_gate_storage_path(struct hook_gate *g, struct slice database,
                                     char ret[STORAGE_PATH_MAX + 1], struct err_ctx *ec)
{
    sem_t answered;
    ret[0] = '\0';
    if (!hook_gate_has(g, HOOK_STORAGE_PATH)) return SYNC_OK;
    struct path_ask *a = calloc(1, sizeof *a);
    if (a == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to ask the hooks for a path");
    assert(database.len <= sizeof a->database);
    memcpy(a->database, database.bytes, database.len);
    a->call.input =
        (struct hook_input){.op = HOOK_STORAGE_PATH, .database = slice_of(a->database, database.len)};
    a->call.post = path_post;
    a->call.destroy = path_destroy;
    a->answered = &answered;
    int made = sem_init(&answered, 0, 0);
    assert(made == 0);
    hook_runner_submit(hook_gate_runner(g), &a->call);
    while (sem_wait(&answered) != 0) assert(errno == EINTR);
    (void)sem_destroy(&answered);
    const struct hook_result *r = &a->call.result;
    enum sync_err rc = SYNC_OK;
    if (r->outcome == HOOK_APPROVED)
        hook_text_copy(ret, STORAGE_PATH_MAX + 1, slice_str(r->path));
    else
        rc = err_set(ec, r->outcome == HOOK_REFUSED ? SYNC_EFORBIDDEN : SYNC_EBUSY, "storage_path: %s",
                     r->text);
    hook_result_deinit(&a->call.result);
    hook_call_release(&a->call);
    return rc;
}
