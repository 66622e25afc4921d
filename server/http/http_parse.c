#include "server/http/http_parse.h"

#include "core/base/base64.h"

#include <stdlib.h>
#include <strings.h>

enum { LENGTH_DIGITS_MAX = 18 }; /* of what 64 bits hold without a doubt */

/* ---- path */

static struct slice drop_first(struct slice s, size_t n)
{
    return slice_of(s.bytes + n, s.len - n);
}

static bool ends_with(struct slice s, const char *tail, struct slice *ret_before)
{
    size_t n = strlen(tail);
    if (s.len < n || memcmp(s.bytes + s.len - n, tail, n) != 0) return false;
    *ret_before = slice_of(s.bytes, s.len - n);
    return true;
}

static bool fixed_route(struct slice rest, enum http_endpoint *ret)
{
    static const struct {
        const char *path;
        enum http_endpoint endpoint;
    } routes[] = {
        {"/status", HTTP_ENDPOINT_STATUS},           {"/metrics", HTTP_ENDPOINT_METRICS},
        {"/healthz", HTTP_ENDPOINT_HEALTHZ},         {"/readyz", HTTP_ENDPOINT_READYZ},
        {"/coordinator", HTTP_ENDPOINT_COORDINATOR}, {"/coordinator/hint", HTTP_ENDPOINT_COORDINATOR_HINT},
    };
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!slice_is(rest, routes[i].path)) continue;
        *ret = routes[i].endpoint;
        return true;
    }
    return false;
}

/* BASE/DATABASE/changes and BASE/DATABASE/snapshot. libwebsockets resolves percent-encoding, and makes one of
 * several slashes, before we see the path: an empty database shows as none at all. */
static void database_route(struct slice rest, struct http_request *r)
{
    struct slice database;
    if (ends_with(rest, "/changes", &database))
        r->endpoint = r->method == METHOD_POST ? HTTP_ENDPOINT_APPLY_CHANGES : HTTP_ENDPOINT_GET_CHANGES;
    else if (ends_with(rest, "/snapshot", &database))
        r->endpoint = HTTP_ENDPOINT_SNAPSHOT;
    else
        return;
    if (database.len > 0) database = drop_first(database, 1); /* its slash */
    r->database_valid = database_id_is_valid(database);
    r->database_is_text = database_id_is_text(database);
    r->database_len = database.len < sizeof r->database ? database.len : sizeof r->database - 1;
    if (r->database_len > 0) memcpy(r->database, database.bytes, r->database_len);
}

void http_parse_path(const char *base_path, struct slice path, struct http_request *r)
{
    struct slice base = slice_str(base_path);
    r->endpoint = HTTP_ENDPOINT_OTHER;
    if (!slice_starts_with(path, base)) return;
    struct slice rest = drop_first(path, base.len);
    if (rest.len == 0 || rest.bytes[0] != '/') return;
    if (!fixed_route(rest, &r->endpoint)) database_route(rest, r);
}

/* ---- headers */

void http_parse_connection(const char *version, const char *connection, struct http_request *r)
{
    r->is_http_1_0 = strcmp(version, "HTTP/1.1") != 0;
    r->keep_alive =
        r->is_http_1_0 ? strcasecmp(connection, "keep-alive") == 0 : strcasecmp(connection, "close") != 0;
}

/* Where does the body end (RFC 9112 section 6.3)? Two readers of one request must never disagree on that: a
 * Content-Length is digits, once, and not with Transfer-Encoding, and that is `chunked` and nothing else. Two
 * headers of a name show as one with a comma. */
void http_parse_framing(const char *length, const char *coding, struct http_request *r)
{
    r->has_length = length != NULL;
    r->is_chunked = coding != NULL && strcasecmp(coding, "chunked") == 0;
    r->length = 0;
    if (coding != NULL) {
        r->framing_valid = r->is_chunked && length == NULL && !r->is_http_1_0;
        return;
    }
    r->framing_valid = length == NULL;
    if (length == NULL || length[0] == '\0') return;
    size_t digits = strspn(length, "0123456789");
    if (length[digits] != '\0' || digits > LENGTH_DIGITS_MAX) return;
    r->length = strtoull(length, NULL, 10);
    r->framing_valid = true;
}

void http_parse_body_type(const char *type, const char *encoding, struct http_request *r)
{
    static const char json[] = "application/json";
    r->is_json = strcspn(type, "; \t") == sizeof json - 1 && strncasecmp(type, json, sizeof json - 1) == 0;
    if (encoding == NULL || strcasecmp(encoding, "identity") == 0)
        r->encoding = BODY_PLAIN;
    else
        r->encoding = strcasecmp(encoding, "gzip") == 0 ? BODY_GZIP : BODY_UNKNOWN;
}

size_t http_parse_token(char *text, size_t len)
{
    static const char scheme[] = "Bearer ";
    if (len < sizeof scheme - 1 || strncasecmp(text, scheme, sizeof scheme - 1) != 0) return len;
    memmove(text, text + sizeof scheme - 1, len - (sizeof scheme - 1));
    return len - (sizeof scheme - 1);
}

/* ---- query */

const char *http_parse_parameter(const char *part, const char *name)
{
    size_t len = strlen(name);
    return strncmp(part, name, len) == 0 && part[len] == '=' ? part + len + 1 : NULL;
}

enum sync_err http_parse_since(char *text, struct hlc *ret, struct err_ctx *ec)
{
    uint8_t bytes[HLC_ENCODED_SIZE];
    size_t len;
    /* A + of base64 that arrived raw shows as the space that it means in a query. */
    for (char *c = text; *c != '\0'; c++)
        if (*c == ' ') *c = '+';
    if (!base64_decode(BASE64_ANY, slice_str(text), bytes, sizeof bytes, &len) || len != sizeof bytes)
        return err_set(ec, SYNC_EBADMSG, "sinceHLC is not an HLC in base64");
    hlc_decode(bytes, ret);
    return SYNC_OK;
}

enum sync_err http_parse_wait(const char *text, uint64_t *ret_ms, struct err_ctx *ec)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0 && seconds < 1e9))
        return err_set(ec, SYNC_EBADMSG, "wait is not a number of seconds");
    *ret_ms = (uint64_t)(seconds * 1000);
    return SYNC_OK;
}
