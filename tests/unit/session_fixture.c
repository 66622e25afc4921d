#include "session_fixture.h"

#include "json_fixture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void session_fixture_init(struct session_fixture *x)
{
    *x = (struct session_fixture){
        .config =
            {
                .nudge_facts = 1000,
                .page_proof_timeout_ms = 5000,
                .catch_up_timeout_ms = 5000,
                .renudge_interval_ms = 1000000,
                .handshake_timeout_ms = 10000,
                .requests_max = 3,
            },
        .now_ms = 100,
    };
    session_init(&x->session, &x->config, "0123456789abcdef", x->now_ms);
}

void session_fixture_free(struct session_fixture *x)
{
    session_deinit(&x->session);
}

/* ---- telling */

static void tell(struct session_fixture *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct session_fixture *x, const char *fmt, ...)
{
    size_t len = strlen(x->told);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(x->told + len, sizeof x->told - len, fmt, args);
    va_end(args);
}

/* The text between `head` and `tail`, if it is there. */
static bool between(struct slice text, const char *head, const char *tail, struct slice *ret)
{
    const char *at = memmem(text.bytes, text.len, head, strlen(head));
    if (at == NULL) return false;
    at += strlen(head);
    size_t left = text.len - (size_t)(at - text.bytes);
    const char *end = memmem(at, left, tail, strlen(tail));
    if (end == NULL) return false;
    *ret = slice_of(at, (size_t)(end - at));
    return true;
}

static void tell_send(struct session_fixture *x, const struct buf *text, const struct session_update *u)
{
    static const char *const causes[] = {
        [NUDGED_BULK] = "bulk",         [NUDGED_SNAPSHOT] = "snapshot", [NUDGED_LAGGING] = "lagging",
        [NUDGED_PERIODIC] = "periodic", [NUDGED_PAGE] = "page",
    };
    struct slice all = buf_slice(text), type = {0}, part;
    (void)between(all, "{\"type\":\"", "\"", &type);
    if (slice_is(type, "handshake_ack")) {
        tell(x, "ack");
        if (u->nudged) tell(x, " (%s)", causes[u->cause]);
        return;
    }
    tell(x, "%.*s", SLICE_ARG(type));
    if (between(all, "\"code\":\"", "\"", &part)) tell(x, " %.*s", SLICE_ARG(part));
    if (between(all, "\"fatal\":tr", "e", &part)) tell(x, " fatal");
    if (between(all, "\"sinceHLC\":\"", "\"", &part)) {
        struct hlc since;
        struct err_ctx ec;
        if (hlc_parse(part, &since, &ec) != SYNC_OK) abort();
        tell(x, " since %llu", (unsigned long long)since.wall_ms);
    }
    if (between(all, "\"requestId\":", ",\"applied\"", &part)) tell(x, " %.*s", SLICE_ARG(part));
}

static void tell_action(struct session_fixture *x, const struct session_action *a,
                        const struct session_update *u)
{
    switch (a->type) {
    case SESSION_SEND: tell_send(x, &a->text, u); break;
    case SESSION_OPEN: tell(x, "open"); break;
    case SESSION_RECHECK: tell(x, "recheck"); break;
    case SESSION_APPLY: tell(x, "apply"); break;
    case SESSION_DELTA:
        tell(x, a->as_push ? "push" : "delta");
        if (a->has_since) tell(x, " since %llu", (unsigned long long)a->since.wall_ms);
        break;
    case SESSION_CUT: tell(x, "cut"); break;
    case SESSION_SNAPSHOT:
        if (a->message == NULL)
            tell(x, "snapshot");
        else
            tell(x, "resume %.*s", SLICE_ARG(a->message->checkpoint.snapshot_id));
        break;
    case SESSION_HOLD: tell(x, "hold"); break;
    case SESSION_RELEASE: tell(x, "release"); break;
    case SESSION_ASKED: tell(x, "asked"); break;
    case SESSION_CLOSE: tell(x, "close %u", a->close_code); break;
    }
}

static const char *tell_update(struct session_fixture *x, struct session_update *u)
{
    x->told[0] = '\0';
    for (size_t i = 0; i < u->count; i++) {
        if (i > 0) tell(x, ", ");
        tell_action(x, &u->actions[i], u);
    }
    if (u->count == 0) tell(x, "nothing");
    session_update_deinit(u);
    x->last = *u;
    return x->told;
}

/* ---- talking */

static struct message *read_text(const char *text)
{
    struct message *m = malloc(sizeof *m);
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    struct err_ctx ec;
    if (m == NULL || r == NULL) abort();
    if (message_read(r, json_padded(text, strlen(text)), strlen(text), m, &ec) != SYNC_OK) {
        fprintf(stderr, "%s: %s\n", text, ec.text);
        abort();
    }
    json_reader_free(r);
    return m;
}

const char *says(struct session_fixture *x, const char *text)
{
    struct session_update u;
    session_message(&x->session, read_text(text), x->now_ms, &u);
    return tell_update(x, &u);
}

const char *says_hlc(struct session_fixture *x, const char *text, uint64_t wall_ms)
{
    char coded[HLC_TEXT], room[1024];
    const char *at = strstr(text, "%s");
    hlc_format(&(struct hlc){.wall_ms = wall_ms, .site.bytes = {TEST_SERVER_SITE}}, coded);
    if (at == NULL) abort();
    (void)snprintf(room, sizeof room, "%.*s%.*s%s", (int)(at - text), text, HLC_TEXT, coded, at + 2);
    return says(x, room);
}

const char *asks_since(struct session_fixture *x, uint64_t wall_ms)
{
    return says_hlc(x, "{\"type\":\"get_changes\",\"sinceHLC\":\"%s\"}", wall_ms);
}

const char *sends_batch(struct session_fixture *x)
{
    return says(x, SAYS_APPLY);
}

/* ---- what the server reports */

static const struct err_ctx failure = {"it failed"};

const char *opened(struct session_fixture *x, enum sync_err rc)
{
    static const struct site_id site = {.bytes = {TEST_SERVER_SITE}};
    struct session_update u;
    session_opened(&x->session, rc, &failure, rc == SYNC_OK ? &site : NULL, 0, x->now_ms, &u);
    return tell_update(x, &u);
}

const char *applied(struct session_fixture *x, const char *request_id, size_t fact_count)
{
    struct session_update u;
    const struct merge_result result = {.applied = fact_count, .transactions = 1};
    session_applied(&x->session, slice_str(request_id), fact_count, SYNC_OK, NULL, &result, slice_of(NULL, 0),
                    x->now_ms, &u);
    return tell_update(x, &u);
}

const char *begins_to_ask(struct session_fixture *x)
{
    struct session_update u;
    session_ask(&x->session, x->now_ms, &u);
    return tell_update(x, &u);
}

const char *apply_failed(struct session_fixture *x)
{
    struct session_update u;
    session_applied(&x->session, slice_str("1"), 5000, SYNC_ESTORE, &failure, NULL, slice_of(NULL, 0),
                    x->now_ms, &u);
    return tell_update(x, &u);
}

static const char *read_done(struct session_fixture *x, const struct session_read_result *result)
{
    struct session_update u;
    session_read_done(&x->session, result, x->now_ms, &u);
    return tell_update(x, &u);
}

const char *delta_done(struct session_fixture *x)
{
    return read_done(x, &(struct session_read_result){.rc = SYNC_OK});
}

static const char *any_page_done(struct session_fixture *x, uint64_t watermark_ms, bool has_more)
{
    struct session_read_result result = {.rc = SYNC_OK, .has_more = has_more};
    result.watermark = (struct hlc){.wall_ms = watermark_ms, .site.bytes = {TEST_SERVER_SITE}};
    return read_done(x, &result);
}

const char *page_done(struct session_fixture *x, uint64_t watermark_ms)
{
    return any_page_done(x, watermark_ms, true);
}

const char *last_page_done(struct session_fixture *x, uint64_t watermark_ms)
{
    return any_page_done(x, watermark_ms, false);
}

const char *read_failed(struct session_fixture *x)
{
    return read_done(x, &(struct session_read_result){.rc = SYNC_ESTORE, .ec = &failure});
}

const char *drained(struct session_fixture *x)
{
    struct session_update u;
    session_drained(&x->session, x->now_ms, &u);
    return tell_update(x, &u);
}

const char *time_passes(struct session_fixture *x, uint64_t ms)
{
    struct session_update u;
    x->now_ms += ms;
    session_tick(&x->session, 0, x->now_ms, &u);
    return tell_update(x, &u);
}

static uint64_t later(const struct session_fixture *x, uint64_t in_ms)
{
    return in_ms == 0 ? UINT64_MAX : x->now_ms + in_ms;
}

void identified(struct session_fixture *x, uint64_t recheck_in_ms, uint64_t expires_in_ms)
{
    session_identified(&x->session, later(x, recheck_in_ms), later(x, expires_in_ms), x->now_ms);
}

const char *rechecked(struct session_fixture *x, enum sync_err rc, uint64_t recheck_in_ms,
                      uint64_t expires_in_ms)
{
    struct session_update u;
    session_rechecked(&x->session, rc, &failure, later(x, recheck_in_ms), later(x, expires_in_ms), x->now_ms,
                      &u);
    return tell_update(x, &u);
}

void go_live(struct session_fixture *x)
{
    (void)says(x, SAYS_HANDSHAKE);
    (void)opened(x, SYNC_OK);
    if (x->session.state != SESSION_LIVE) abort();
}
