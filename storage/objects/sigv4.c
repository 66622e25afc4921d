#include "storage/objects/sigv4.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <time.h>

enum { DATE_TEXT = 8, SECRET_MAX = 512, CANONICAL_BYTES_MAX = 64 * 1024 };

static void to_hex(const uint8_t bytes[SHA256_DIGEST_LENGTH], char ret[SIGV4_HASH_HEX + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[SIGV4_HASH_HEX] = '\0';
}

void sigv4_hash(struct slice bytes, char ret[SIGV4_HASH_HEX + 1])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    (void)SHA256((const uint8_t *)bytes.bytes, bytes.len, digest);
    to_hex(digest, ret);
}

void sigv4_time(int64_t seconds, char ret[SIGV4_TIME_TEXT + 1])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    (void)gmtime_r(&t, &tm);
    size_t n = strftime(ret, SIGV4_TIME_TEXT + 1, "%Y%m%dT%H%M%SZ", &tm);
    assert(n == SIGV4_TIME_TEXT); /* years 1000 to 9999 */
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct sigv4_header *)a)->name, ((const struct sigv4_header *)b)->name);
}

static void put_names(const struct sigv4_header *sorted, size_t count, struct buf *ret)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0) buf_put_char(ret, ';');
        buf_put_str(ret, sorted[i].name);
    }
}

/* Sorted copies of the request's headers, which point to the same texts. */
static void sort_headers(const struct sigv4_request *r, struct sigv4_header ret[SIGV4_HEADERS_MAX])
{
    assert(r->headers_count > 0 && r->headers_count <= SIGV4_HEADERS_MAX);
    memcpy(ret, r->headers, r->headers_count * sizeof *ret);
    qsort(ret, r->headers_count, sizeof *ret, by_name);
}

void sigv4_canonical_request(const struct sigv4_request *r, struct buf *ret)
{
    struct sigv4_header sorted[SIGV4_HEADERS_MAX];
    sort_headers(r, sorted);
    buf_put_str(ret, r->method);
    buf_put_char(ret, '\n');
    buf_put_slice(ret, r->path);
    buf_put_char(ret, '\n');
    buf_put_slice(ret, r->query);
    buf_put_char(ret, '\n');
    for (size_t i = 0; i < r->headers_count; i++) {
        buf_put_str(ret, sorted[i].name);
        buf_put_char(ret, ':');
        buf_put_slice(ret, sorted[i].value);
        buf_put_char(ret, '\n');
    }
    buf_put_char(ret, '\n');
    put_names(sorted, r->headers_count, ret);
    buf_put_char(ret, '\n');
    buf_put_str(ret, r->payload_hash);
}

static void hmac(const uint8_t *key, size_t key_len, struct slice text, uint8_t ret[SHA256_DIGEST_LENGTH])
{
    unsigned len = 0;
    uint8_t *done = HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text.bytes, text.len, ret, &len);
    assert(done != NULL && len == SHA256_DIGEST_LENGTH);
}

/* The key of one day, region and service, from the secret. */
static void derive_key(const struct sigv4_key *key, struct slice date, uint8_t ret[SHA256_DIGEST_LENGTH])
{
    char first[4 + SECRET_MAX] = "AWS4";
    uint8_t a[SHA256_DIGEST_LENGTH], b[SHA256_DIGEST_LENGTH];
    size_t secret_len = strlen(key->secret_access_key);
    assert(secret_len <= SECRET_MAX);
    memcpy(first + 4, key->secret_access_key, secret_len);
    hmac((const uint8_t *)first, 4 + secret_len, date, a);
    hmac(a, sizeof a, slice_str(key->region), b);
    hmac(b, sizeof b, slice_str(key->service), a);
    hmac(a, sizeof a, slice_str("aws4_request"), ret);
    OPENSSL_cleanse(first, sizeof first);
    OPENSSL_cleanse(a, sizeof a);
    OPENSSL_cleanse(b, sizeof b);
}

static void put_scope(const struct sigv4_key *key, struct slice date, struct buf *ret)
{
    buf_put_slice(ret, date);
    buf_put_char(ret, '/');
    buf_put_str(ret, key->region);
    buf_put_char(ret, '/');
    buf_put_str(ret, key->service);
    buf_put_str(ret, "/aws4_request");
}

void sigv4_authorization(const struct sigv4_request *r, const struct sigv4_key *key, const char *time,
                         struct buf *ret)
{
    struct sigv4_header sorted[SIGV4_HEADERS_MAX];
    struct slice date = slice_of(time, DATE_TEXT);
    struct buf text = buf_make(CANONICAL_BYTES_MAX);
    char hex[SIGV4_HASH_HEX + 1];
    uint8_t derived[SHA256_DIGEST_LENGTH], signature[SHA256_DIGEST_LENGTH];
    assert(strlen(time) == SIGV4_TIME_TEXT);

    sigv4_canonical_request(r, &text);
    if (text.failed != SYNC_OK) ret->failed = text.failed; /* whoever checks ret must not send a wrong one */
    sigv4_hash(buf_slice(&text), hex);
    buf_clear(&text);
    buf_put_str(&text, "AWS4-HMAC-SHA256\n");
    buf_put_str(&text, time);
    buf_put_char(&text, '\n');
    put_scope(key, date, &text);
    buf_put_char(&text, '\n');
    buf_put_str(&text, hex);
    if (text.failed != SYNC_OK) ret->failed = text.failed;

    derive_key(key, date, derived);
    hmac(derived, sizeof derived, buf_slice(&text), signature);
    OPENSSL_cleanse(derived, sizeof derived);
    to_hex(signature, hex);
    buf_deinit(&text);

    sort_headers(r, sorted);
    buf_put_str(ret, "AWS4-HMAC-SHA256 Credential=");
    buf_put_str(ret, key->access_key_id);
    buf_put_char(ret, '/');
    put_scope(key, date, ret);
    buf_put_str(ret, ",SignedHeaders=");
    put_names(sorted, r->headers_count, ret);
    buf_put_str(ret, ",Signature=");
    buf_put_str(ret, hex);
}
