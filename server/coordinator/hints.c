#include "server/coordinator/hints.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>

static const char *kind_name(enum hint_kind kind)
{
    return kind == HINT_ELECTION ? "election" : "tickets";
}

static size_t drop(char *bytes, size_t size, size_t count, void *arg)
{
    (void)bytes;
    (void)arg;
    return size * count;
}

static enum sync_err post(const char *url, const char *header, struct err_ctx *ec)
{
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, header);
    long status = 0;
    enum sync_err rc = SYNC_OK;
    if (curl == NULL || headers == NULL) {
        rc = err_set(ec, SYNC_ENOMEM, "no memory for a hint");
        goto out;
    }
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)HINT_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*"); /* instances talk to each other directly */
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK)
        rc = err_set(ec, SYNC_EBUSY, "%s: %s", url, curl_easy_strerror(code));
    else if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status != 200)
        rc = err_set(ec, SYNC_EIO, "%s: HTTP status %ld", url, status);
out:
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return rc;
}

enum sync_err hint_send(const struct election_site *site, const char *worker_id, enum hint_kind kind,
                        struct err_ctx *ec)
{
    struct object_call call = {.timeout_ms = HINT_TIMEOUT_MS};
    struct election_worker_record record;
    char url[ELECTION_URL_MAX + 32], header[sizeof HINT_HEADER + HINT_TEXT_MAX];
    enum sync_err rc = election_io_read_worker(site, &call, worker_id, &record, ec);
    if (rc != SYNC_OK) return rc;
    if (record.url[0] == '\0') return err_set(ec, SYNC_ENOTFOUND, "%s has no address", worker_id);
    (void)snprintf(url, sizeof url, "%s/coordinator/hint", record.url);
    (void)snprintf(header, sizeof header, "%s: %016" PRIx64 " %s", HINT_HEADER, record.token.incarnation,
                   kind_name(kind));
    return post(url, header, ec);
}

bool hint_parse(struct slice value, uint64_t incarnation, enum hint_kind *ret)
{
    char want[HINT_TEXT_MAX];
    for (enum hint_kind kind = HINT_ELECTION; kind <= HINT_TICKETS; kind++) {
        (void)snprintf(want, sizeof want, "%016" PRIx64 " %s", incarnation, kind_name(kind));
        if (!slice_is(value, want)) continue;
        *ret = kind;
        return true;
    }
    return false;
}
