#include "server/reload.h"

#include "server/net/loop.h"
#include "server/server.h"

#include <assert.h>
#include <errno.h>
#include <semaphore.h>

/* ---- the parts */

static void take_logging(struct server *s, struct settings *fresh)
{
    const struct config_logging *c = &fresh->config->logging;
    log_configure(s->logger.output, c->level, c->format, slice_str(c->namespaces));
}

static void take_retention(struct server *s, struct settings *fresh)
{
    retention_take(&s->retention, &fresh->config->sync);
}

/* The sockets' way is chosen when the loops start. */
static enum sync_err prepare_tls(struct server *s, struct settings *fresh, struct err_ctx *ec)
{
    if (tls_is_on(fresh->config) == tls_is_on(s->config)) return SYNC_OK;
    return err_set(ec, SYNC_ECONFIG, "tls.cert: to turn TLS on or off the server has to be started again");
}

struct take_job {
    struct job job;
    struct settings *fresh;
    sem_t taken;
};

static void take_done(struct job *j)
{
    struct take_job *t = (struct take_job *)j;
    loop_take_settings(j->home, t->fresh);
    (void)sem_post(&t->taken);
}

/* One loop after the other, so that nothing has to be allocated for what must not fail. */
static void take_loops(struct server *s, struct settings *fresh)
{
    struct take_job t = {.job.done = take_done, .fresh = fresh};
    int made = sem_init(&t.taken, 0, 0);
    assert(made == 0);
    for (uint32_t i = 0; i < s->loop_count; i++) {
        t.job.home = &s->loops[i];
        loop_post(t.job.home, &t.job);
        while (sem_wait(&t.taken) != 0) assert(errno == EINTR);
    }
    (void)sem_destroy(&t.taken);
}

/* Loads the new hooks and puts them in place. Of what can fail it comes last, so that what it does need not
 * be undone; the rest of what is fresh follows at once. */
static enum sync_err prepare_hooks(struct server *s, struct settings *fresh, struct err_ctx *ec)
{
    return hook_gate_reload(&s->hooks, fresh->config, ec);
}

/* What takes part, in this order. Either function may be NULL.
 *   prepare: makes what is needed and keeps it in `fresh`, which frees it when it goes; what is in force
 * stays as it is. An error refuses the whole reload, so its text says what was wrong with which option. take:
 * cannot fail, and returns when every thread has changed over. */
struct reload_part {
    enum sync_err (*prepare)(struct server *s, struct settings *fresh, struct err_ctx *ec);
    void (*take)(struct server *s, struct settings *fresh);
};

static const struct reload_part parts[] = {
    {.prepare = prepare_tls},
    {.take = take_logging},
    {.take = take_retention},
    {.prepare = prepare_hooks, .take = take_loops},
};
enum { PART_COUNT = sizeof parts / sizeof parts[0] };

/* ---- the order of things */

static enum sync_err prepare(struct server *s, struct settings *fresh, struct err_ctx *ec)
{
    for (size_t i = 0; i < PART_COUNT; i++) {
        enum sync_err rc = parts[i].prepare == NULL ? SYNC_OK : parts[i].prepare(s, fresh, ec);
        if (rc != SYNC_OK) return rc;
    }
    return SYNC_OK;
}

/* Reads the sources and gives back what is fixed while the server runs. */
static enum sync_err load(struct server *s, const struct config_input *in, struct loaded_config *ret,
                          struct buf *restart, struct err_ctx *ec)
{
    enum sync_err rc = config_load(in, ret, ec);
    if (rc != SYNC_OK) return rc;
    config_restart_needed(s->config, &ret->config, restart);
    config_keep_fixed(&ret->config, s->config);
    rc = config_check(ret, ec); /* with what was kept it is another whole */
    if (rc != SYNC_OK) config_unload(ret);
    return rc;
}

/* What a comparison named; without memory for that it is better told than left out. */
static struct slice named(const struct buf *options)
{
    return options->failed == SYNC_OK ? buf_slice(options) : slice_str("(no memory to tell which)");
}

static void report(struct server *s, const struct settings *fresh, const struct buf *restart)
{
    struct buf changed = buf_make(CONFIG_TEXT_BYTES_MAX);
    const struct text_list *warnings = &fresh->loaded.warnings;
    config_reloaded(s->settings->config, fresh->config, &changed);
    for (size_t i = 0; i < warnings->count; i++)
        log_warn(&s->logger, LOG_CONFIG, "config.warning", LOG_SLICE("text", warnings->items[i]));
    if (named(restart).len > 0)
        log_warn(&s->logger, LOG_CONFIG, "config.restart_needed", LOG_SLICE("options", named(restart)),
                 LOG_STR("next", "they keep their values until the server is started again"));
    log_info(&s->logger, LOG_CONFIG, "config.reloaded", LOG_SLICE("changed", named(&changed)));
    buf_deinit(&changed);
}

void server_reload(struct server *s, const struct config_input *in)
{
    struct err_ctx ec;
    struct loaded_config loaded;
    struct settings *fresh = NULL;
    struct buf restart = buf_make(CONFIG_TEXT_BYTES_MAX);
    enum sync_err rc = load(s, in, &loaded, &restart, &ec);
    if (rc == SYNC_OK) {
        rc = settings_next(&loaded, &fresh, &ec);
        if (rc != SYNC_OK) config_unload(&loaded);
    }
    if (rc == SYNC_OK) rc = prepare(s, fresh, &ec);
    if (rc != SYNC_OK) {
        log_error(&s->logger, LOG_CONFIG, "config.reload_failed", LOG_FAILURE(&ec),
                  LOG_STR("next", "everything stays as it was"));
        settings_unref(fresh);
    } else {
        for (size_t i = 0; i < PART_COUNT; i++)
            if (parts[i].take != NULL) parts[i].take(s, fresh);
        report(s, fresh, &restart);
        settings_unref(s->settings);
        s->settings = fresh;
    }
    buf_deinit(&restart);
}
