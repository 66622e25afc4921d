/* audit_log.c -- an example of a hook: writes one line for each message of changes that was taken.
 *
 * Its configuration string is the path of the file, which it opens anew when the operator reloads (so that
 * the file may be rotated). The table has no SYNC_HOOKS_THREAD_SAFE, so it needs no lock of its own.
 *
 *     cc -shared -fPIC -I.. audit_log.c -o audit-log.so */
#include "sync_hooks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct audit {
    const struct sync_host *host;
    FILE *file;
    char path[];
};

static int audit_open(const struct sync_host *host, const char *config, void **ret,
                      struct sync_answer *answer)
{
    struct audit *a = calloc(1, sizeof *a + strlen(config) + 1);
    if (a == NULL) return SYNC_HOOK_FAILED;
    strcpy(a->path, config);
    a->host = host;
    a->file = fopen(config, "ae");
    if (a->file == NULL) {
        snprintf(answer->text, sizeof answer->text, "%.150s: %s", config, strerror(errno));
        free(a);
        return SYNC_HOOK_FAILED;
    }
    *ret = a;
    return SYNC_HOOK_OK;
}

static void audit_shutdown(void *state)
{
    struct audit *a = state;
    fclose(a->file);
    free(a);
}

static int audit_reload(void *state, struct sync_answer *answer)
{
    struct audit *a = state;
    FILE *file = fopen(a->path, "ae");
    if (file == NULL) {
        snprintf(answer->text, sizeof answer->text, "%.150s: %s", a->path, strerror(errno));
        return SYNC_HOOK_FAILED;
    }
    fclose(a->file);
    a->file = file;
    return SYNC_HOOK_OK;
}

static void audit_after(void *state, const struct sync_identity *who, struct sync_change_sets *sets,
                        const struct sync_apply_result *result)
{
    struct audit *a = state;
    fprintf(a->file, "%lld %.*s %.*s sets=%u applied=%llu rejected=%u\n", (long long)time(NULL),
            (int)who->database.len, who->database.bytes, (int)who->user_id.len, who->user_id.bytes,
            sets->count, (unsigned long long)result->applied, result->rejected);
    if (fflush(a->file) != 0) a->host->log(a->host, SYNC_LOG_ERROR, "the audit file cannot be written");
}

SYNC_HOOKS_EXPORT const struct sync_hooks sync_hooks = {
    SYNC_HOOKS_HEAD,
    .open = audit_open,
    .shutdown = audit_shutdown,
    .reload = audit_reload,
    .after_apply_changes = audit_after,
};
