/* A hook that does what its configuration string says: words "function=action", separated by blanks.
 *
 *   ok, refuse, silent, long, fail, rubbish   what it returns
 *   block      waits for a byte from descriptor `fd=N`, or until somebody opens `fifo=PATH` to write
 *   crash      ends its process
 *
 * of before_apply_changes (`before=`):
 *   table:T    rejects ChangeSets with a change of table T
 *   drop:T, column:C   drops changes of table T, cells of column C
 *   json:J     replaces each ChangeSet by J; blanks in J are written as ~
 *   twice, wild, endless   rejects a set twice; decides about one that is not there; rejects without end
 *
 * of authenticate:
 *   user=U, x-user in a header            the user
 *   only=T       refuses other tokens than T
 *   grant=endless, latin, metadata, site  a grant that is not right
 *   expires=MS, recheck=MS, expiresin=MS, recheckin=MS   times, since 1970 or from now
 *   revoked=PATH refuses while there is such a file
 *   ask=NAME     refuses with the text "token|site|transport|address|recheck|value of the header NAME"
 *
 * of authorize:
 *   tell=all     refuses and tells what it was given, by the metadata of authenticate
 *   reader=U, writer=U   refuses the user to write, to read
 *   connect=no, snapshot=no   refuses that operation
 *
 * `leak=BYTES` loses as much memory with each call, `count=NAME` counts each call, `log=TEXT` logs each,
 * `trace=yes` logs each with its function. */
#include "hooks/sync_hooks.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifndef SCRIPTED_FLAGS
#define SCRIPTED_FLAGS SYNC_HOOKS_THREAD_SAFE
#endif

struct script {
    const struct sync_host *host;
    char text[8192];
};

/* The value of a word, "" without it. */
static const char *word(const struct script *s, const char *name, char *room, size_t room_bytes)
{
    size_t len = strlen(name);
    room[0] = '\0';
    for (const char *at = s->text; *at != '\0'; at += strcspn(at, " "), at += strspn(at, " ")) {
        if (strncmp(at, name, len) != 0 || at[len] != '=') continue;
        snprintf(room, room_bytes, "%.*s", (int)strcspn(at + len + 1, " "), at + len + 1);
        break;
    }
    return room;
}

static void block(const struct script *s)
{
    char room[256], byte;
    s->host->log(s->host, SYNC_LOG_INFO, "blocked");
    if (word(s, "fifo", room, sizeof room)[0] != '\0') {
        int fd = open(room, O_RDONLY);
        if (fd >= 0) close(fd);
        return;
    }
    while (read(atoi(word(s, "fd", room, sizeof room)), &byte, 1) < 0) continue;
}

static int act(const struct script *s, const char *function, struct sync_answer *answer)
{
    char room[8192];
    size_t lost = strtoul(word(s, "leak", room, sizeof room), NULL, 10);
    if (lost > 0 && strcmp(function, "open") != 0) memset(malloc(lost), 1, lost);
    word(s, "count", room, sizeof room);
    if (room[0] != '\0') s->host->count(s->host, room, 1);
    word(s, "log", room, sizeof room);
    if (room[0] != '\0') s->host->log(s->host, SYNC_LOG_INFO, room);
    if (word(s, "trace", room, sizeof room)[0] != '\0') s->host->log(s->host, SYNC_LOG_INFO, function);
    word(s, function, room, sizeof room);
    if (strcmp(room, "refuse") == 0) {
        if (answer != NULL) snprintf(answer->text, sizeof answer->text, "no %s", function);
        return SYNC_HOOK_REFUSED;
    }
    if (strcmp(room, "silent") == 0) return SYNC_HOOK_REFUSED;
    if (strcmp(room, "long") == 0) {
        memset(answer->text, 'x', sizeof answer->text); /* without an end mark */
        return SYNC_HOOK_REFUSED;
    }
    if (strcmp(room, "fail") == 0) return SYNC_HOOK_FAILED;
    if (strcmp(room, "rubbish") == 0) return -77;
    if (strcmp(room, "block") == 0) block(s);
    if (strcmp(room, "crash") == 0) _exit(9);
    return SYNC_HOOK_OK;
}

static int script_open(const struct sync_host *host, const char *config, void **ret,
                       struct sync_answer *answer)
{
    struct script *s = calloc(1, sizeof *s);
    if (s == NULL) return SYNC_HOOK_FAILED;
    s->host = host;
    snprintf(s->text, sizeof s->text, "%s", config);
    int got = act(s, "open", answer);
    if (got != SYNC_HOOK_OK) {
        free(s);
        return got;
    }
    *ret = s;
    return SYNC_HOOK_OK;
}

static void script_shutdown(void *state)
{
    char room[64];
    struct script *s = state;
    if (word(s, "shutdown", room, sizeof room)[0] != '\0') s->host->log(s->host, SYNC_LOG_INFO, room);
    free(s);
}

static int is_text(struct sync_text text, const struct script *s, const char *name)
{
    char room[256];
    return word(s, name, room, sizeof room)[0] != '\0' && sync_text_is(text, room);
}

static unsigned long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000;
}

static int refused_by_word(const struct script *s, const struct sync_request *r, struct sync_answer *answer)
{
    char room[256];
    struct sync_text value = {"", 0};
    if (word(s, "only", room, sizeof room)[0] != '\0' && !sync_text_is(r->token, room)) {
        snprintf(answer->text, sizeof answer->text, "not this token");
        return 1;
    }
    if (word(s, "revoked", room, sizeof room)[0] != '\0' && access(room, F_OK) == 0) {
        snprintf(answer->text, sizeof answer->text, "revoked");
        return 1;
    }
    if (word(s, "ask", room, sizeof room)[0] == '\0') return 0;
    if (!r->header(r, room, &value)) value = (struct sync_text){"(none)", 6};
    snprintf(answer->text, sizeof answer->text, "%.*s|%.*s|%u|%.*s|%u|%.*s", (int)r->token.len,
             r->token.bytes, (int)r->site_text.len, r->site_text.bytes, r->transport,
             (int)r->remote_address.len, r->remote_address.bytes, r->recheck, (int)value.len, value.bytes);
    return 1;
}

static int script_authenticate(void *state, const struct sync_request *r, struct sync_grant *g,
                               struct sync_answer *answer)
{
    struct script *s = state;
    char room[256];
    struct sync_text header;
    int got = act(s, "authenticate", answer);
    if (got != SYNC_HOOK_OK) return got;
    if (refused_by_word(s, r, answer)) return SYNC_HOOK_REFUSED;
    word(s, "user", room, sizeof room);
    if (room[0] != '\0') {
        size_t len = strlen(g->user_id); /* what the hook before said, then this one's */
        snprintf(g->user_id + len, sizeof g->user_id - len, "%s", room);
    }
    if (r->header(r, "x-user", &header))
        snprintf(g->user_id, sizeof g->user_id, "%.*s", (int)header.len, header.bytes);
    g->metadata_len = (uint32_t)snprintf((char *)g->metadata, sizeof g->metadata, "%.*s/%s",
                                         (int)r->token.len, r->token.bytes, room);
    word(s, "grant", room, sizeof room);
    if (strcmp(room, "endless") == 0) memset(g->user_id, 'u', sizeof g->user_id);
    if (strcmp(room, "latin") == 0) memcpy(g->user_id, "\xe9", 2);
    if (strcmp(room, "metadata") == 0) g->metadata_len = 100000;
    if (strcmp(room, "site") == 0) g->site.bytes[0] ^= 1;
    if (word(s, "expiresin", room, sizeof room)[0] != '\0')
        g->expires_ms = now_ms() + strtoull(room, NULL, 10);
    if (word(s, "recheckin", room, sizeof room)[0] != '\0')
        g->recheck_ms = now_ms() + strtoull(room, NULL, 10);
    if (word(s, "expires", room, sizeof room)[0] != '\0') g->expires_ms = strtoull(room, NULL, 10);
    if (word(s, "recheck", room, sizeof room)[0] != '\0') g->recheck_ms = strtoull(room, NULL, 10);
    return SYNC_HOOK_OK;
}

static int script_authorize(void *state, const struct sync_identity *who, const struct sync_operation *what,
                            struct sync_answer *answer)
{
    char room[16];
    struct script *s = state;
    int got = act(s, "authorize", answer);
    int writes = what->kind == SYNC_APPLY_CHANGES;
    int connects = what->kind == SYNC_CONNECT;
    int snapshots = what->kind == SYNC_GET_SNAPSHOT || what->kind == SYNC_RESUME_SNAPSHOT;
    if (got == SYNC_HOOK_OK && ((writes && is_text(who->user_id, s, "reader")) ||
                                (!writes && !connects && is_text(who->user_id, s, "writer")) ||
                                (connects && word(s, "connect", room, sizeof room)[0] != '\0') ||
                                (snapshots && word(s, "snapshot", room, sizeof room)[0] != '\0'))) {
        snprintf(answer->text, sizeof answer->text, "%.*s may not", (int)who->user_id.len,
                 who->user_id.bytes);
        return SYNC_HOOK_REFUSED;
    }
    if (got != SYNC_HOOK_OK || strcmp(word(state, "tell", room, sizeof room), "all") != 0) return got;
    snprintf(answer->text, sizeof answer->text, "%.*s %.*s %.*s %u %u %u %llu", (int)who->user_id.len,
             who->user_id.bytes, (int)who->metadata.len, who->metadata.bytes, (int)who->database.len,
             who->database.bytes, what->kind, what->change_count, what->has_since,
             (unsigned long long)what->since.wall_ms);
    return SYNC_HOOK_REFUSED;
}

static int script_connect(void *state, const struct sync_identity *who, struct sync_answer *answer)
{
    (void)who;
    return act(state, "client_connect", answer);
}

static void script_disconnect(void *state, const struct sync_identity *who)
{
    struct script *s = state;
    char line[128];
    act(s, "client_disconnect", NULL);
    if (word(s, "trace", line, sizeof line)[0] == '\0') return;
    snprintf(line, sizeof line, "goodbye %.*s", (int)who->user_id.len, who->user_id.bytes);
    s->host->log(s->host, SYNC_LOG_INFO, line);
}

static void drop_matching(struct sync_change_sets *sets, uint32_t set, uint32_t count, const char *table,
                          const char *column)
{
    for (uint32_t i = 0; i < count; i++) {
        struct sync_change c;
        c.bytes = sizeof c;
        if (!sets->change_at(sets, set, i, &c)) continue;
        if ((table[0] != '\0' && sync_text_is(c.table, table)) ||
            (column[0] != '\0' && sync_text_is(c.column, column)))
            sets->drop(sets, set, i);
    }
}

static void reject_matching(struct sync_change_sets *sets, uint32_t set, uint32_t count, const char *table)
{
    for (uint32_t i = 0; i < count; i++) {
        struct sync_change c;
        c.bytes = sizeof c;
        if (!sets->change_at(sets, set, i, &c) || !sync_text_is(c.table, table)) continue;
        struct sync_rejection why = {.bytes = sizeof why,
                                     .reason = {"not this table", 14},
                                     .code = {"TABLE", 5},
                                     .table = c.table,
                                     .column = c.column};
        sets->reject(sets, set, &why);
        return;
    }
}

static int script_before(void *state, const struct sync_identity *who, struct sync_change_sets *sets,
                         struct sync_answer *answer)
{
    char room[8192];
    struct script *s = state;
    (void)who;
    int got = act(s, "before", answer);
    if (got != SYNC_HOOK_OK) return got;
    word(s, "before", room, sizeof room);
    for (uint32_t i = 0; i < sets->count; i++) {
        struct sync_change_set set;
        set.bytes = sizeof set;
        if (!sets->set_at(sets, i, &set)) return SYNC_HOOK_FAILED;
        if (strncmp(room, "table:", 6) == 0) reject_matching(sets, i, set.change_count, room + 6);
        if (strncmp(room, "drop:", 5) == 0) drop_matching(sets, i, set.change_count, room + 5, "");
        if (strncmp(room, "column:", 7) == 0) drop_matching(sets, i, set.change_count, "", room + 7);
        if (strncmp(room, "json:", 5) == 0) {
            for (char *c = room; *c != '\0'; c++)
                if (*c == '~') *c = ' ';
            struct sync_text json = {room + 5, strlen(room + 5)};
            sets->replace(sets, i, json);
        }
        if (strcmp(room, "twice") == 0) {
            sync_reject(sets, i, "first", NULL);
            sync_reject(sets, i, "second", NULL);
        }
    }
    if (strcmp(room, "wild") == 0) sets->drop(sets, 0, 100000);
    if (strcmp(room, "endless") == 0)
        while (sync_reject(sets, 0, "again", NULL)) continue;
    return SYNC_HOOK_OK;
}

static void script_after(void *state, const struct sync_identity *who, struct sync_change_sets *sets,
                         const struct sync_apply_result *result)
{
    struct script *s = state;
    char line[128];
    act(s, "after", NULL);
    snprintf(line, sizeof line, "after %.*s sets=%u applied=%llu rejected=%u", (int)who->user_id.len,
             who->user_id.bytes, sets->count, (unsigned long long)result->applied, result->rejected);
    s->host->log(s->host, SYNC_LOG_INFO, line);
}

static int script_valid(void *state, struct sync_text database, struct sync_answer *answer)
{
    char room[16];
    int got = act(state, "valid", answer);
    if (got == SYNC_HOOK_OK && strcmp(word(state, "valid", room, sizeof room), "digits") == 0)
        for (size_t i = 0; i < database.len; i++)
            if (!isdigit((unsigned char)database.bytes[i])) return SYNC_HOOK_REFUSED;
    return got;
}

static void script_event(void *state, const struct sync_coordinator_event *event)
{
    struct script *s = state;
    char line[512];
    act(s, "event", NULL);
    snprintf(line, sizeof line, "event %.*s|%.*s|%.*s|%.*s|%llu", (int)event->name.len, event->name.bytes,
             (int)event->namespace_name.len, event->namespace_name.bytes, (int)event->election.len,
             event->election.bytes, (int)event->leader_id.len, event->leader_id.bytes,
             (unsigned long long)event->epoch);
    s->host->log(s->host, SYNC_LOG_INFO, line);
}

static int script_path(void *state, struct sync_text database, char *path, size_t path_bytes,
                       struct sync_answer *answer)
{
    char room[64];
    int got = act(state, "path", answer);
    word(state, "under", room, sizeof room);
    if (strcmp(room, "endless") == 0)
        memset(path, 'p', path_bytes);
    else if (room[0] != '\0')
        snprintf(path, path_bytes, "%s/%.*s", room, (int)database.len, database.bytes);
    return got;
}

#ifdef SCRIPTED_RELOADS
static int script_reload(void *state, struct sync_answer *answer)
{
    struct script *s = state;
    s->host->count(s->host, "reloads", 1);
    return act(s, "reload", answer);
}
#endif

#ifdef SCRIPTED_ABI
#undef SYNC_HOOKS_ABI
#define SYNC_HOOKS_ABI SCRIPTED_ABI
#endif

#ifndef SCRIPTED_BYTES
#define SCRIPTED_BYTES sizeof(struct sync_hooks)
#endif

#ifdef SCRIPTED_NAMELESS
#define sync_hooks_name sync_hooks_of_another_name
#else
#define sync_hooks_name sync_hooks
#endif

SYNC_HOOKS_EXPORT const struct sync_hooks sync_hooks_name = {
    .abi = SYNC_HOOKS_ABI,
    .bytes = SCRIPTED_BYTES,
    .flags = SCRIPTED_FLAGS,
    .open = script_open,
    .shutdown = script_shutdown,
#ifdef SCRIPTED_RELOADS
    .reload = script_reload,
#endif
    .valid_database_id = script_valid,
    .authenticate = script_authenticate,
    .authorize = script_authorize,
    .client_connect = script_connect,
    .client_disconnect = script_disconnect,
    .before_apply_changes = script_before,
    .after_apply_changes = script_after,
    .storage_path = script_path,
    .coordinator_event = script_event,
};
