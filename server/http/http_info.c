#include "core/json/json_text.h"
#include "server/base/system.h"
#include "server/base/version.h"
#include "server/coordinator/coordinator.h"
#include "server/http/http_internal.h"

/* GET status: the predecessor's three fields, then ours. */
static void answer_status(struct http *h)
{
    struct server *s = h->loop->server;
    struct buf body = buf_make(8 << 10);
    BUF_PUT_LIT(&body, "{\"ok\":true,\"data\":{\"openStores\":");
    buf_put_u64(&body, server_open_count(s));
    BUF_PUT_LIT(&body, ",\"connectedClients\":");
    buf_put_u64(&body, (uint64_t)gauge_value(&s->metrics.ws_connections_active));
    BUF_PUT_LIT(&body, ",\"uptime\":");
    buf_put_u64(&body, (system_monotonic_ns() - s->started_ns) / 1000000000u);
    BUF_PUT_LIT(&body, ",\"version\":");
    json_put_text(&body, slice_str(SYNC_VERSION));
    BUF_PUT_LIT(&body, ",\"databases\":");
    buf_put_u64(&body, server_database_count(s));
    BUF_PUT_LIT(&body, ",\"laggingSessions\":");
    buf_put_u64(&body, (uint64_t)gauge_value(&s->metrics.sessions_lagging));
    BUF_PUT_LIT(&body, ",\"storeWritable\":");
    buf_put_str(&body, server_store_is_closed(s) ? "false" : "true");
    BUF_PUT_LIT(&body, ",\"durability\":");
    json_put_text(&body, slice_str(durability_name(s->config->storage.durability)));
    BUF_PUT_LIT(&body, "}}");
    http_answer(h, 200, CONTENT_JSON, buf_slice(&body));
    buf_deinit(&body);
}

static void answer_metrics(struct http *h)
{
    struct server *s = h->loop->server;
    struct buf body = buf_make(METRICS_TEXT_BYTES_MAX);
    gauge_set(&s->metrics.databases, (int64_t)server_database_count(s));
    gauge_set(&s->metrics.process_resident_bytes, (int64_t)system_resident_bytes());
    coordinator_scrape(s->coordinator);
    metrics_write(&s->metrics.registry, &body);
    hook_gate_put_metrics(&s->hooks, &body);
    if (body.failed == SYNC_OK)
        http_answer(h, 200, METRICS_CONTENT_TYPE, buf_slice(&body));
    else
        http_fail_later(h, "UNAVAILABLE", "out of memory");
    buf_deinit(&body);
}

static void answer_ready(struct http *h)
{
    struct server *s = h->loop->server;
    const char *why = NULL;
    /* First, since only then every part has been started and may be asked. */
    if (!atomic_load(&s->ready) || atomic_load(&s->draining))
        http_fail_later(h, "UNAVAILABLE", "the server is starting or stopping");
    else if (!shared_log_is_ready(&s->shared_log, &why))
        http_fail_later(h, "UNAVAILABLE", why);
    else if (server_store_is_closed(s))
        http_fail_later(h, "UNAVAILABLE", "the store takes no writes since one failed");
    else
        http_answer(h, 200, CONTENT_JSON, slice_str("{\"ok\":true,\"data\":{\"ready\":true}}"));
}

static void answer_coordinator(struct http *h)
{
    struct buf body = buf_make(COORDINATOR_STATUS_BYTES_MAX);
    BUF_PUT_LIT(&body, "{\"ok\":true,\"data\":");
    coordinator_status_put(h->loop->server->coordinator, &body);
    BUF_PUT_LIT(&body, "}");
    if (body.failed == SYNC_OK)
        http_answer(h, 200, CONTENT_JSON, buf_slice(&body));
    else
        http_fail_later(h, "UNAVAILABLE", "out of memory");
    buf_deinit(&body);
}

/* Another instance says: look now. It proves by the header that it can read the object store. */
static void answer_hint(struct http *h)
{
    struct coordinator *c = h->loop->server->coordinator;
    char value[HINT_BYTES_MAX];
    size_t len = http_request_hint(h->wsi, value);
    if (c == NULL || !coordinator_hint(c, slice_of(value, len)))
        http_fail(h, 403, "FORBIDDEN", "the hint is not for this instance");
    else
        http_answer(h, 200, CONTENT_JSON, slice_str("{\"ok\":true}"));
}

void http_info(struct http *h)
{
    switch (h->request.endpoint) {
    case HTTP_ENDPOINT_STATUS: answer_status(h); break;
    case HTTP_ENDPOINT_METRICS: answer_metrics(h); break;
    case HTTP_ENDPOINT_READYZ: answer_ready(h); break;
    case HTTP_ENDPOINT_COORDINATOR: answer_coordinator(h); break;
    case HTTP_ENDPOINT_COORDINATOR_HINT: answer_hint(h); break;
    default: http_answer(h, 200, CONTENT_JSON, slice_str("{\"ok\":true,\"data\":{\"alive\":true}}")); break;
    }
}
