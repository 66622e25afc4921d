/* webhook.c -- a hook: asks an HTTP endpoint. docs/hooks.md shows what is sent, what may be answered, and the
 * settings.
 *
 * Connections are kept open and shared by threads, one call at a time on each. A request is sent again only
 * when the connection could not be made, so the endpoint never sees one twice. Whatever is no clear answer is
 * a failure, and thus refuses. Approvals and refusals of authenticate and authorize may be kept for a while,
 * under the digest of the question. */
#include "hooks/sync_hooks.h"
#include "hooks/webhook/webhook_http.h"

#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CACHE_SLOTS = 4096, BASE64_SITE = 22 };

struct kept {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    long until_s; /* on the monotonic clock; 0: empty */
    char *body;
};

struct webhook {
    const struct sync_host *host;
    struct webhook_http http;
    pthread_mutex_t lock;
    struct kept cache[CACHE_SLOTS]; /* a slot for each digest: the newer one stays */
};

static json_t *text_of(struct sync_text t)
{
    json_t *text = json_stringn(t.bytes == NULL ? "" : t.bytes, t.len);
    return text != NULL ? text : json_string(""); /* not UTF-8: no token that an endpoint could know */
}

static json_t *site_of(const struct sync_site *site)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char text[BASE64_SITE + 1] = {0};
    unsigned bits = 0, held = 0, len = 0;
    for (size_t i = 0; i < sizeof site->bytes; i++) {
        bits = bits << 8 | site->bytes[i];
        for (held += 8; held >= 6; held -= 6) text[len++] = letters[bits >> (held - 6) & 63];
    }
    text[len] = letters[bits << (6 - held) & 63]; /* 128 bits leave two over */
    return json_string(text);
}

static long now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long)t.tv_sec + 1;
}

/* ---- asking */

static struct kept *slot_of(struct webhook *w, const unsigned char *digest)
{
    return &w->cache[(digest[0] << 8 | digest[1]) % CACHE_SLOTS];
}

static char *recall(struct webhook *w, const unsigned char *digest)
{
    pthread_mutex_lock(&w->lock);
    const struct kept *k = slot_of(w, digest);
    int good = k->until_s > now_s() && memcmp(k->digest, digest, SHA256_DIGEST_LENGTH) == 0;
    char *body = good ? strdup(k->body) : NULL;
    pthread_mutex_unlock(&w->lock);
    return body;
}

static void remember(struct webhook *w, const unsigned char *digest, const char *body)
{
    char *copy = strdup(body);
    if (copy == NULL) return; /* it is asked again */
    pthread_mutex_lock(&w->lock);
    struct kept *k = slot_of(w, digest);
    free(k->body);
    memcpy(k->digest, digest, SHA256_DIGEST_LENGTH);
    k->until_s = now_s() + w->http.cache_s;
    k->body = copy;
    pthread_mutex_unlock(&w->lock);
}

/* Sends the question, which it takes, and gives the answer's JSON; NULL, with a text, when there is none. */
static json_t *ask(struct webhook *w, json_t *question, int may_cache, struct sync_answer *answer)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char *body = json_dumps(question, JSON_COMPACT | JSON_SORT_KEYS), *got = NULL;
    json_decref(question);
    if (body == NULL) return NULL;
    may_cache = may_cache && w->http.cache_s > 0;
    if (may_cache) {
        SHA256((const unsigned char *)body, strlen(body), digest);
        got = recall(w, digest);
    }
    int cached = got != NULL;
    if (!cached) got = webhook_post(&w->http, body, answer->text, sizeof answer->text);
    w->host->count(w->host, cached ? "cached" : got != NULL ? "answered" : "failed", 1);
    free(body);
    if (got == NULL) return NULL;
    json_t *reply = json_loads(got, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_boolean(json_object_get(reply, "ok"))) {
        snprintf(answer->text, sizeof answer->text, "the answer has no \"ok\" that is true or false");
        json_decref(reply);
        reply = NULL;
    }
    if (reply != NULL && may_cache && !cached) remember(w, digest, got);
    free(got);
    return reply;
}

/* What the answer's `ok` means. Gives the reply back in any case. */
static int verdict(const json_t *reply, struct sync_answer *answer)
{
    if (json_is_true(json_object_get(reply, "ok"))) return SYNC_HOOK_OK;
    const char *text = json_string_value(json_object_get(reply, "text"));
    snprintf(answer->text, sizeof answer->text, "%s", text == NULL ? "" : text);
    return SYNC_HOOK_REFUSED;
}

static json_t *identity_of(const struct sync_identity *who)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "userId", text_of(who->user_id), "database",
                     text_of(who->database), "siteId", site_of(&who->site), "metadata",
                     text_of(who->metadata));
}

/* ---- functions */

static uint64_t time_of(const json_t *reply, const char *name)
{
    double ms = json_number_value(json_object_get(reply, name));
    return ms > 0 && ms < 1e16 ? (uint64_t)ms : 0;
}

static int take_grant(const json_t *reply, struct sync_grant *grant, struct sync_answer *answer)
{
    const char *user = json_string_value(json_object_get(reply, "userId"));
    const char *metadata = json_string_value(json_object_get(reply, "metadata"));
    if ((user != NULL && strlen(user) >= sizeof grant->user_id) ||
        (metadata != NULL && strlen(metadata) > sizeof grant->metadata)) {
        snprintf(answer->text, sizeof answer->text, "userId or metadata is too long");
        return SYNC_HOOK_FAILED;
    }
    if (user != NULL) strcpy(grant->user_id, user);
    if (metadata != NULL) {
        grant->metadata_len = (uint32_t)strlen(metadata);
        memcpy(grant->metadata, metadata, grant->metadata_len);
    }
    grant->expires_ms = time_of(reply, "expiresMs");
    grant->recheck_ms = time_of(reply, "recheckMs");
    return SYNC_HOOK_OK;
}

static int web_authenticate(void *state, const struct sync_request *r, struct sync_grant *grant,
                            struct sync_answer *answer)
{
    struct webhook *w = state;
    if (!w->http.asks_authenticate) return SYNC_HOOK_OK;
    json_t *reply =
        ask(w,
            json_pack("{s:s, s:o, s:o, s:o, s:o, s:s, s:b}", "call", "authenticate", "database",
                      text_of(r->database), "token", text_of(r->token), "siteId", text_of(r->site_text),
                      "remoteAddress", text_of(r->remote_address), "transport",
                      r->transport == SYNC_TRANSPORT_HTTP ? "http" : "websocket", "recheck", (int)r->recheck),
            !r->recheck, answer);
    if (reply == NULL) return SYNC_HOOK_FAILED;
    int got = verdict(reply, answer);
    if (got == SYNC_HOOK_OK) got = take_grant(reply, grant, answer);
    json_decref(reply);
    return got;
}

static int web_authorize(void *state, const struct sync_identity *who, const struct sync_operation *what,
                         struct sync_answer *answer)
{
    static const char *const names[] = {"get_changes", "apply_changes", "get_snapshot", "resume_snapshot",
                                        "connect"};
    struct webhook *w = state;
    if (!w->http.asks_authorize) return SYNC_HOOK_OK;
    const char *name = what->kind < sizeof names / sizeof names[0] ? names[what->kind] : "unknown";
    json_t *reply = ask(
        w, json_pack("{s:s, s:o, s:s}", "call", "authorize", "identity", identity_of(who), "operation", name),
        1, answer);
    if (reply == NULL) return SYNC_HOOK_FAILED;
    int got = verdict(reply, answer);
    json_decref(reply);
    return got;
}

/* JSON text as a value. What the library cannot hold (integers past 64 bits, half a surrogate pair) goes as
 * the text of its JSON: no change may be missing, since the answer counts them. */
static json_t *value_of(struct sync_text text)
{
    json_t *value = text.len == 0 ? json_null() : json_loadb(text.bytes, text.len, JSON_DECODE_ANY, NULL);
    return value != NULL ? value : text_of(text);
}

static json_t *change_of(const struct sync_change *c)
{
    static const char *const kinds[] = {"column", "delete"};
    if (c->kind == SYNC_CHANGE_MIGRATION)
        return json_pack("{s:o, s:o, s:o, s:o}", "type", text_of(c->migration), "schema", text_of(c->schema),
                         "table", text_of(c->table), "ddl", value_of(c->ddl));
    json_t *change = json_pack("{s:s, s:o, s:o, s:o}", "type", kinds[c->kind], "schema", text_of(c->schema),
                               "table", text_of(c->table), "pk", value_of(c->pk));
    if (c->kind == SYNC_CHANGE_CELL) {
        json_object_set_new(change, "column", text_of(c->column));
        json_object_set_new(change, "value", value_of(c->value));
    }
    return change;
}

static json_t *sets_of(struct sync_change_sets *sets)
{
    json_t *list = json_array();
    int good = 1;
    for (uint32_t i = 0; i < sets->count && good; i++) {
        struct sync_change_set set = {.bytes = sizeof set};
        struct sync_change c = {.bytes = sizeof c};
        json_t *changes = json_array();
        good = sets->set_at(sets, i, &set);
        for (uint32_t k = 0; good && sets->change_at(sets, i, k, &c); k++)
            good = json_array_append_new(changes, change_of(&c)) == 0;
        json_t *one = json_pack("{s:o, s:o, s:o}", "siteId", site_of(&set.site), "transactionId",
                                text_of(set.transaction_id), "changes", changes);
        good = json_array_append_new(list, one) == 0 && good;
    }
    if (good) return list;
    json_decref(list); /* no memory: it is not asked about half of the changes */
    return NULL;
}

static struct sync_text member(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    return (struct sync_text){json_string_value(v), json_string_length(v)};
}

/* Numbers that are none name nothing, which refuses the request. */
static uint32_t index_of(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    json_int_t n = json_is_integer(v) ? json_integer_value(v) : -1;
    return n < 0 || n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static void decide(const json_t *reply, struct sync_change_sets *sets)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(reply, "reject"), i, one)
    {
        struct sync_rejection why = {.bytes = sizeof why,
                                     .reason = member(one, "reason"),
                                     .code = member(one, "code"),
                                     .table = member(one, "table"),
                                     .column = member(one, "column")};
        sets->reject(sets, index_of(one, "set"), &why);
    }
    json_array_foreach(json_object_get(reply, "drop"), i, one)
    {
        sets->drop(sets, index_of(one, "set"), index_of(one, "change"));
    }
    json_array_foreach(json_object_get(reply, "replace"), i, one)
    {
        char *json = json_dumps(json_object_get(one, "changeSet"), JSON_COMPACT);
        struct sync_text text = {json, json == NULL ? 0 : strlen(json)};
        sets->replace(sets, index_of(one, "set"), text);
        free(json);
    }
}

static int web_before(void *state, const struct sync_identity *who, struct sync_change_sets *sets,
                      struct sync_answer *answer)
{
    struct webhook *w = state;
    if (!w->http.asks_before_apply) return SYNC_HOOK_OK;
    json_t *reply = ask(w,
                        json_pack("{s:s, s:o, s:o}", "call", "before_apply_changes", "identity",
                                  identity_of(who), "changeSets", sets_of(sets)),
                        0, answer);
    if (reply == NULL) return SYNC_HOOK_FAILED;
    int got = verdict(reply, answer);
    if (got == SYNC_HOOK_OK) decide(reply, sets);
    json_decref(reply);
    return got;
}

static int web_open(const struct sync_host *host, const char *config, void **ret, struct sync_answer *answer)
{
    struct webhook *w = calloc(1, sizeof *w);
    if (w == NULL) return SYNC_HOOK_FAILED;
    w->host = host;
    if (!webhook_http_open(&w->http, config, answer->text, sizeof answer->text)) {
        free(w);
        return SYNC_HOOK_FAILED;
    }
    pthread_mutex_init(&w->lock, NULL);
    *ret = w;
    return SYNC_HOOK_OK;
}

static void web_shutdown(void *state)
{
    struct webhook *w = state;
    for (size_t i = 0; i < CACHE_SLOTS; i++) free(w->cache[i].body);
    webhook_http_close(&w->http);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

SYNC_HOOKS_EXPORT const struct sync_hooks sync_hooks = {
    SYNC_HOOKS_HEAD,
    .flags = SYNC_HOOKS_THREAD_SAFE,
    .open = web_open,
    .shutdown = web_shutdown,
    .authenticate = web_authenticate,
    .authorize = web_authorize,
    .before_apply_changes = web_before,
};
