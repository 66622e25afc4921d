/* What a running server may take over of a new configuration: the last part of config.h. */
#include "core/config/options.h"

#include <assert.h>

/* A value that found no room marks *ret failed: nobody knows whether it differs. */
static bool differs(const struct option *o, const struct config *a, const struct config *b,
                    struct buf texts[2], struct buf *ret)
{
    buf_clear(&texts[0]);
    buf_clear(&texts[1]);
    option_put_value_unmasked(o, a, &texts[0]);
    option_put_value_unmasked(o, b, &texts[1]);
    for (size_t i = 0; i < 2; i++)
        if (texts[i].failed != SYNC_OK) ret->failed = texts[i].failed;
    return !slice_eq(buf_slice(&texts[0]), buf_slice(&texts[1]));
}

/* Appends the paths of the options that differ, of those that are reloadable or of those that are not. */
static void put_differing(const struct config *a, const struct config *b, unsigned reloadable,
                          struct buf *ret)
{
    size_t named = 0;
    struct buf texts[2] = {buf_make(CONFIG_TEXT_BYTES_MAX), buf_make(CONFIG_TEXT_BYTES_MAX)};
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *o = &config_options[i];
        if ((o->traits & OPTION_RELOADABLE) != reloadable || !differs(o, a, b, texts, ret)) continue;
        if (named++ > 0) BUF_PUT_LIT(ret, ", ");
        buf_put_str(ret, o->path);
    }
    for (size_t i = 0; i < 2; i++) buf_deinit(&texts[i]);
}

void config_restart_needed(const struct config *running, const struct config *fresh, struct buf *ret)
{
    put_differing(running, fresh, 0, ret);
}

void config_reloaded(const struct config *running, const struct config *fresh, struct buf *ret)
{
    put_differing(running, fresh, OPTION_RELOADABLE, ret);
}

void config_keep_fixed(struct config *fresh, const struct config *running)
{
    for (size_t i = 0; i < config_option_count; i++)
        if (!(config_options[i].traits & OPTION_RELOADABLE))
            option_copy_value(&config_options[i], fresh, running);
}
