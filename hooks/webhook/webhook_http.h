/* webhook_http.h -- the settings of the webhook hook, and its connections to the endpoint.
 *
 * Threads: webhook_post() any. */
#ifndef HOOKS_WEBHOOK_HTTP_H
#define HOOKS_WEBHOOK_HTTP_H

#include <curl/curl.h>
#include <pthread.h>
#include <stddef.h>

enum { WEBHOOK_TEXT_MAX = 1024, WEBHOOK_IDLE_MAX = 16, WEBHOOK_ANSWER_BYTES_MAX = 64 << 20 };

struct webhook_http {
    char url[WEBHOOK_TEXT_MAX], authorization[WEBHOOK_TEXT_MAX];
    long timeout_ms, retries, cache_s;
    int asks_authenticate, asks_authorize, asks_before_apply;
    struct curl_slist *headers;
    pthread_mutex_t lock; /* of the two below */
    CURL *idle[WEBHOOK_IDLE_MAX];
    size_t idle_count;
};

/* 0, and a text, when the settings are wrong. */
int webhook_http_open(struct webhook_http *h, const char *config, char *text, size_t text_bytes);
void webhook_http_close(struct webhook_http *h);

/* Posts JSON; the body of a 200 answer, malloc'ed and zero terminated, or NULL and a text. */
char *webhook_post(struct webhook_http *h, const char *body, char *text, size_t text_bytes);

#endif
