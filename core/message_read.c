#include "core/message.h"

#include "core/change_set.h"
#include "core/json_text.h"

#include <stdlib.h>

static const struct {
    const char *name;
    enum message_type type;
} types[] = {
    {"handshake", MESSAGE_HANDSHAKE},
    {"get_changes", MESSAGE_GET_CHANGES},
    {"apply_changes", MESSAGE_APPLY_CHANGES},
    {"get_snapshot", MESSAGE_GET_SNAPSHOT},
    {"resume_snapshot", MESSAGE_RESUME_SNAPSHOT},
    {"ping", MESSAGE_PING},
};

static enum message_type type_of(struct slice name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (slice_is(name, types[i].name)) return types[i].type;
    return MESSAGE_UNKNOWN;
}

/* The text of a string, escapes resolved into the message's arena; false when the value is not a string. */
static bool take_text(const struct json_value *v, struct arena *arena, struct slice *ret)
{
    struct slice inside;
    if (!json_take_string(v, &inside)) return false;
    *ret = inside;
    if (memchr(inside.bytes, '\\', inside.len) == NULL) return true;
    struct buf resolved = buf_make(inside.len); /* resolving never makes a text longer */
    json_text_resolve(inside, &resolved);
    *ret = arena_copy(arena, buf_slice(&resolved));
    buf_deinit(&resolved);
    return true;
}

static void take_version(const struct json_value *v, struct message *m)
{
    struct json_raw raw = json_take(v);
    m->version_ok = raw.type == JSON_NUMBER && strtod(raw.text.bytes, NULL) == PROTOCOL_VERSION;
}

static void take_database_id(const struct json_value *v, struct message *m)
{
    m->has_database_id = true;
    if (take_text(v, &m->batch.arena, &m->database_id)) {
        m->has_database_id = m->database_id.len > 0;
        return;
    }
    struct json_raw raw = json_take(v);
    m->database_id = slice_str(""); /* there, and no valid id */
    if (raw.type == JSON_NULL) m->has_database_id = false;
}

static void take_site(const struct json_value *v, struct message *m)
{
    struct member_state *s = &m->site_state;
    struct slice text;
    s->has = true;
    if (take_text(v, &m->batch.arena, &text))
        s->rc = site_id_parse(text, &m->site, &s->ec);
    else
        s->rc = err_set(&s->ec, SYNC_EBADMSG, "siteId is not a string");
}

static void take_since(const struct json_value *v, struct message *m)
{
    struct member_state *s = &m->since_state;
    struct slice text = {0};
    if (json_type(v) == JSON_NULL) return;
    if (!take_text(v, &m->batch.arena, &text)) {
        s->has = true;
        s->rc = err_set(&s->ec, SYNC_EBADMSG, "sinceHLC: not a string");
        return;
    }
    if (text.len == 0) return;
    s->has = true;
    s->rc = hlc_parse(text, &m->since, &s->ec);
    if (s->rc != SYNC_OK) err_wrap(&s->ec, "sinceHLC");
}

/* ---- checkpoint */

static int compare_slices(const void *x, const void *y)
{
    return slice_cmp(*(const struct slice *)x, *(const struct slice *)y);
}

static enum sync_err take_completed(const struct json_value *v, struct arena *arena, struct checkpoint *c,
                                    struct err_ctx *ec)
{
    struct json_value element;
    size_t capacity = 0;
    if (json_type(v) != JSON_ARRAY) return err_set(ec, SYNC_EBADMSG, "not an array");
    struct json_walk w = json_elements(v);
    c->completed_count = 0;
    while (json_next_element(&w, &element)) {
        if (c->completed_count == capacity) {
            capacity = capacity == 0 ? 8 : capacity * 2;
            struct slice *grown = arena_get(arena, capacity * sizeof *grown);
            if (grown == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a checkpoint");
            if (c->completed_count > 0) memcpy(grown, c->completed, c->completed_count * sizeof *grown);
            c->completed = grown;
        }
        if (!take_text(&element, arena, &c->completed[c->completed_count++]))
            return err_set(ec, SYNC_EBADMSG, "[%zu]: not a string", c->completed_count - 1);
    }
    if (c->completed_count > 0) qsort(c->completed, c->completed_count, sizeof *c->completed, compare_slices);
    return SYNC_OK;
}

static enum sync_err take_count(const struct json_value *v, uint64_t *ret, struct err_ctx *ec)
{
    struct json_raw raw = json_take(v);
    double d = raw.type == JSON_NUMBER ? strtod(raw.text.bytes, NULL) : -1;
    if (!(d >= 0 && d < 0x1p53)) return err_set(ec, SYNC_EBADMSG, "not a count");
    *ret = (uint64_t)d;
    return SYNC_OK;
}

enum { SAW_SNAPSHOT_ID = 1, SAW_SITE = 2, SAW_HLC = 4, SAW_COMPLETED = 8, SAW_ALL = 15 };

static enum sync_err take_checkpoint_member(struct slice key, const struct json_value *v, struct message *m,
                                            unsigned *seen, struct err_ctx *ec)
{
    struct checkpoint *c = &m->checkpoint;
    struct slice text;
    uint64_t ignored;
    if (slice_is(key, "snapshotId")) {
        *seen |= SAW_SNAPSHOT_ID;
        if (!json_take_string(v, &c->snapshot_id)) return err_set(ec, SYNC_EBADMSG, "not a string");
        return c->snapshot_id.len > 0 ? SYNC_OK : err_set(ec, SYNC_EBADMSG, "empty");
    }
    if (slice_is(key, "siteId")) {
        *seen |= SAW_SITE;
        if (!take_text(v, &m->batch.arena, &text)) return err_set(ec, SYNC_EBADMSG, "not a string");
        return site_id_parse(text, &c->site, ec);
    }
    if (slice_is(key, "hlc")) {
        *seen |= SAW_HLC;
        if (!take_text(v, &m->batch.arena, &text)) return err_set(ec, SYNC_EBADMSG, "not a string");
        return hlc_parse(text, &c->hlc, ec);
    }
    if (slice_is(key, "completedTables")) {
        *seen |= SAW_COMPLETED;
        return take_completed(v, &m->batch.arena, c, ec);
    }
    if (slice_is(key, "entriesProcessed")) return take_count(v, &c->entries_processed, ec);
    if (slice_is(key, "createdAt")) return take_count(v, &ignored, ec);
    (void)json_take(v); /* the indices count what this server finds by the names of the tables */
    return SYNC_OK;
}

static enum sync_err take_checkpoint(const struct json_value *v, struct message *m, struct err_ctx *ec)
{
    struct json_value member;
    struct slice key;
    unsigned seen = 0;
    if (json_type(v) != JSON_OBJECT) return err_set(ec, SYNC_EBADMSG, "not an object");
    struct json_walk w = json_members(v);
    while (json_next_member(&w, &key, &member)) {
        enum sync_err rc = take_checkpoint_member(key, &member, m, &seen, ec);
        if (rc != SYNC_OK) {
            err_wrap(ec, "%.*s", key.len < 40 ? (int)key.len : 40, key.bytes);
            return rc;
        }
    }
    if (seen != SAW_ALL) {
        const char *missing = !(seen & SAW_SNAPSHOT_ID) ? "snapshotId"
                              : !(seen & SAW_SITE)      ? "siteId"
                              : !(seen & SAW_HLC)       ? "hlc"
                                                        : "completedTables";
        return err_set(ec, SYNC_EBADMSG, "%s is missing", missing);
    }
    return SYNC_OK;
}

/* ---- the message */

static void take_member(struct slice key, const struct json_value *v, struct message *m)
{
    struct slice text;
    if (slice_is(key, "type")) {
        m->type = take_text(v, &m->batch.arena, &text) ? type_of(text) : MESSAGE_UNKNOWN;
    } else if (slice_is(key, "protocolVersion")) {
        take_version(v, m);
    } else if (slice_is(key, "databaseId")) {
        take_database_id(v, m);
    } else if (slice_is(key, "siteId")) {
        take_site(v, m);
    } else if (slice_is(key, "token")) {
        m->has_token = take_text(v, &m->batch.arena, &m->token);
    } else if (slice_is(key, "sinceHLC")) {
        take_since(v, m);
    } else if (slice_is(key, "requestId")) {
        m->request_id = json_take(v).text;
    } else if (slice_is(key, "changes")) {
        m->changes_state.has = true;
        m->changes_state.rc = change_sets_take(v, &m->batch, &m->changes_state.ec);
        if (m->changes_state.rc != SYNC_OK) err_wrap(&m->changes_state.ec, "changes");
    } else if (slice_is(key, "checkpoint")) {
        m->checkpoint_state.has = true;
        m->checkpoint_state.rc = take_checkpoint(v, m, &m->checkpoint_state.ec);
        if (m->checkpoint_state.rc != SYNC_OK) err_wrap(&m->checkpoint_state.ec, "checkpoint");
    } else {
        (void)json_take(v);
    }
}

enum sync_err message_read(struct json_reader *r, char *text, size_t len, struct message *ret,
                           struct err_ctx *ec)
{
    *ret = (struct message){.batch = {.text = text}};
    struct json_value root = json_open(r, text, len), value;
    struct slice key;
    bool is_object = json_type(&root) == JSON_OBJECT;
    if (is_object) {
        struct json_walk w = json_members(&root);
        while (json_next_member(&w, &key, &value)) take_member(key, &value, ret);
    } else {
        (void)json_take(&root);
    }
    enum sync_err rc = json_close(r, ec);
    if (rc == SYNC_OK && !is_object) rc = err_set(ec, SYNC_EBADMSG, "not a JSON object");
    if (rc != SYNC_OK) message_deinit(ret);
    return rc;
}

void message_deinit(struct message *m)
{
    batch_deinit(&m->batch);
    *m = (struct message){0};
}
