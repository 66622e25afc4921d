/* config_hooks.h -- the option `hooks`: a list of shared objects, each with a configuration string of its
 * own.
 *
 * In the file an item is {"path": .., "config": .., "timeoutMs": .., "isolation": ..}. On the command line
 * and in the environment it is PATH or PATH:CONFIG, with the defaults for the rest. Configuration strings may
 * hold secrets: no error and no printed configuration shows one.
 *
 * Pure. Threads: one. */
#ifndef CORE_CONFIG_CONFIG_HOOKS_H
#define CORE_CONFIG_CONFIG_HOOKS_H

#include "core/config/config.h"
#include "core/json/json.h"

enum {
    HOOK_TIMEOUT_MS_INITIAL = 5000,
    HOOK_TIMEOUT_MS_MIN = 10,
    HOOK_TIMEOUT_MS_MAX = 600000,
    HOOK_CONFIG_BYTES_MAX = 64 << 10, /* of one configuration string */
};

/* Makes the list of texts PATH[:CONFIG]; empty ones are left out. Everything is copied into the arena.
 * Errors: SYNC_ECONFIG, SYNC_ENOMEM. */
enum sync_err config_hooks_parse(struct arena *a, const struct slice *items, size_t count,
                                 struct config_hook_list *ret, struct err_ctx *ec);

/* Reads the list from the file. *ret_at is moved to the key that was looked at last. Errors: SYNC_ECONFIG,
 * with the item and key in the text; SYNC_ENOMEM. Text that is no JSON shows when the reader is closed. */
enum sync_err config_hooks_read(struct arena *a, const struct json_value *v, struct config_hook_list *ret,
                                const char **ret_at, struct err_ctx *ec);

/* Appends the list as JSON. Without `secrets` a configuration string shows as "(secret)". */
void config_hooks_put(struct buf *out, const struct config_hook_list *list, bool secrets);

#endif
