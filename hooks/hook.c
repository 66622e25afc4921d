#include "hooks/hook.h"

#include "hooks/hook_process.h"
#include "hooks/hook_thread.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static struct slice base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct slice name = slice_str(slash == NULL ? path : slash + 1);
    if (name.len > 3 && memcmp(name.bytes + name.len - 3, ".so", 3) == 0) name.len -= 3;
    if (name.len > HOOK_NAME_MAX - 4) name.len = HOOK_NAME_MAX - 4; /* room for "#16" */
    return name;
}

void hook_name_make(const struct hook_config *hooks, size_t index, char ret[HOOK_NAME_MAX + 1])
{
    struct slice name = base_name(hooks[index].path);
    size_t count = 1;
    for (size_t i = 0; i < index; i++) count += slice_eq(base_name(hooks[i].path), name);
    if (count == 1)
        (void)snprintf(ret, HOOK_NAME_MAX + 1, "%.*s", SLICE_ARG(name));
    else
        (void)snprintf(ret, HOOK_NAME_MAX + 1, "%.*s#%zu", SLICE_ARG(name), count);
}

void hook_log(const struct hook *h, int level, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    h->env.log(h->env.log_arg, h->name, level, text);
}

void hook_log_seldom(struct hook *h, int level, const char *fmt, ...)
{
    uint64_t now_ns = hook_now_ns(), last_ns = atomic_load(&h->logged_ns);
    if ((last_ns != 0 && now_ns < last_ns + 1000000000u) ||
        !atomic_compare_exchange_strong(&h->logged_ns, &last_ns, now_ns)) {
        atomic_fetch_add(&h->unlogged, 1);
        return;
    }
    char text[512];
    uint64_t unlogged = atomic_exchange(&h->unlogged, 0);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (unlogged > 0)
        hook_log(h, level, "%s (and %llu more like it)", text, (unsigned long long)unlogged);
    else
        hook_log(h, level, "%s", text);
}

static void on_log(void *arg, const char *name, int level, const char *text)
{
    const struct hook *h = arg;
    h->env.log(h->env.log_arg, name, level, text);
}

static struct hook_counter *find_counter(struct hook *h, const char *name)
{
    unsigned count = atomic_load_explicit(&h->counter_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        if (strcmp(h->counters[i].name, name) == 0) return &h->counters[i];
    return NULL;
}

static struct hook_counter *make_counter(struct hook *h, const char *name)
{
    pthread_mutex_lock(&h->counter_lock);
    struct hook_counter *c = find_counter(h, name); /* another thread may have been quicker */
    unsigned count = atomic_load(&h->counter_count);
    if (c == NULL && count < SYNC_COUNTERS_MAX) {
        c = &h->counters[count];
        hook_text_copy(c->name, sizeof c->name, slice_str(name));
        atomic_store_explicit(&h->counter_count, count + 1, memory_order_release);
    }
    pthread_mutex_unlock(&h->counter_lock);
    return c;
}

static void on_count(void *arg, const char *hook, const char *name, uint64_t n)
{
    struct hook *h = arg;
    (void)hook;
    struct hook_counter *c = find_counter(h, name);
    if (c == NULL) c = make_counter(h, name);
    if (c != NULL) atomic_fetch_add_explicit(&c->value, n, memory_order_relaxed);
}

static void destroy(struct hook *h)
{
    if (h->process != NULL)
        hook_process_close(h->process);
    else
        hook_local_close(&h->local);
    (void)pthread_cond_destroy(&h->changed);
    (void)pthread_mutex_destroy(&h->counter_lock);
    free(h->path);
    free(h->config);
    free(h);
}

static void init_locks(struct hook *h)
{
    hook_cond_init(&h->changed);
    (void)pthread_mutex_init(&h->counter_lock, NULL);
}

enum sync_err hook_open(const struct hook_config *config, const char *name,
                        const struct hook_environment *env, struct hook **ret, struct err_ctx *ec)
{
    enum sync_err rc;
    struct hook *h = calloc(1, sizeof *h);
    if (h == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for hook %s", config->path);
    init_locks(h);
    atomic_init(&h->refs, 1);
    h->env = *env;
    h->timeout_ms = config->timeout_ms == 0 ? HOOK_TIMEOUT_MS_DEFAULT : config->timeout_ms;
    h->isolation = config->isolation;
    hook_text_copy(h->name, sizeof h->name, slice_str(name));
    h->path = strdup(config->path);
    h->config = strdup(config->config == NULL ? "" : config->config);
    if (h->path == NULL || h->config == NULL) {
        rc = err_set(ec, SYNC_ENOMEM, "no memory for hook %s", config->path);
        goto out;
    }
    struct hook_events events = {.arg = h, .log = on_log, .count = on_count};
    if (h->isolation == HOOK_IN_HELPER) {
        rc = hook_process_open(h, &events, &h->process, ec);
        if (rc != SYNC_OK) goto out;
        h->serial = hook_process_is_serial(h->process);
        h->ops = hook_process_ops(h->process);
    } else {
        rc = hook_local_open(&h->local, h->name, h->path, h->config, &events, ec);
        if (rc != SYNC_OK) goto out;
        h->serial = hook_local_is_serial(&h->local);
        h->ops = hook_local_ops(&h->local);
    }
    *ret = h;
    h = NULL;
out:
    if (h != NULL) destroy(h);
    return rc;
}

struct hook *hook_ref(struct hook *h)
{
    atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
    return h;
}

void hook_unref(struct hook *h)
{
    if (atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) == 1) destroy(h);
}

bool hook_is_of(const struct hook *h, const struct hook_config *config)
{
    struct hook_file_id now;
    struct err_ctx ec;
    uint32_t timeout_ms = config->timeout_ms == 0 ? HOOK_TIMEOUT_MS_DEFAULT : config->timeout_ms;
    return h->isolation == HOOK_IN_PROCESS && config->isolation == HOOK_IN_PROCESS &&
           h->timeout_ms == timeout_ms && strcmp(h->path, config->path) == 0 &&
           strcmp(h->config, config->config == NULL ? "" : config->config) == 0 &&
           hook_file_identify(config->path, &now, &ec) == SYNC_OK &&
           hook_file_same(&now, &h->local.library.file);
}

int hook_call(struct hook *h, struct hook_turn *turn, uint64_t deadline_ns)
{
    atomic_fetch_add_explicit(&h->figures.calls, 1, memory_order_relaxed);
    return h->process != NULL ? hook_process_call(h->process, turn, deadline_ns)
                              : hook_local_call(&h->local, turn);
}
