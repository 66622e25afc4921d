#include "bench_wire.h"

#include "bench_util.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    OP_CONTINUATION = 0,
    OP_TEXT = 1,
    OP_CLOSE = 8,
    OP_PING = 9,
    OP_PONG = 10,
    CONTROL_BYTES_MAX = 125,
    FRAME_HEAD_MAX = 14,
    KEEP_BYTES = 64 << 10, /* a buffer longer than this is given back after use */
};

/* ---- out */

static struct slice frame_head(uint8_t opcode, size_t len, uint8_t ret[FRAME_HEAD_MAX])
{
    size_t at = 2;
    int length_bytes = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;
    ret[0] = (uint8_t)(0x80 | opcode);
    ret[1] = (uint8_t)(0x80 | (length_bytes == 0 ? len : length_bytes == 2 ? 126 : 127));
    for (int i = length_bytes - 1; i >= 0; i--) ret[at++] = (uint8_t)(len >> (8 * i));
    memset(ret + at, 0, 4); /* the key: masking with it changes nothing */
    return slice_of(ret, at + 4);
}

static void put_frame(struct conn *c, uint8_t opcode, struct slice payload)
{
    uint8_t head[FRAME_HEAD_MAX];
    conn_put(c, frame_head(opcode, payload.len, head), payload);
}

void conn_send(struct conn *c, struct slice text)
{
    put_frame(c, OP_TEXT, text);
}

static void put_request(struct conn *c, const struct buf *text)
{
    if (text->failed != SYNC_OK) die("a request is too long");
    conn_put(c, buf_slice(text), slice_of(NULL, 0));
}

void conn_get(struct conn *c, const char *resource)
{
    struct buf text = buf_make(4096);
    buf_printf(&text, "GET %s/", c->target->base_path);
    if (resource[0] == '/')
        buf_put_str(&text, resource + 1);
    else
        buf_printf(&text, "%s/%s", c->database, resource);
    buf_printf(&text, " HTTP/1.1\r\nHost: localhost\r\nX-Site-Id: %s\r\n", c->site);
    if (c->target->token != NULL) buf_printf(&text, "Authorization: Bearer %s\r\n", c->target->token);
    BUF_PUT_LIT(&text, "\r\n");
    put_request(c, &text);
    buf_deinit(&text);
}

void wire_ask_upgrade(struct conn *c)
{
    struct buf text = buf_make(4096);
    buf_printf(&text,
               "GET %s/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c3luYy1iZW5jaDoga2V5Lg==\r\n\r\n",
               c->target->base_path);
    put_request(c, &text);
    buf_deinit(&text);
}

static void put_handshake(struct conn *c)
{
    struct buf text = buf_make(4096);
    buf_printf(&text, "{\"type\":\"handshake\",\"databaseId\":\"%s\",\"siteId\":\"%s\",\"protocolVersion\":1",
               c->database, c->site);
    if (c->target->token != NULL) buf_printf(&text, ",\"token\":\"%s\"", c->target->token);
    buf_put_char(&text, '}');
    conn_send(c, buf_slice(&text));
    buf_deinit(&text);
}

/* ---- in */

enum message_kind message_kind(struct slice text)
{
    static const struct {
        const char *name;
        enum message_kind kind;
    } kinds[] = {
        {"\"push_changes\"", KIND_PUSH},
        {"\"apply_result\"", KIND_APPLY_RESULT},
        {"\"changes\"", KIND_CHANGES},
        {"\"snapshot_chunk\"", KIND_SNAPSHOT_CHUNK},
        {"\"snapshot_complete\"", KIND_SNAPSHOT_COMPLETE},
        {"\"handshake_ack\"", KIND_HANDSHAKE_ACK},
        {"\"error\"", KIND_ERROR},
    };
    static const char mark[] = "\"type\":";
    const char *at = memmem(text.bytes, text.len, mark, sizeof mark - 1);
    if (at == NULL) return KIND_OTHER;
    struct slice rest =
        slice_of(at + sizeof mark - 1, (size_t)(text.bytes + text.len - at) - sizeof mark + 1);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (slice_starts_with(rest, slice_str(kinds[i].name))) return kinds[i].kind;
    return KIND_OTHER;
}

static void on_text(struct conn *c, struct slice text)
{
    if (c->kind == CONN_WS && !c->live) {
        if (message_kind(text) != KIND_HANDSHAKE_ACK)
            die("the answer to a handshake: %.*s", (int)(text.len < 300 ? text.len : 300), text.bytes);
        c->live = true;
        return;
    }
    if (c->kind == CONN_WS && message_kind(text) == KIND_ERROR)
        die("the server says %.*s", (int)(text.len < 300 ? text.len : 300), text.bytes);
    c->on_message(c, text);
}

static void end_text(struct conn *c, struct slice last)
{
    if (c->text.len == 0) { /* all of it is here: no copy */
        on_text(c, last);
        return;
    }
    buf_put_slice(&c->text, last);
    if (c->text.failed != SYNC_OK) die("out of memory");
    struct buf text = c->text; /* what on_message does may lead to the next one */
    c->text = buf_make(text.bytes_max);
    on_text(c, buf_slice(&text));
    if (c->text.bytes == NULL && c->fd >= 0 && text.capacity <= KEEP_BYTES) {
        buf_clear(&text);
        c->text = text;
    } else {
        buf_deinit(&text);
    }
}

/* Takes bytes up to and with `end` into c->head. True once they are complete; *at moves on. */
static bool take_line(struct conn *c, struct slice *at, const char *end)
{
    size_t end_len = strlen(end);
    while (at->len > 0) {
        buf_put_char(&c->head, at->bytes[0]);
        *at = slice_of(at->bytes + 1, at->len - 1);
        if (c->head.failed != SYNC_OK) die("the head of an answer is too long");
        if (c->head.len >= end_len && memcmp(c->head.bytes + c->head.len - end_len, end, end_len) == 0)
            return true;
    }
    return false;
}

static void take_head(struct conn *c, struct slice *at)
{
    if (!take_line(c, at, "\r\n\r\n")) return;
    buf_put_char(&c->head, '\0');
    const char *head = c->head.bytes, *length = strcasestr(head, "\r\ncontent-length:");
    c->status = c->head.len > 12 ? atoi(head + 9) : 0;
    if (c->kind == CONN_WS) {
        if (c->status == 503 && c->patient) {
            const char *wait = strcasestr(head, "\r\nretry-after:");
            uint64_t wait_s = wait == NULL ? 1 : strtoull(wait + strlen("\r\nretry-after:"), NULL, 10);
            conn_close(c);
            c->retry_ns = now_ns() + wait_s * NS_PER_S;
            return;
        }
        if (c->status != 101) die("the upgrade was answered by %.60s", head);
        c->reading = READING_FRAME_HEAD;
        buf_deinit(&c->head);
        put_handshake(c);
        return;
    }
    if (c->status != 200) die("a request was answered by %.60s", head);
    c->reading =
        strcasestr(head, "\r\ntransfer-encoding: chunked") != NULL ? READING_CHUNK_SIZE : READING_BODY;
    c->left = length == NULL ? 0 : strtoull(length + strlen("\r\ncontent-length:"), NULL, 10);
    buf_clear(&c->head);
}

static void take_frame_head(struct conn *c, struct slice *at)
{
    buf_put_char(&c->head, at->bytes[0]);
    *at = slice_of(at->bytes + 1, at->len - 1);
    if (c->head.failed != SYNC_OK) die("out of memory");
    const uint8_t *head = (const uint8_t *)c->head.bytes;
    if (c->head.len < 2) return;
    size_t length_bytes = (head[1] & 0x7f) < 126 ? 0 : (head[1] & 0x7f) == 126 ? 2 : 8;
    if (c->head.len < 2 + length_bytes) return;
    c->opcode = head[0] & 0x0f;
    c->final = (head[0] & 0x80) != 0;
    c->left = length_bytes == 0 ? head[1] & 0x7f : 0;
    for (size_t i = 0; i < length_bytes; i++) c->left = c->left << 8 | head[2 + i];
    buf_clear(&c->head);
    c->reading = READING_FRAME;
}

static struct slice take_some(struct conn *c, struct slice *at)
{
    struct slice piece = slice_of(at->bytes, at->len < c->left ? at->len : (size_t)c->left);
    *at = slice_of(at->bytes + piece.len, at->len - piece.len);
    c->left -= piece.len;
    return piece;
}

static void take_frame(struct conn *c, struct slice *at)
{
    struct slice piece = take_some(c, at);
    if (c->opcode >= OP_CLOSE) {
        if (c->opcode == OP_CLOSE) die("the server closed a connection to %s", c->database);
        buf_put_slice(&c->head, piece); /* free while a frame is read */
        if (c->left > 0) return;
        c->reading = READING_FRAME_HEAD;
        if (c->head.len > CONTROL_BYTES_MAX) die("a control frame of %zu bytes", c->head.len);
        if (c->opcode == OP_PING) put_frame(c, OP_PONG, buf_slice(&c->head));
        buf_clear(&c->head);
        return;
    }
    if (c->left > 0 || !c->final) {
        buf_put_slice(&c->text, piece);
        if (c->left == 0) c->reading = READING_FRAME_HEAD;
        return;
    }
    c->reading = READING_FRAME_HEAD;
    end_text(c, piece);
}

static void take_chunk_size(struct conn *c, struct slice *at)
{
    if (!take_line(c, at, "\r\n")) return;
    if (c->head.len == 2) { /* the blank line that ends the answer, behind the chunk of size 0 */
        buf_clear(&c->head);
        c->reading = READING_HEAD;
        end_text(c, slice_of("", 0));
        return;
    }
    c->left = strtoull(c->head.bytes, NULL, 16);
    buf_clear(&c->head);
    if (c->left > 0) c->reading = READING_CHUNK;
}

static void take_chunk(struct conn *c, struct slice *at)
{
    buf_put_slice(&c->text, take_some(c, at));
    if (c->left > 0) return;
    c->left = 2;
    c->reading = READING_CHUNK_END;
}

static void take_body(struct conn *c, struct slice *at)
{
    struct slice piece = take_some(c, at);
    if (c->left > 0) {
        buf_put_slice(&c->text, piece);
        return;
    }
    c->reading = READING_HEAD;
    end_text(c, piece);
}

void wire_take(struct conn *c, struct slice bytes)
{
    while (c->fd >= 0 && (bytes.len > 0 || (c->reading == READING_BODY && c->left == 0) ||
                          (c->reading == READING_FRAME && c->left == 0))) {
        switch (c->reading) {
        case READING_HEAD: take_head(c, &bytes); break;
        case READING_FRAME_HEAD: take_frame_head(c, &bytes); break;
        case READING_FRAME: take_frame(c, &bytes); break;
        case READING_BODY: take_body(c, &bytes); break;
        case READING_CHUNK_SIZE: take_chunk_size(c, &bytes); break;
        case READING_CHUNK: take_chunk(c, &bytes); break;
        case READING_CHUNK_END:
            (void)take_some(c, &bytes);
            if (c->left == 0) c->reading = READING_CHUNK_SIZE;
            break;
        }
    }
}
