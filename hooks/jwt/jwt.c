/* jwt.c -- a hook: JSON Web Tokens, signed with HS256, RS256 or ES256. docs/hooks.md lists the settings.
 *
 * The key decides the algorithm, never the token: a token is only ever checked with keys whose algorithm its
 * header names, so `none`, or a public key taken for an HMAC secret, finds no key. A token with a `kid` is
 * checked with the keys of that kid, one without with the keys that have none. `exp` must be there. Keys are
 * read again on a reload: rotate by adding the new one under its kid, and later taking the old one away. */
#include "hooks/jwt/jwt_keys.h"
#include "hooks/sync_hooks.h"

#include <fnmatch.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TOKEN_BYTES_MAX = 16384, HEADER_BYTES_MAX = 1024, DATABASE_MAX = 255 };

struct jwt_hook {
    const struct sync_host *host;
    char *config;
    pthread_rwlock_t lock; /* of the settings */
    struct jwt_settings settings;
};

static int refuse(struct sync_answer *answer, const char *why)
{
    snprintf(answer->text, sizeof answer->text, "%s", why);
    return SYNC_HOOK_REFUSED;
}

/* ---- the signature */

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* The JSON of the token's header; NULL when it is not one. */
static json_t *header_of(const char *token)
{
    char text[HEADER_BYTES_MAX];
    size_t len = 0, chars = strcspn(token, ".");
    unsigned bits = 0, held = 0;
    if (chars / 4 * 3 + 3 > sizeof text) return NULL;
    for (size_t i = 0; i < chars; i++) {
        int value = sextet(token[i]);
        if (value < 0) return NULL;
        bits = bits << 6 | (unsigned)value;
        if ((held += 6) >= 8) text[len++] = (char)(bits >> (held -= 8));
    }
    return json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
}

/* The claims of a token that one of the keys signed; NULL when none did. */
static json_t *verified(const struct jwt_settings *s, const char *token)
{
    json_t *header = header_of(token), *claims = NULL;
    const char *alg_name = json_string_value(json_object_get(header, "alg"));
    const char *kid = json_string_value(json_object_get(header, "kid"));
    jwt_alg_t alg = alg_name == NULL ? JWT_ALG_INVAL : jwt_str_alg(alg_name);
    for (size_t i = 0; i < s->key_count && claims == NULL; i++) {
        const struct jwt_key *k = &s->keys[i];
        jwt_t *jwt = NULL;
        if (k->alg != alg || strcmp(k->kid, kid == NULL ? "" : kid) != 0) continue;
        if (jwt_decode(&jwt, token, k->bytes, (int)k->len) != 0) continue;
        if (jwt_get_alg(jwt) == k->alg) {
            char *text = jwt_get_grants_json(jwt, NULL);
            claims = text == NULL ? NULL : json_loads(text, 0, NULL);
            free(text);
        }
        jwt_free(jwt);
    }
    json_decref(header);
    return claims;
}

/* ---- the claims */

/* A point in time; 0 when the claim is absent, and -1 when it is no time. */
static double time_of(const json_t *claims, const char *name)
{
    const json_t *v = json_object_get(claims, name);
    if (v == NULL) return 0;
    double t = json_is_number(v) ? json_number_value(v) : -1;
    return t > 0 && t < 1e13 ? t : -1;
}

/* Is the text among a claim that is a text or a list of texts? */
static int holds(const json_t *claim, const char *text, int as_pattern)
{
    size_t count = json_is_array(claim) ? json_array_size(claim) : 1;
    for (size_t i = 0; i < count; i++) {
        const char *one = json_string_value(json_is_array(claim) ? json_array_get(claim, i) : claim);
        if (one == NULL) continue;
        if (as_pattern ? fnmatch(one, text, 0) == 0 : strcmp(one, text) == 0) return 1;
    }
    return 0;
}

static const char *check_times(const struct jwt_settings *s, const json_t *claims, double now)
{
    double exp = time_of(claims, "exp"), nbf = time_of(claims, "nbf"), leeway = (double)s->leeway_s;
    if (exp <= 0) return "the token has no expiry";
    if (now >= exp + leeway) return "the token has expired";
    if (nbf < 0 || now < nbf - leeway) return "the token is not valid yet";
    return NULL;
}

static const char *check_audience(const struct jwt_settings *s, const json_t *claims)
{
    if (s->issuer[0] != '\0' && !holds(json_object_get(claims, "iss"), s->issuer, 0))
        return "the token is from another issuer";
    if (s->audience[0] != '\0' && !holds(json_object_get(claims, "aud"), s->audience, 0))
        return "the token is for another audience";
    return NULL;
}

static const char *check_database(const struct jwt_settings *s, const json_t *claims,
                                  struct sync_text database)
{
    char name[DATABASE_MAX + 1];
    const json_t *allowed = json_object_get(claims, s->databases);
    if (allowed == NULL && s->any_database) return NULL;
    if (database.len > DATABASE_MAX) return "the token is not for this database";
    memcpy(name, database.bytes, database.len);
    name[database.len] = '\0';
    return holds(allowed, name, 1) ? NULL : "the token is not for this database";
}

static const char *check_site(const struct jwt_settings *s, const json_t *claims, struct sync_text site)
{
    const json_t *claim = json_object_get(claims, s->site);
    if (claim == NULL) return NULL;
    const char *only = json_string_value(claim);
    return only != NULL && sync_text_is(site, only) ? NULL : "the token is for another site id";
}

/* The claim that says what may be done: absent means read-write. */
static const char *take_access(const struct jwt_settings *s, const json_t *claims, struct sync_grant *grant)
{
    const json_t *claim = json_object_get(claims, s->access);
    const char *access = claim == NULL ? "read-write" : json_string_value(claim);
    if (access == NULL || (strcmp(access, "read-write") != 0 && strcmp(access, "read-only") != 0))
        return "the token's access is neither read-only nor read-write";
    grant->metadata[0] = strcmp(access, "read-write") == 0 ? 'w' : 'r';
    grant->metadata_len = 1;
    return NULL;
}

static const char *take_user(const struct jwt_settings *s, const json_t *claims, struct sync_grant *grant)
{
    const char *user = json_string_value(json_object_get(claims, s->user));
    if (user == NULL || user[0] == '\0' || strlen(user) >= sizeof grant->user_id)
        return "the token names no user";
    strcpy(grant->user_id, user);
    return NULL;
}

static const char *take_claims(const struct jwt_settings *s, const json_t *claims,
                               const struct sync_request *request, struct sync_grant *grant)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    double now = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    const char *wrong = check_times(s, claims, now);
    if (wrong == NULL) wrong = check_audience(s, claims);
    if (wrong == NULL) wrong = check_database(s, claims, request->database);
    if (wrong == NULL) wrong = check_site(s, claims, request->site_text);
    if (wrong == NULL) wrong = take_user(s, claims, grant);
    if (wrong == NULL) wrong = take_access(s, claims, grant);
    if (wrong != NULL) return wrong;
    grant->expires_ms = (uint64_t)((time_of(claims, "exp") + (double)s->leeway_s) * 1000);
    if (s->recheck_s > 0) grant->recheck_ms = (uint64_t)((now + (double)s->recheck_s) * 1000);
    return NULL;
}

/* ---- the hook */

static int jwt_authenticate(void *state, const struct sync_request *request, struct sync_grant *grant,
                            struct sync_answer *answer)
{
    struct jwt_hook *h = state;
    char token[TOKEN_BYTES_MAX + 1];
    if (request->token.len == 0) return refuse(answer, "a token is required");
    if (request->token.len > TOKEN_BYTES_MAX ||
        memchr(request->token.bytes, '\0', request->token.len) != NULL)
        return refuse(answer, "the token is not valid");
    memcpy(token, request->token.bytes, request->token.len);
    token[request->token.len] = '\0';
    pthread_rwlock_rdlock(&h->lock);
    json_t *claims = verified(&h->settings, token);
    const char *wrong =
        claims == NULL ? "the token is not valid" : take_claims(&h->settings, claims, request, grant);
    pthread_rwlock_unlock(&h->lock);
    json_decref(claims);
    if (wrong == NULL) return SYNC_HOOK_OK;
    h->host->count(h->host, "refused", 1);
    return refuse(answer, wrong);
}

static int jwt_authorize(void *state, const struct sync_identity *who, const struct sync_operation *what,
                         struct sync_answer *answer)
{
    (void)state;
    if (what->kind != SYNC_APPLY_CHANGES || sync_text_is(who->metadata, "w")) return SYNC_HOOK_OK;
    return refuse(answer, "this token may only read");
}

static int jwt_open(const struct sync_host *host, const char *config, void **ret, struct sync_answer *answer)
{
    struct jwt_hook *h = calloc(1, sizeof *h);
    char text[128];
    const char *wrong = "no memory";
    if (h == NULL) return SYNC_HOOK_FAILED;
    h->host = host;
    h->config = strdup(config);
    if (h->config != NULL) wrong = jwt_settings_read(config, &h->settings, text, sizeof text);
    if (wrong != NULL) {
        snprintf(answer->text, sizeof answer->text, "%s", wrong);
        free(h->config);
        free(h);
        return SYNC_HOOK_FAILED;
    }
    pthread_rwlock_init(&h->lock, NULL);
    *ret = h;
    return SYNC_HOOK_OK;
}

static int jwt_reload(void *state, struct sync_answer *answer)
{
    struct jwt_hook *h = state;
    struct jwt_settings fresh, old;
    char text[128];
    const char *wrong = jwt_settings_read(h->config, &fresh, text, sizeof text);
    if (wrong != NULL) {
        snprintf(answer->text, sizeof answer->text, "%s", wrong);
        return SYNC_HOOK_FAILED;
    }
    pthread_rwlock_wrlock(&h->lock);
    old = h->settings;
    h->settings = fresh;
    pthread_rwlock_unlock(&h->lock);
    jwt_settings_free(&old);
    return SYNC_HOOK_OK;
}

static void jwt_shutdown(void *state)
{
    struct jwt_hook *h = state;
    jwt_settings_free(&h->settings);
    pthread_rwlock_destroy(&h->lock);
    free(h->config);
    free(h);
}

SYNC_HOOKS_EXPORT const struct sync_hooks sync_hooks = {
    SYNC_HOOKS_HEAD,
    .flags = SYNC_HOOKS_THREAD_SAFE,
    .open = jwt_open,
    .shutdown = jwt_shutdown,
    .reload = jwt_reload,
    .authenticate = jwt_authenticate,
    .authorize = jwt_authorize,
};
