#include "hooks/hook_local.h"

#include "hooks/hook_face.h"

#include <stdio.h>
#include <strings.h>

enum { LOG_TEXT_MAX = 1000 };

static void host_log(const struct sync_host *host, int level, const char *text)
{
    const struct hook_local *l = host->server;
    char line[LOG_TEXT_MAX + 1];
    if (text == NULL) return;
    (void)snprintf(line, sizeof line, "%.*s", LOG_TEXT_MAX, text);
    if (level < SYNC_LOG_ERROR || level > SYNC_LOG_DEBUG) level = SYNC_LOG_WARN;
    l->events.log(l->events.arg, l->name, level, line);
}

static bool is_counter_name(const char *name)
{
    if (name == NULL || name[0] < 'a' || name[0] > 'z') return false;
    size_t len = strnlen(name, HOOK_NAME_MAX + 1);
    return len <= HOOK_NAME_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static void host_count(const struct sync_host *host, const char *name, uint64_t n)
{
    const struct hook_local *l = host->server;
    if (is_counter_name(name)) l->events.count(l->events.arg, l->name, name, n);
}

static bool answer_text(const struct sync_answer *answer, char ret[SYNC_ANSWER_TEXT])
{
    size_t len = strnlen(answer->text, SYNC_ANSWER_TEXT - 1); /* a hook may have written over the end mark */
    memcpy(ret, answer->text, len);
    ret[len] = '\0';
    return len > 0;
}

enum sync_err hook_local_open(struct hook_local *l, const char *name, const char *path, const char *config,
                              const struct hook_events *events, struct err_ctx *ec)
{
    *l = (struct hook_local){.events = *events,
                             .host = {.bytes = sizeof l->host,
                                      .abi = SYNC_HOOKS_ABI,
                                      .server = l,
                                      .log = host_log,
                                      .count = host_count}};
    hook_text_copy(l->name, sizeof l->name, slice_str(name));
    enum sync_err rc = hook_library_open(path, &l->library, ec);
    if (rc != SYNC_OK) return rc;
    struct sync_answer answer = {.bytes = sizeof answer};
    int got = l->library.table.open == NULL ? SYNC_HOOK_OK
                                            : l->library.table.open(&l->host, config, &l->state, &answer);
    l->opened = got == SYNC_HOOK_OK;
    if (l->opened) return SYNC_OK;
    char text[SYNC_ANSWER_TEXT];
    if (!answer_text(&answer, text)) (void)snprintf(text, sizeof text, "open returned %d", got);
    hook_local_close(l);
    return err_set(ec, SYNC_ECONFIG, "hook %s did not open: %s", path, text);
}

void hook_local_close(struct hook_local *l)
{
    if (l->opened && l->library.table.shutdown != NULL) l->library.table.shutdown(l->state);
    l->opened = false;
    hook_library_close(&l->library);
}

bool hook_local_is_serial(const struct hook_local *l)
{
    return (l->library.table.flags & SYNC_HOOKS_THREAD_SAFE) == 0;
}

uint32_t hook_local_ops(const struct hook_local *l)
{
    const struct sync_hooks *t = &l->library.table;
    return (t->valid_database_id != NULL ? 1u << HOOK_VALID_DATABASE_ID : 0) |
           (t->authenticate != NULL ? 1u << HOOK_AUTHENTICATE : 0) |
           (t->authorize != NULL ? 1u << HOOK_AUTHORIZE : 0) |
           (t->client_connect != NULL ? 1u << HOOK_CLIENT_CONNECT : 0) |
           (t->client_disconnect != NULL ? 1u << HOOK_CLIENT_DISCONNECT : 0) |
           (t->before_apply_changes != NULL ? 1u << HOOK_BEFORE_APPLY_CHANGES : 0) |
           (t->after_apply_changes != NULL ? 1u << HOOK_AFTER_APPLY_CHANGES : 0) |
           (t->storage_path != NULL ? 1u << HOOK_STORAGE_PATH : 0) |
           (t->coordinator_event != NULL ? 1u << HOOK_COORDINATOR_EVENT : 0);
}

int hook_local_call(struct hook_local *l, struct hook_turn *turn)
{
    const struct sync_hooks *t = &l->library.table;
    const struct hook_input *in = turn->in;
    struct sync_answer answer = {.bytes = sizeof answer};
    struct sync_identity who = {0};
    struct sync_change_sets sets = {0};
    if (in->identity != NULL) who = face_identity(in->identity, l->name);
    if (turn->sets != NULL) sets = face_sets(turn);
    int got = SYNC_HOOK_OK;
    switch (in->op) {
    case HOOK_VALID_DATABASE_ID:
        got = t->valid_database_id(l->state, face_text(in->database), &answer);
        break;
    case HOOK_AUTHENTICATE: {
        struct sync_request request = face_request(in);
        got = t->authenticate(l->state, &request, &turn->grant, &answer);
        break;
    }
    case HOOK_AUTHORIZE: {
        struct sync_operation what = face_operation(in);
        got = t->authorize(l->state, &who, &what, &answer);
        break;
    }
    case HOOK_CLIENT_CONNECT: got = t->client_connect(l->state, &who, &answer); break;
    case HOOK_CLIENT_DISCONNECT: t->client_disconnect(l->state, &who); break;
    case HOOK_BEFORE_APPLY_CHANGES: got = t->before_apply_changes(l->state, &who, &sets, &answer); break;
    case HOOK_AFTER_APPLY_CHANGES: {
        struct sync_apply_result result = face_apply_result(in);
        t->after_apply_changes(l->state, &who, &sets, &result);
        break;
    }
    case HOOK_STORAGE_PATH:
        got = t->storage_path(l->state, face_text(in->database), turn->path, sizeof turn->path, &answer);
        break;
    case HOOK_COORDINATOR_EVENT: {
        struct sync_coordinator_event event = face_event(in);
        t->coordinator_event(l->state, &event);
        break;
    }
    case HOOK_OP_COUNT: break;
    }
    (void)answer_text(&answer, turn->text);
    return got;
}

enum sync_err hook_local_reload(struct hook_local *l, struct err_ctx *ec)
{
    if (l->library.table.reload == NULL) return SYNC_ENOTFOUND;
    struct sync_answer answer = {.bytes = sizeof answer};
    int got = l->library.table.reload(l->state, &answer);
    if (got == SYNC_HOOK_OK) return SYNC_OK;
    char text[SYNC_ANSWER_TEXT];
    if (!answer_text(&answer, text)) (void)snprintf(text, sizeof text, "reload returned %d", got);
    return err_set(ec, SYNC_ECONFIG, "hook %s: %s", l->name, text);
}
