#include "server/net/loop.h"

#include "server/http/http.h"
#include "server/net/guest.h"
#include "server/net/tls.h"
#include "server/server.h"
#include "server/ws/ws.h"

#include <assert.h>
#include <stdlib.h>

/* lws hands each connection this much memory: which of the two it is shows in what is set. */
struct connection {
    struct ws *ws;
    struct http *http;
};

/* ---- libwebsockets */

static int on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct connection *c = user;
    struct loop *l = lws_context_user(lws_get_context(wsi));
    switch (reason) {
    case LWS_CALLBACK_WSI_CREATE: guest_created(l); break;
    case LWS_CALLBACK_WSI_DESTROY: guest_gone(l, wsi); break;

    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS: return tls_set_up_context(user, l) ? 0 : -1;

    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: guest_asked(wsi); return http_confirm_upgrade(l, wsi, in);
    case LWS_CALLBACK_ESTABLISHED: return ws_open(l, wsi, &c->ws);
    case LWS_CALLBACK_RECEIVE: return ws_receive(c->ws, in, len);
    case LWS_CALLBACK_RECEIVE_PONG: ws_pong(c->ws, in, len); break;
    case LWS_CALLBACK_SERVER_WRITEABLE: return ws_writeable(c->ws);
    case LWS_CALLBACK_CLOSED:
        ws_closed(c->ws);
        c->ws = NULL;
        break;

    case LWS_CALLBACK_HTTP: guest_asked(wsi); return http_begin(l, wsi, &c->http, in, len);
    case LWS_CALLBACK_HTTP_BODY: return http_body(c->http, in, len);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION: return http_body_complete(c->http);
    case LWS_CALLBACK_HTTP_WRITEABLE: return http_writeable(&c->http);
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
        http_closed(c == NULL ? NULL : c->http);
        if (c != NULL) c->http = NULL;
        break;
    default: break;
    }
    return 0;
}

/* rx_buffer_size is allocated for each WebSocket connection: small, since memory per idle connection counts
 * and a long message is gathered in a buffer of its own anyway. */
enum { WS_RECEIVE_BYTES = 2048 };

/* Of one send(). Unsaid it would be rx_buffer_size: a system call and a turn of the loop for each 2 KiB. */
enum { SEND_BYTES_MAX = 1 << 20 };

static const struct lws_protocols protocols[] = {
    {.name = "sync",
     .callback = on_lws,
     .per_session_data_size = sizeof(struct connection),
     .rx_buffer_size = WS_RECEIVE_BYTES,
     .tx_packet_size = SEND_BYTES_MAX},
    {0},
};

enum { HEADER_BYTES_MAX = 16 << 10, HEADER_TABLES_MAX = 4096 };

static unsigned seconds_of(uint32_t ms)
{
    return ms / 1000 + (ms % 1000 != 0);
}

/* libwebsockets counts in seconds, in 16 bits, and insists on some time between ping and giving up. */
static lws_retry_bo_t keep_valid_of(const struct config_server *config)
{
    uint32_t ping_s = config->ping_interval_ms / 1000 + (config->ping_interval_ms % 1000 != 0);
    uint32_t pong_s = config->pong_timeout_ms / 1000 + (config->pong_timeout_ms % 1000 != 0);
    if (ping_s > UINT16_MAX / 2) ping_s = UINT16_MAX / 2;
    if (pong_s > UINT16_MAX / 2) pong_s = UINT16_MAX / 2;
    return (lws_retry_bo_t){.secs_since_valid_ping = (uint16_t)ping_s,
                            .secs_since_valid_hangup = (uint16_t)(ping_s + pong_s)};
}

static enum sync_err open_lws(struct loop *l, struct err_ctx *ec)
{
    const struct server *s = l->server;
    const struct config *config = l->config;
    void *foreign[1] = {&l->uv};
    l->keep_valid = keep_valid_of(&config->server);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER, /* listen.h has the sockets */
        .protocols = protocols,
        .gid = -1,
        .uid = -1,
        .user = l,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .foreign_loops = foreign,
        .pt_serv_buf_size = LOOP_READ_BYTES,
        .max_http_header_data2 = HEADER_BYTES_MAX,
        .max_http_header_pool2 = HEADER_TABLES_MAX,
        .keepalive_timeout = (int)seconds_of(config->limits.idle_timeout_ms),
        .timeout_secs = seconds_of(config->limits.http_timeout_ms),
        .timeout_secs_ah_idle = seconds_of(config->limits.head_timeout_ms),
        .server_string = "sync-coordinator",
        .alpn = "http/1.1",
    };
    if (tls_is_on(config)) {
        l->idle_tls = tls_idle_context_new();
        if (l->idle_tls == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for TLS");
        info.provided_client_ssl_ctx = l->idle_tls;
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
    }
    if (config->server.ping_interval_ms > 0) info.retry_and_idle_policy = &l->keep_valid;
    l->lws = lws_create_context(&info);
    if (l->lws != NULL) l->vhost = lws_create_vhost(l->lws, &info);
    if (l->vhost == NULL) return err_set(ec, SYNC_EIO, "set up libwebsockets: its message stands above");
    return listener_open(&l->listener, l, s->listen_address, s->port, ec);
}

/* ---- the inbox */

void loop_post(struct loop *l, struct job *j)
{
    j->next = NULL;
    pthread_mutex_lock(&l->lock);
    *l->inbox_end = j;
    l->inbox_end = &j->next;
    pthread_mutex_unlock(&l->lock);
    (void)uv_async_send(&l->wake); /* fails only for a handle that is no async */
}

/* Unhooks the whole list under the lock and works on it without: done() may post again. */
static void on_wake(uv_async_t *wake)
{
    struct loop *l = wake->data;
    pthread_mutex_lock(&l->lock);
    struct job *j = l->inbox;
    l->inbox = NULL;
    l->inbox_end = &l->inbox;
    pthread_mutex_unlock(&l->lock);
    while (j != NULL) {
        struct job *next = j->next;
        j->done(j);
        j = next;
    }
    if (l->stopping) uv_stop(&l->uv);
}

/* ---- deadlines */

uint64_t loop_now_ms(const struct loop *l)
{
    return uv_now(&l->uv);
}

static void on_timer(uv_timer_t *timer)
{
    struct loop *l = timer->data;
    uint64_t now_ms = loop_now_ms(l);
    uint32_t cursor = 0;
    struct ws *w;
    struct http *h;
    l->timer_ms = UINT64_MAX;
    listener_resume(&l->listener);
    while ((w = id_table_next(&l->sessions, &cursor)) != NULL) loop_wake_at(l, ws_tick(w, now_ms));
    cursor = 0;
    while ((h = id_table_next(&l->exchanges, &cursor)) != NULL) loop_wake_at(l, http_tick(h, now_ms));
    receiving_tick(l);
}

/* Deadlines are met this much late at most, so that many that lie close together cost one walk over the
 * connections, not one each. */
enum { TICK_MS = 20 };

void loop_wake_at(struct loop *l, uint64_t deadline_ms)
{
    if (deadline_ms <= UINT64_MAX - TICK_MS) deadline_ms += TICK_MS - deadline_ms % TICK_MS;
    if (deadline_ms >= l->timer_ms) return;
    uint64_t now_ms = loop_now_ms(l);
    l->timer_ms = deadline_ms;
    (void)uv_timer_start(&l->timer, on_timer, deadline_ms > now_ms ? deadline_ms - now_ms : 0, 0);
}

/* ---- turns of pushes */

static void wait_for_turn(struct loop *l);

static void on_push_timer(uv_timer_t *timer)
{
    struct loop *l = timer->data;
    while (turns_due_ms(&l->push_turns) <= loop_now_ms(l)) {
        struct ws *w = id_table_get(&l->sessions, turns_take(&l->push_turns));
        if (w != NULL) ws_push_turn(w);
    }
    wait_for_turn(l);
}

static void wait_for_turn(struct loop *l)
{
    uint64_t due_ms = turns_due_ms(&l->push_turns), now_ms = loop_now_ms(l);
    if (due_ms != UINT64_MAX)
        (void)uv_timer_start(&l->push_timer, on_push_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

/* Not by loop_wake_at(): its deadlines are met late, and each costs a walk over all connections. */
bool loop_push_at(struct loop *l, uint64_t session_id, uint64_t due_ms)
{
    bool is_first = due_ms < turns_due_ms(&l->push_turns);
    if (!turns_add(&l->push_turns, session_id, due_ms)) return false;
    if (is_first) wait_for_turn(l);
    return true;
}

/* ---- life */

enum sync_err loop_open(struct loop *l, struct server *server, uint32_t index, struct err_ctx *ec)
{
    *l = (struct loop){.server = server, .index = index, .timer_ms = UINT64_MAX};
    l->inbox_end = &l->inbox;
    (void)pthread_mutex_init(&l->lock, NULL);
    if (uv_loop_init(&l->uv) != 0) return err_set(ec, SYNC_EIO, "make an event loop");
    l->uv_open = true;
    l->wake.data = l->timer.data = l->push_timer.data = l;
    if (uv_async_init(&l->uv, &l->wake, on_wake) != 0 || uv_timer_init(&l->uv, &l->timer) != 0 ||
        uv_timer_init(&l->uv, &l->push_timer) != 0)
        return err_set(ec, SYNC_EIO, "make an event loop");
    l->settings = settings_ref(server->settings);
    l->config = l->settings->config;
    l->session = l->settings->session;
    l->json = json_reader_new(l->config->limits.json_depth);
    l->scratch = malloc(LWS_PRE + LOOP_SEND_BYTES);
    if (l->json == NULL || l->scratch == NULL || !hub_init(&l->hub))
        return err_set(ec, SYNC_ENOMEM, "no memory for an event loop");
    return open_lws(l, ec);
}

static void *run(void *arg)
{
    struct loop *l = arg;
    while (!l->stopping) (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    return NULL;
}

enum sync_err loop_start(struct loop *l, struct err_ctx *ec)
{
    enum sync_err rc = thread_start(&l->thread, "loop", run, l, ec);
    l->thread_started = rc == SYNC_OK;
    return rc;
}

static void stop_done(struct job *j)
{
    j->home->stopping = true; /* on_wake() stops the loop when its list is done */
    free(j);
}

void loop_stop(struct loop *l)
{
    if (!l->thread_started) return;
    struct job *j = calloc(1, sizeof *j);
    if (j == NULL) abort(); /* nothing could end the thread */
    j->home = l;
    j->done = stop_done;
    loop_post(l, j);
    pthread_join(l->thread, NULL);
    l->thread_started = false;
}

/* Jobs that came after the loop had stopped: those who sent them have joined by now. */
static void finish_inbox(struct loop *l)
{
    while (l->inbox != NULL) {
        struct job *j = l->inbox;
        l->inbox = j->next;
        j->done(j);
    }
    l->inbox_end = &l->inbox;
}

void loop_say_goodbye(struct loop *l)
{
    uint32_t cursor = 0;
    struct ws *w;
    while ((w = id_table_next(&l->sessions, &cursor)) != NULL) ws_say_goodbye(w);
}

void loop_close(struct loop *l)
{
    if (!l->uv_open) return;
    listener_close(&l->listener);
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_close((uv_handle_t *)&l->timer, NULL);
    uv_close((uv_handle_t *)&l->push_timer, NULL);
    /* With a loop that is not its own, libwebsockets is taken down in two steps: the first closes every
     * connection, the loop runs until their handles are gone, and the second frees the rest. */
    if (l->lws != NULL) lws_context_destroy(l->lws);
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    if (l->lws != NULL) lws_context_destroy(l->lws);
    (void)uv_loop_close(&l->uv);
    finish_inbox(l); /* answers whose askers are gone */
    if (l->hub.buckets != NULL) hub_deinit(&l->hub);
    id_table_deinit(&l->sessions);
    id_table_deinit(&l->exchanges);
    turns_deinit(&l->push_turns);
    json_reader_free(l->json);
    free(l->scratch);
    tls_idle_context_free(l->idle_tls);
    settings_unref(l->settings);
    (void)pthread_mutex_destroy(&l->lock);
    l->uv_open = false;
}

/* Its reader was made for one depth. */
static void take_json_depth(struct loop *l, uint32_t depth)
{
    if (depth == l->config->limits.json_depth) return;
    struct json_reader *fresh = json_reader_new(depth);
    if (fresh == NULL) {
        log_warn(&l->server->logger, LOG_CONFIG, "config.json_depth_kept", LOG_U64("loop", l->index),
                 LOG_STR("next", "no memory; the next reload tries again"));
        return;
    }
    json_reader_free(l->json);
    l->json = fresh;
}

void loop_take_settings(struct loop *l, struct settings *fresh)
{
    uint32_t cursor = 0;
    struct ws *w;
    take_json_depth(l, fresh->config->limits.json_depth);
    settings_unref(l->settings);
    l->settings = settings_ref(fresh);
    l->config = fresh->config;
    l->session = fresh->session;
    l->keep_valid = keep_valid_of(&l->config->server); /* each connection looks there for its next ping */
    while ((w = id_table_next(&l->sessions, &cursor)) != NULL) ws_take_settings(w);
    on_timer(&l->timer); /* receivers and sessions may have become due */
}

/* Sessions are closed one after the other, so that clients which come back at once do not come as a herd;
 * until its turn a session is served as ever. */
void loop_drain(struct loop *l)
{
    const struct config_server *config = &l->config->server;
    uint64_t now_ms = loop_now_ms(l), count = 0, turn = 0;
    uint64_t spread_ms = config->drain_spread_ms, spread_max_ms = config->drain_timeout_ms / 2;
    uint32_t cursor = 0;
    struct ws *w;
    struct http *h;
    if (spread_ms > spread_max_ms) spread_ms = spread_max_ms;
    l->draining = true;
    listener_close(&l->listener);
    while (id_table_next(&l->sessions, &cursor) != NULL) count++;
    cursor = 0;
    while ((w = id_table_next(&l->sessions, &cursor)) != NULL)
        ws_drain(w, now_ms + spread_ms * turn++ / count);
    cursor = 0;
    while ((h = id_table_next(&l->exchanges, &cursor)) != NULL) http_drain(h);
}
