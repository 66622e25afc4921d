#include "hooks/hook_wire.h"

#include "core/json/json.h"
#include "core/protocol/change_set.h"

#include <stdlib.h>

enum { HEADERS_MAX = 1000 };

static const char *get(struct wire_in *in, size_t len)
{
    if (len > in->left) {
        in->bad = true;
        in->left = 0;
        return NULL;
    }
    const char *at = in->at;
    in->at += len;
    in->left -= len;
    return at;
}

uint32_t wire_get_u32(struct wire_in *in)
{
    uint32_t n = 0;
    const char *at = get(in, sizeof n);
    if (at != NULL) memcpy(&n, at, sizeof n);
    return n;
}

uint64_t wire_get_u64(struct wire_in *in)
{
    uint64_t n = 0;
    const char *at = get(in, sizeof n);
    if (at != NULL) memcpy(&n, at, sizeof n);
    return n;
}

struct slice wire_get_text(struct wire_in *in)
{
    uint32_t len = wire_get_u32(in);
    const char *at = get(in, len);
    return slice_of(at, at == NULL ? 0 : len);
}

static void get_bytes(struct wire_in *in, void *ret, size_t len)
{
    const char *at = get(in, len);
    if (at != NULL) memcpy(ret, at, len);
}

/* A text for an array with an end mark. */
static void get_array(struct wire_in *in, char *ret, size_t ret_bytes)
{
    struct slice text = wire_get_text(in);
    if (text.len >= ret_bytes) {
        in->bad = true;
        return;
    }
    hook_text_copy(ret, ret_bytes, text);
}

void wire_put_u32(struct buf *out, uint32_t n)
{
    buf_put(out, &n, sizeof n);
}

void wire_put_u64(struct buf *out, uint64_t n)
{
    buf_put(out, &n, sizeof n);
}

void wire_put_text(struct buf *out, struct slice text)
{
    wire_put_u32(out, (uint32_t)text.len); /* frames end far below 4 GiB */
    buf_put_slice(out, text);
}

void wire_begin(struct buf *out, enum wire_type type, uint32_t id)
{
    wire_put_u32(out, 0);
    buf_put_char(out, (char)type);
    wire_put_u32(out, id);
}

void wire_end(struct buf *out)
{
    uint32_t len = (uint32_t)(out->len - sizeof len);
    if (out->failed == SYNC_OK) memcpy(out->bytes, &len, sizeof len);
}

/* ---- calls */

static void put_identity(struct buf *out, const struct hook_identity *i, const char *hook)
{
    wire_put_u32(out, i != NULL);
    if (i == NULL) return;
    wire_put_u32(out, i->transport);
    wire_put_u64(out, i->connection);
    wire_put_u64(out, i->expires_ms);
    buf_put(out, &i->site, sizeof i->site);
    wire_put_text(out, slice_str(i->database));
    wire_put_text(out, slice_str(i->user_id));
    wire_put_text(out, slice_str(i->remote_address));
    wire_put_text(out, hook_identity_metadata(i, hook));
}

static void get_identity(struct wire_in *in, const char *hook, struct wire_call *c)
{
    if (wire_get_u32(in) == 0) return;
    struct hook_identity *i = c->identity = hook_identity_new(1);
    if (i == NULL) {
        in->bad = true;
        return;
    }
    i->transport = wire_get_u32(in);
    i->connection = wire_get_u64(in);
    i->expires_ms = wire_get_u64(in);
    get_bytes(in, &i->site, sizeof i->site);
    get_array(in, i->database, sizeof i->database);
    get_array(in, i->user_id, sizeof i->user_id);
    get_array(in, i->remote_address, sizeof i->remote_address);
    struct slice metadata = wire_get_text(in);
    if (metadata.len > SYNC_METADATA_BYTES) {
        in->bad = true;
        return;
    }
    i->metadata_count = 1;
    hook_text_copy(i->metadata[0].hook, sizeof i->metadata[0].hook, slice_str(hook));
    i->metadata[0].len = (uint32_t)metadata.len;
    if (metadata.len > 0) memcpy(i->metadata[0].bytes, metadata.bytes, metadata.len);
    c->in.identity = i;
}

static void put_event(struct buf *out, const struct hook_event *e)
{
    wire_put_text(out, e->name);
    wire_put_text(out, e->namespace_name);
    wire_put_text(out, e->election);
    wire_put_text(out, e->leader_id);
    wire_put_u64(out, e->epoch);
}

static void get_event(struct wire_in *in, struct hook_event *e)
{
    e->name = wire_get_text(in);
    e->namespace_name = wire_get_text(in);
    e->election = wire_get_text(in);
    e->leader_id = wire_get_text(in);
    e->epoch = wire_get_u64(in);
}

void wire_put_call(struct buf *out, const struct hook_turn *turn, const char *hook)
{
    const struct hook_input *in = turn->in;
    wire_put_u32(out, in->op);
    wire_put_text(out, in->database);
    wire_put_u64(out, in->connection);
    wire_put_u32(out, in->transport);
    wire_put_u32(out, in->recheck);
    wire_put_u32(out, in->has_site);
    buf_put(out, &in->site, sizeof in->site);
    wire_put_text(out, in->token);
    wire_put_text(out, in->site_text);
    wire_put_text(out, in->remote_address);
    wire_put_u32(out, (uint32_t)in->header_count);
    for (size_t i = 0; i < in->header_count; i++) {
        wire_put_text(out, in->headers[i].name);
        wire_put_text(out, in->headers[i].value);
    }
    put_identity(out, in->identity, hook);
    wire_put_u32(out, in->operation);
    wire_put_u32(out, in->has_since);
    buf_put(out, &in->since, sizeof in->since);
    wire_put_u32(out, in->change_count);
    buf_put(out, &in->result, sizeof in->result);
    wire_put_u32(out, in->rejected_count);
    put_event(out, &in->event);
    buf_put(out, &turn->grant, sizeof turn->grant);
    wire_put_u32(out, turn->sets != NULL);
    if (turn->sets == NULL) return;
    size_t before = out->len;
    wire_put_u32(out, 0);
    buf_put_char(out, '[');
    hook_sets_put(out, turn->sets);
    buf_put_char(out, ']');
    uint32_t len = (uint32_t)(out->len - before - sizeof len);
    if (out->failed == SYNC_OK) memcpy(out->bytes + before, &len, sizeof len);
}

static enum sync_err get_sets(struct slice json, struct wire_call *c, struct err_ctx *ec)
{
    struct err_ctx unfinished;
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    if (r == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a reader");
    struct json_value root = json_open(r, json.bytes, json.len);
    enum sync_err rc = change_sets_take(&root, &c->batch, ec);
    enum sync_err closed = json_close(r, rc == SYNC_OK ? ec : &unfinished);
    json_reader_free(r);
    if (rc == SYNC_OK) rc = closed;
    if (rc == SYNC_OK) rc = hook_sets_init(&c->sets, &c->batch, ec);
    c->in.batch = &c->batch;
    c->turn.sets = &c->sets;
    return rc;
}

enum sync_err wire_get_call(struct wire_in *in, const char *hook, struct wire_call *ret, struct err_ctx *ec)
{
    struct wire_call *c = ret;
    *c = (struct wire_call){.turn.in = &c->in};
    uint32_t op = wire_get_u32(in);
    c->in.op = (enum hook_op)op;
    c->in.database = wire_get_text(in);
    c->in.connection = wire_get_u64(in);
    c->in.transport = wire_get_u32(in);
    c->in.recheck = wire_get_u32(in) != 0;
    c->in.has_site = wire_get_u32(in) != 0;
    get_bytes(in, &c->in.site, sizeof c->in.site);
    c->in.token = wire_get_text(in);
    c->in.site_text = wire_get_text(in);
    c->in.remote_address = wire_get_text(in);
    uint32_t headers = wire_get_u32(in);
    if (op >= HOOK_OP_COUNT || headers > HEADERS_MAX) return err_set(ec, SYNC_EBADMSG, "not a call");
    c->headers = calloc(headers + 1, sizeof *c->headers);
    if (c->headers == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for headers");
    for (uint32_t i = 0; i < headers; i++) {
        c->headers[i].name = wire_get_text(in);
        c->headers[i].value = wire_get_text(in);
    }
    c->in.headers = c->headers;
    c->in.header_count = headers;
    get_identity(in, hook, c);
    c->in.operation = wire_get_u32(in);
    c->in.has_since = wire_get_u32(in) != 0;
    get_bytes(in, &c->in.since, sizeof c->in.since);
    c->in.change_count = wire_get_u32(in);
    get_bytes(in, &c->in.result, sizeof c->in.result);
    c->in.rejected_count = wire_get_u32(in);
    get_event(in, &c->in.event);
    get_bytes(in, &c->turn.grant, sizeof c->turn.grant);
    if (wire_get_u32(in) != 0) {
        struct slice json = wire_get_text(in);
        if (in->bad) return err_set(ec, SYNC_EBADMSG, "a call that is cut off");
        return get_sets(json, c, ec);
    }
    return in->bad ? err_set(ec, SYNC_EBADMSG, "a call that is cut off") : SYNC_OK;
}

void wire_call_deinit(struct wire_call *c)
{
    hook_actions_deinit(&c->turn.actions);
    hook_sets_deinit(&c->sets);
    batch_deinit(&c->batch);
    hook_identity_unref(c->identity);
    free(c->headers);
    *c = (struct wire_call){0};
}

/* ---- replies */

void wire_put_reply(struct buf *out, int got, const struct hook_turn *turn)
{
    const struct hook_actions *a = &turn->actions;
    wire_put_u32(out, (uint32_t)got);
    wire_put_text(out, slice_of(turn->text, strnlen(turn->text, sizeof turn->text - 1)));
    wire_put_text(out, slice_of(turn->path, strnlen(turn->path, sizeof turn->path)));
    buf_put(out, &turn->grant, sizeof turn->grant);
    wire_put_u32(out, a->broken);
    wire_put_u32(out, (uint32_t)a->count);
    for (const struct hook_action *x = a->first; x != NULL; x = x->next) {
        wire_put_u32(out, x->kind);
        wire_put_u32(out, x->set);
        wire_put_u32(out, x->change);
        wire_put_text(out, x->kind == HOOK_REPLACE ? x->json : x->why.reason);
        wire_put_text(out, x->why.code);
        wire_put_text(out, x->why.table);
        wire_put_text(out, x->why.column);
    }
}

static void get_action(struct wire_in *in, struct hook_turn *turn)
{
    uint32_t kind = wire_get_u32(in), set = wire_get_u32(in), change = wire_get_u32(in);
    struct hook_rejection why;
    why.reason = wire_get_text(in);
    why.code = wire_get_text(in);
    why.table = wire_get_text(in);
    why.column = wire_get_text(in);
    if (in->bad || turn->sets == NULL) return;
    switch (kind) {
    case HOOK_REJECT: (void)hook_actions_reject(&turn->actions, turn->sets, set, &why); break;
    case HOOK_DROP: (void)hook_actions_drop(&turn->actions, turn->sets, set, change); break;
    case HOOK_REPLACE: (void)hook_actions_replace(&turn->actions, turn->sets, set, why.reason); break;
    default: turn->actions.broken = true;
    }
}

bool wire_get_reply(struct wire_in *in, struct hook_turn *turn, int *ret_got)
{
    *ret_got = (int)wire_get_u32(in);
    get_array(in, turn->text, sizeof turn->text);
    get_array(in, turn->path, sizeof turn->path);
    get_bytes(in, &turn->grant, sizeof turn->grant);
    if (wire_get_u32(in) != 0) turn->actions.broken = true;
    uint32_t count = wire_get_u32(in);
    for (uint32_t i = 0; i < count && !in->bad; i++) get_action(in, turn);
    return !in->bad && in->left == 0;
}
