#include "server/net/claim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADERS_MAX = 128,     /* those that libwebsockets has a name for, and as many of hookHeaders */
    CUSTOM_NAME_MAX = 128, /* with its colon */
};

/* What libwebsockets keeps beside headers: the parts of the request line. */
static bool is_header(enum lws_token_indexes t)
{
    switch (t) {
    case WSI_TOKEN_GET_URI:
    case WSI_TOKEN_POST_URI:
    case WSI_TOKEN_OPTIONS_URI:
    case WSI_TOKEN_HEAD_URI:
    case WSI_TOKEN_HTTP_URI_ARGS:
    case WSI_TOKEN_HTTP: return false;
    default: return t < WSI_TOKEN_COUNT;
    }
}

/* "user-agent:" of libwebsockets' table; empty when it has none. */
static struct slice name_of(enum lws_token_indexes t)
{
    const char *text = (const char *)lws_token_to_string(t);
    size_t len = text == NULL ? 0 : strlen(text);
    return len < 2 || text[len - 1] != ':' ? slice_of(NULL, 0) : slice_of(text, len - 1);
}

/* A name of hookHeaders in lower case with a colon, as libwebsockets wants it. False: too long to be one. */
static bool custom_name(struct slice name, char ret[CUSTOM_NAME_MAX])
{
    if (name.len + 2 > CUSTOM_NAME_MAX) return false;
    for (size_t i = 0; i < name.len; i++)
        ret[i] = name.bytes[i] >= 'A' && name.bytes[i] <= 'Z' ? (char)(name.bytes[i] + ('a' - 'A'))
                                                              : name.bytes[i];
    ret[name.len] = ':';
    ret[name.len + 1] = '\0';
    return true;
}

static int custom_length(struct lws *wsi, struct slice name, char text[CUSTOM_NAME_MAX])
{
    return custom_name(name, text) ? lws_hdr_custom_length(wsi, text, (int)name.len + 1) : -1;
}

bool claim_headers_fit(struct lws *wsi, const struct config_hooks *config)
{
    char text[CUSTOM_NAME_MAX];
    size_t bytes = 0;
    for (int t = 0; t < WSI_TOKEN_COUNT; t++) {
        int len =
            is_header((enum lws_token_indexes)t) ? lws_hdr_total_length(wsi, (enum lws_token_indexes)t) : 0;
        if (len > 0) bytes += (size_t)len;
    }
    for (size_t i = 0; i < config->headers.count; i++) {
        int len = custom_length(wsi, config->headers.items[i], text);
        if (len > 0) bytes += (size_t)len;
    }
    return bytes <= config->header_bytes;
}

/* Room for a value of `len` bytes, under that name. NULL: no more room. */
static char *add_header(struct claim *c, struct slice name, int len)
{
    char *value = c->header_count < HEADERS_MAX ? arena_get(&c->arena, (size_t)len + 1) : NULL;
    struct slice own = value == NULL ? slice_of(NULL, 0) : arena_copy(&c->arena, name);
    if (own.bytes == NULL) return NULL;
    c->headers[c->header_count++] = (struct hook_header){.name = own, .value = slice_of(value, (size_t)len)};
    return value;
}

static bool keep_headers(struct claim *c, struct lws *wsi, const struct config_hooks *config)
{
    char text[CUSTOM_NAME_MAX];
    c->headers = arena_get(&c->arena, HEADERS_MAX * sizeof *c->headers);
    if (c->headers == NULL) return false;
    for (int i = 0; i < WSI_TOKEN_COUNT; i++) {
        enum lws_token_indexes t = (enum lws_token_indexes)i;
        int len = is_header(t) ? lws_hdr_total_length(wsi, t) : 0;
        struct slice name = len > 0 ? name_of(t) : slice_of(NULL, 0);
        if (name.len == 0) continue;
        char *value = add_header(c, name, len);
        if (value == NULL || lws_hdr_copy(wsi, value, len + 1, t) != len) return false;
    }
    for (size_t i = 0; i < config->headers.count && c->header_count < HEADERS_MAX; i++) {
        struct slice name = config->headers.items[i];
        int len = custom_length(wsi, name, text);
        if (len < 0) continue;
        char *value = add_header(c, name, len);
        if (value == NULL || lws_hdr_custom_copy(wsi, value, len + 1, text, (int)name.len + 1) < 0)
            return false;
    }
    return true;
}

struct claim *claim_new(struct lws *wsi, const struct config_hooks *config, uint32_t transport,
                        uint64_t connection, bool keeps_headers)
{
    struct claim *c = calloc(1, sizeof *c);
    if (c == NULL) return NULL;
    atomic_init(&c->refs, 1);
    c->transport = transport;
    c->connection = connection;
    (void)lws_get_peer_simple(wsi, c->address, sizeof c->address); /* "" when it has gone already */
    if (keeps_headers && (!claim_headers_fit(wsi, config) || !keep_headers(c, wsi, config))) {
        claim_unref(c);
        return NULL;
    }
    return c;
}

struct claim *claim_ref(struct claim *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void claim_unref(struct claim *c)
{
    if (c == NULL || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
    arena_deinit(&c->arena);
    free(c);
}

static bool copy(struct claim *c, struct slice *to, struct slice from)
{
    *to = arena_copy(&c->arena, from);
    return from.len == 0 || to->bytes != NULL;
}

bool claim_complete(struct claim *c, struct slice database, struct slice token, struct slice site_text,
                    const struct site_id *site)
{
    c->site = *site;
    c->has_site = true;
    return copy(c, &c->database, database) && copy(c, &c->token, token) && copy(c, &c->site_text, site_text);
}

struct hook_identity *claim_identity(const struct claim *c)
{
    struct hook_identity *i = hook_identity_new(0);
    if (i == NULL) return NULL;
    i->transport = c->transport;
    i->connection = c->connection;
    i->site = c->site;
    hook_text_copy(i->database, sizeof i->database, c->database);
    hook_text_copy(i->remote_address, sizeof i->remote_address, slice_str(c->address));
    return i;
}
