#include "hooks/webhook/webhook_http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *read_number(long *ret, const char *value, long max)
{
    char *end;
    errno = 0;
    long n = strtol(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || n < 0 || n > max) return "not a number in range";
    *ret = n;
    return NULL;
}

static const char *read_calls(struct webhook_http *h, char *value)
{
    char *rest = NULL;
    h->asks_authenticate = h->asks_authorize = h->asks_before_apply = 0;
    for (char *one = strtok_r(value, ",", &rest); one != NULL; one = strtok_r(NULL, ",", &rest)) {
        if (strcmp(one, "authenticate") == 0)
            h->asks_authenticate = 1;
        else if (strcmp(one, "authorize") == 0)
            h->asks_authorize = 1;
        else if (strcmp(one, "before_apply_changes") == 0)
            h->asks_before_apply = 1;
        else
            return "a list of authenticate, authorize, before_apply_changes";
    }
    return NULL;
}

static const char *read_word(struct webhook_http *h, const char *name, char *value)
{
    if (strcmp(name, "timeout_ms") == 0) return read_number(&h->timeout_ms, value, 600000);
    if (strcmp(name, "retries") == 0) return read_number(&h->retries, value, 10);
    if (strcmp(name, "cache_s") == 0) return read_number(&h->cache_s, value, 86400);
    if (strcmp(name, "calls") == 0) return read_calls(h, value);
    if (strcmp(name, "url") == 0) {
        if (strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0)
            return "not http:// or https://";
        return snprintf(h->url, sizeof h->url, "%s", value) < (int)sizeof h->url ? NULL : "it is too long";
    }
    if (strcmp(name, "bearer_env") == 0) {
        const char *secret = getenv(value);
        if (secret == NULL) return "there is no such environment variable";
        int n = snprintf(h->authorization, sizeof h->authorization, "Authorization: Bearer %s", secret);
        return n < (int)sizeof h->authorization ? NULL : "it is too long";
    }
    return "there is no such setting";
}

int webhook_http_open(struct webhook_http *h, const char *config, char *text, size_t text_bytes)
{
    char *copy = strdup(config), *rest = NULL;
    const char *wrong = copy == NULL ? "no memory" : NULL;
    *h = (struct webhook_http){.timeout_ms = 2000,
                               .retries = 1,
                               .asks_authenticate = 1,
                               .asks_authorize = 1,
                               .asks_before_apply = 1};
    for (char *word = wrong == NULL ? strtok_r(copy, " \t\n", &rest) : NULL; word != NULL && wrong == NULL;
         word = strtok_r(NULL, " \t\n", &rest)) {
        char *value = strchr(word, '=');
        if (value != NULL) *value++ = '\0';
        wrong = value == NULL ? "not NAME=VALUE" : read_word(h, word, value);
        if (wrong != NULL) snprintf(text, text_bytes, "%.40s: %s", word, wrong);
    }
    free(copy);
    if (wrong == NULL && h->url[0] == '\0') {
        wrong = "no url= is given";
        snprintf(text, text_bytes, "%s", wrong);
    }
    if (wrong != NULL) return 0;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    h->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (h->authorization[0] != '\0') h->headers = curl_slist_append(h->headers, h->authorization);
    pthread_mutex_init(&h->lock, NULL);
    return 1;
}

void webhook_http_close(struct webhook_http *h)
{
    for (size_t i = 0; i < h->idle_count; i++) curl_easy_cleanup(h->idle[i]);
    curl_slist_free_all(h->headers);
    pthread_mutex_destroy(&h->lock);
    curl_global_cleanup();
}

/* A handle keeps its connection, so those that were used last are used first. */
static CURL *take_handle(struct webhook_http *h)
{
    pthread_mutex_lock(&h->lock);
    CURL *curl = h->idle_count > 0 ? h->idle[--h->idle_count] : NULL;
    pthread_mutex_unlock(&h->lock);
    return curl != NULL ? curl : curl_easy_init();
}

static void put_handle(struct webhook_http *h, CURL *curl)
{
    pthread_mutex_lock(&h->lock);
    int kept = h->idle_count < WEBHOOK_IDLE_MAX;
    if (kept) h->idle[h->idle_count++] = curl;
    pthread_mutex_unlock(&h->lock);
    if (!kept) curl_easy_cleanup(curl);
}

struct answer {
    char *bytes;
    size_t len;
};

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct answer *a = arg;
    size_t len = size * count;
    if (len > WEBHOOK_ANSWER_BYTES_MAX - a->len) return 0;
    char *grown = realloc(a->bytes, a->len + len + 1);
    if (grown == NULL) return 0;
    memcpy(grown + a->len, bytes, len);
    a->bytes = grown;
    a->len += len;
    grown[a->len] = '\0';
    return len;
}

char *webhook_post(struct webhook_http *h, const char *body, char *text, size_t text_bytes)
{
    struct answer a = {0};
    CURL *curl = take_handle(h);
    CURLcode got = CURLE_FAILED_INIT;
    long status = 0;
    if (curl == NULL) {
        snprintf(text, text_bytes, "no memory");
        return NULL;
    }
    curl_easy_setopt(curl, CURLOPT_URL, h->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, h->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, h->headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a);
    for (long i = 0; i <= h->retries; i++) {
        got = curl_easy_perform(curl);
        if (got != CURLE_COULDNT_CONNECT && got != CURLE_COULDNT_RESOLVE_HOST) break;
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    put_handle(h, curl);
    if (got == CURLE_OK && status == 200 && a.bytes != NULL) return a.bytes;
    free(a.bytes);
    if (got != CURLE_OK)
        snprintf(text, text_bytes, "the endpoint did not answer: %s", curl_easy_strerror(got));
    else
        snprintf(text, text_bytes, "the endpoint answered with status %ld", status);
    return NULL;
}
