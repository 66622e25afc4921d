#include "storage/objects/s3_url.h"

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

enum { URL_BYTES_MAX = 32 * 1024 };

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

void s3_url_encode(struct slice text, bool keep_slashes, struct buf *ret)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.bytes[i];
        if (is_unreserved(text.bytes[i]) || (keep_slashes && c == '/')) {
            buf_put_char(ret, text.bytes[i]);
        } else {
            char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
            buf_put(ret, escape, sizeof escape);
        }
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool s3_url_decode(struct slice text, struct buf *ret)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.bytes[i];
        if (c == '%') {
            if (text.len - i < 3) return false;
            int high = hex_value(text.bytes[i + 1]), low = hex_value(text.bytes[i + 2]);
            if (high < 0 || low < 0) return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        buf_put_char(ret, c);
    }
    return true;
}

/* ---- the place */

/* An endpoint, taken apart by libcurl's parser. */
struct endpoint {
    char *scheme, *host, *port, *path; /* port may be NULL: the scheme's own */
};

static void endpoint_deinit(struct endpoint *e)
{
    curl_free(e->scheme);
    curl_free(e->host);
    curl_free(e->port);
    curl_free(e->path);
}

static bool has_part(CURLU *u, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

static enum sync_err endpoint_parse(const char *text, struct endpoint *ret, struct err_ctx *ec)
{
    CURLU *u = curl_url();
    if (u == NULL) return err_set(ec, SYNC_ENOMEM, "S3 endpoint");
    enum sync_err rc = SYNC_OK;
    if (curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &ret->scheme, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &ret->host, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_PATH, &ret->path, 0) != CURLUE_OK)
        rc = err_set(ec, SYNC_ECONFIG, "S3 endpoint is not an address like https://host:port (%.100s)", text);
    else if (strcmp(ret->scheme, "http") != 0 && strcmp(ret->scheme, "https") != 0)
        rc = err_set(ec, SYNC_ECONFIG, "S3 endpoint must begin with http:// or https:// (%.100s)", text);
    else if (has_part(u, CURLUPART_QUERY) || has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_FRAGMENT))
        rc = err_set(ec, SYNC_ECONFIG, "S3 endpoint with a user, a query or a fragment in it");
    else
        (void)curl_url_get(u, CURLUPART_PORT, &ret->port, CURLU_NO_DEFAULT_PORT);
    curl_url_cleanup(u);
    return rc;
}

static bool is_address(const char *host)
{
    struct in_addr v4;
    return host[0] == '[' || inet_pton(AF_INET, host, &v4) == 1;
}

static enum sync_err check_names(const char *region, const char *bucket, struct err_ctx *ec)
{
    size_t bucket_len = strlen(bucket), region_len = strlen(region);
    if (bucket_len < 3 || bucket_len > S3_BUCKET_MAX)
        return err_set(ec, SYNC_ECONFIG, "S3 bucket name \"%.80s\" must have 3 to %d characters", bucket,
                       S3_BUCKET_MAX);
    for (const char *c = bucket; *c != '\0'; c++)
        if (!is_unreserved(*c) || *c == '~')
            return err_set(ec, SYNC_ECONFIG, "S3 bucket name \"%.80s\" has a character that none may have",
                           bucket);
    if (region_len == 0 || region_len > 64)
        return err_set(ec, SYNC_ECONFIG, "S3 region must have 1 to 64 characters");
    for (const char *c = region; *c != '\0'; c++)
        if (!is_unreserved(*c)) return err_set(ec, SYNC_ECONFIG, "S3 region \"%s\" is not a name", region);
    return SYNC_OK;
}

static enum sync_err place_fill(struct s3_place *p, const struct endpoint *e, const char *bucket,
                                bool force_path_style, struct err_ctx *ec)
{
    bool https = strcmp(e->scheme, "https") == 0;
    size_t path_len = strlen(e->path);
    while (path_len > 0 && e->path[path_len - 1] == '/') path_len--;
    p->path_style = force_path_style || is_address(e->host) || (https && strchr(bucket, '.') != NULL);
    bool prefixed = !p->path_style;
    int host = snprintf(p->host, sizeof p->host, "%s%s%s%s%s", prefixed ? bucket : "", prefixed ? "." : "",
                        e->host, e->port == NULL ? "" : ":", e->port == NULL ? "" : e->port);
    int origin = snprintf(p->origin, sizeof p->origin, "%s://%.*s", e->scheme, (int)sizeof p->host, p->host);
    int base = snprintf(p->base_path, sizeof p->base_path, "%.*s%s%s", (int)path_len, e->path,
                        prefixed ? "" : "/", prefixed ? "" : bucket);
    if (host < 0 || origin < 0 || base < 0 || (size_t)host >= sizeof p->host ||
        (size_t)origin >= sizeof p->origin || (size_t)base >= sizeof p->base_path)
        return err_set(ec, SYNC_ECONFIG, "S3 endpoint and bucket are longer than %d characters",
                       S3_ORIGIN_MAX);
    return SYNC_OK;
}

enum sync_err s3_place_init(struct s3_place *p, const char *endpoint, const char *region, const char *bucket,
                            bool force_path_style, struct err_ctx *ec)
{
    char aws[128];
    struct endpoint e = {0};
    enum sync_err rc = check_names(region, bucket, ec);
    if (rc != SYNC_OK) return rc;
    if (endpoint == NULL || endpoint[0] == '\0') {
        bool china = strncmp(region, "cn-", 3) == 0;
        (void)snprintf(aws, sizeof aws, "https://s3.%s.amazonaws.com%s", region, china ? ".cn" : "");
        endpoint = aws;
    }
    rc = endpoint_parse(endpoint, &e, ec);
    if (rc == SYNC_OK) rc = place_fill(p, &e, bucket, force_path_style, ec);
    endpoint_deinit(&e);
    return rc;
}

/* ---- a target */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct s3_param *)a)->name, ((const struct s3_param *)b)->name);
}

enum sync_err s3_target_init(struct s3_target *t, const struct s3_place *p, struct slice key,
                             const struct s3_param *params, size_t count, struct err_ctx *ec)
{
    struct s3_param sorted[S3_QUERY_PARAMS_MAX];
    assert(count <= S3_QUERY_PARAMS_MAX);
    if (count > 0) {
        memcpy(sorted, params, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, by_name);
    }

    t->url = buf_make(URL_BYTES_MAX);
    buf_put_str(&t->url, p->origin);
    t->path_start = t->url.len;
    buf_put_str(&t->url, p->base_path);
    if (key.len > 0 || p->base_path[0] == '\0') buf_put_char(&t->url, '/');
    s3_url_encode(key, true, &t->url);
    t->path_len = t->url.len - t->path_start;
    if (count > 0) buf_put_char(&t->url, '?');
    t->query_start = t->url.len;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) buf_put_char(&t->url, '&');
        s3_url_encode(slice_str(sorted[i].name), false, &t->url);
        buf_put_char(&t->url, '=');
        s3_url_encode(sorted[i].value, false, &t->url);
    }
    t->query_len = t->url.len - t->query_start;
    buf_put_char(&t->url, '\0');
    return buf_check(&t->url, ec);
}
