#include "server/hooks/database_place.h"

#include "hooks/hook_library.h"

#include <stdio.h>
#include <time.h>

enum sync_err database_place_find(struct hook_gate *hooks, struct slice database, struct database_place *ret,
                                  struct err_ctx *ec)
{
    enum sync_err rc = hook_gate_storage_path(hooks, database, ret->path, ec);
    if (rc != SYNC_OK) return rc;
    ret->at = (struct snapshot_place){.database = database, .path = slice_str(ret->path)};
    rc = snapshot_place_check(ret->at, ec);
    if (rc != SYNC_OK) err_wrap(ec, "storage_path");
    return rc;
}

/* ---- commands */

static void to_stderr(void *arg, const char *line, size_t len)
{
    (void)arg;
    (void)fwrite(line, 1, len, stderr);
}

static uint64_t wall_ms(void *arg)
{
    struct timespec t;
    (void)arg;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static enum sync_err has_path(const struct config_hook *h, bool *ret, struct err_ctx *ec)
{
    struct hook_library l = {0};
    enum sync_err rc = hook_library_open(h->path, &l, ec);
    if (rc != SYNC_OK) return rc;
    *ret = l.table.storage_path != NULL;
    hook_library_close(&l);
    return SYNC_OK;
}

enum sync_err database_place_open_hooks(struct hook_gate *g, const struct config *config, struct err_ctx *ec)
{
    static struct log_output output; /* hooks may log until the process ends */
    static struct sync_metrics metrics;
    struct config_hook asked[CONFIG_HOOKS_MAX];
    struct config own = *config; /* with a shorter list */
    size_t count = 0;
    for (size_t i = 0; i < config->hooks.chain.count; i++) {
        bool has = false;
        enum sync_err rc = has_path(&config->hooks.chain.items[i], &has, ec);
        if (rc != SYNC_OK) return rc;
        if (has) asked[count++] = config->hooks.chain.items[i];
    }
    if (count == 0) return SYNC_OK;
    own.hooks.chain = (struct config_hook_list){.items = asked, .count = count};
    own.auth.mode = AUTH_MODE_NONE; /* nobody comes in through a command */
    log_output_init(&output, (struct log_sink){.write = to_stderr, .now_ms = wall_ms});
    log_configure(&output, LOG_LEVEL_WARN, LOG_FORMAT_TEXT, slice_of(NULL, 0));
    return hook_gate_open(g, &own, logger_of(&output), &metrics, ec);
}
