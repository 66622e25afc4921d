#include "core/protocol/message.h"

#include "core/json/json_text.h"
#include "core/protocol/change_set.h"

#include <stdlib.h>

enum {
    KEY_SHOWN_MAX = 40, /* of a member's name in an error text */
    KEY_ROOM = 24,      /* longer than every name of a member that means something here */
};

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

/* A message on its way in. What is wrong with a member is kept with the member; short memory ends it all. */
struct reading {
    struct message *m;
    bool no_memory;
};

/* The text of a string, escapes resolved into the message's arena; false when the value is not a string. The
 * value is taken either way, so that all of the message is known to be JSON. */
static bool take_text(const struct json_value *v, struct reading *r, struct slice *ret)
{
    struct slice inside;
    *ret = slice_str("");
    if (!json_take_string(v, &inside)) {
        (void)json_take(v);
        return false;
    }
    if (!json_text_resolve_in(inside, &r->m->batch.arena, ret)) r->no_memory = true;
    return true;
}

static void take_version(const struct json_value *v, struct message *m)
{
    struct json_raw raw = json_take(v);
    m->version_ok = raw.type == JSON_NUMBER && strtod(raw.text.bytes, NULL) == PROTOCOL_VERSION;
}

static void take_database_id(const struct json_value *v, struct reading *r)
{
    struct message *m = r->m;
    bool is_null = json_type(v) == JSON_NULL;
    /* What is no string is there all the same, and no valid id. */
    m->has_database_id = take_text(v, r, &m->database_id) ? m->database_id.len > 0 : !is_null;
}

static void take_site(const struct json_value *v, struct reading *r)
{
    struct member_state *s = &r->m->site_state;
    struct slice text;
    s->has = true;
    if (take_text(v, r, &text))
        s->rc = site_id_parse(text, &r->m->site, &s->ec);
    else
        s->rc = err_set(&s->ec, SYNC_EBADMSG, "siteId is not a string");
}

static void take_since(const struct json_value *v, struct reading *r)
{
    struct member_state *s = &r->m->since_state;
    struct slice text;
    bool is_null = json_type(v) == JSON_NULL, is_text = take_text(v, r, &text);
    *s = (struct member_state){.has = !is_null && !(is_text && text.len == 0)};
    if (!s->has) return;
    s->rc = is_text ? hlc_parse(text, &r->m->since, &s->ec) : err_set(&s->ec, SYNC_EBADMSG, "not a string");
    if (s->rc != SYNC_OK) err_place(&s->ec, "sinceHLC");
}

/* ---- checkpoint */

static int compare_slices(const void *x, const void *y)
{
    return slice_cmp(*(const struct slice *)x, *(const struct slice *)y);
}

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory for a checkpoint");
}

static enum sync_err add_completed(struct checkpoint *c, size_t *capacity, struct slice name,
                                   struct arena *arena, struct err_ctx *ec)
{
    if (c->completed_count == CHECKPOINT_TABLES_MAX)
        return err_set(ec, SYNC_ELIMIT, "over %d tables", CHECKPOINT_TABLES_MAX);
    if (c->completed_count == *capacity) {
        size_t wanted = *capacity == 0 ? 8 : *capacity * 2;
        struct slice *grown = arena_get(arena, wanted * sizeof *grown);
        if (grown == NULL) return no_memory(ec);
        if (c->completed_count > 0) memcpy(grown, c->completed, c->completed_count * sizeof *grown);
        c->completed = grown;
        *capacity = wanted;
    }
    c->completed[c->completed_count++] = name;
    return SYNC_OK;
}

static enum sync_err take_completed(const struct json_value *v, struct reading *r, struct err_ctx *ec)
{
    struct checkpoint *c = &r->m->checkpoint;
    struct json_value element;
    struct slice name;
    size_t capacity = 0;
    if (json_type(v) != JSON_ARRAY) return err_set(ec, SYNC_EBADMSG, "not an array");
    struct json_walk w = json_elements(v);
    c->completed_count = 0;
    while (json_next_element(&w, &element)) {
        enum sync_err rc = take_text(&element, r, &name)
                               ? add_completed(c, &capacity, name, &r->m->batch.arena, ec)
                               : err_set(ec, SYNC_EBADMSG, "not a string");
        if (rc == SYNC_OK) continue;
        err_place(ec, "[%zu]", c->completed_count);
        return rc;
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

static enum sync_err take_checkpoint_member(struct slice key, const struct json_value *v, struct reading *r,
                                            unsigned *seen, struct err_ctx *ec)
{
    struct checkpoint *c = &r->m->checkpoint;
    struct slice text;
    uint64_t ignored;
    if (slice_is(key, "snapshotId")) {
        *seen |= SAW_SNAPSHOT_ID;
        if (!json_take_string(v, &c->snapshot_id)) return err_set(ec, SYNC_EBADMSG, "not a string");
        return c->snapshot_id.len > 0 ? SYNC_OK : err_set(ec, SYNC_EBADMSG, "empty");
    }
    if (slice_is(key, "siteId")) {
        *seen |= SAW_SITE;
        if (!take_text(v, r, &text)) return err_set(ec, SYNC_EBADMSG, "not a string");
        return site_id_parse(text, &c->site, ec);
    }
    if (slice_is(key, "hlc")) {
        *seen |= SAW_HLC;
        if (!take_text(v, r, &text)) return err_set(ec, SYNC_EBADMSG, "not a string");
        return hlc_parse(text, &c->hlc, ec);
    }
    if (slice_is(key, "completedTables")) {
        *seen |= SAW_COMPLETED;
        return take_completed(v, r, ec);
    }
    if (slice_is(key, "entriesProcessed")) return take_count(v, &c->entries_processed, ec);
    if (slice_is(key, "createdAt")) return take_count(v, &ignored, ec);
    (void)json_take(v); /* the indices count what this server finds by the names of the tables */
    return SYNC_OK;
}

static enum sync_err take_checkpoint(const struct json_value *v, struct reading *r, struct err_ctx *ec)
{
    struct json_value member;
    struct slice key;
    unsigned seen = 0;
    r->m->checkpoint = (struct checkpoint){0};
    if (json_type(v) != JSON_OBJECT) {
        (void)json_take(v);
        return err_set(ec, SYNC_EBADMSG, "not an object");
    }
    struct json_walk w = json_members(v);
    while (json_next_member(&w, &key, &member)) {
        char room[KEY_ROOM];
        key = json_text_short(key, room, sizeof room);
        enum sync_err rc = take_checkpoint_member(key, &member, r, &seen, ec);
        if (rc != SYNC_OK) {
            err_place(ec, ".%.*s", key.len < KEY_SHOWN_MAX ? (int)key.len : KEY_SHOWN_MAX, key.bytes);
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

static void take_changes(const struct json_value *v, struct message *m)
{
    struct member_state *s = &m->changes_state;
    bool is_list = json_type(v) == JSON_ARRAY;
    *s = (struct member_state){.has = true};
    s->rc = change_sets_take(v, &m->batch, &s->ec);
    if (s->rc != SYNC_OK) err_place(&s->ec, "changes");
    if (!is_list) (void)json_take(v);
}

static void take_member(struct slice key, const struct json_value *v, struct reading *r)
{
    struct message *m = r->m;
    struct slice text;
    char room[KEY_ROOM];
    key = json_text_short(key, room, sizeof room);
    if (slice_is(key, "type")) {
        m->type = take_text(v, r, &text) ? type_of(text) : MESSAGE_UNKNOWN;
    } else if (slice_is(key, "protocolVersion")) {
        take_version(v, m);
    } else if (slice_is(key, "databaseId")) {
        take_database_id(v, r);
    } else if (slice_is(key, "siteId")) {
        take_site(v, r);
    } else if (slice_is(key, "token")) {
        m->has_token = take_text(v, r, &m->token);
    } else if (slice_is(key, "sinceHLC")) {
        take_since(v, r);
    } else if (slice_is(key, "requestId")) {
        m->request_id = json_take(v).text;
    } else if (slice_is(key, "changes")) {
        take_changes(v, m);
    } else if (slice_is(key, "checkpoint")) {
        struct member_state *s = &m->checkpoint_state;
        *s = (struct member_state){.has = true};
        s->rc = take_checkpoint(v, r, &s->ec);
        if (s->rc != SYNC_OK) err_place(&s->ec, "checkpoint");
    } else {
        (void)json_take(v);
    }
}

enum sync_err message_read(struct json_reader *r, char *text, size_t len, struct message *ret,
                           struct err_ctx *ec)
{
    *ret = (struct message){.batch = {.text = text, .text_len = len}};
    struct reading reading = {.m = ret};
    struct json_value root = json_open(r, text, len), value;
    struct slice key;
    bool is_object = json_type(&root) == JSON_OBJECT;
    if (is_object) {
        struct json_walk w = json_members(&root);
        while (json_next_member(&w, &key, &value)) take_member(key, &value, &reading);
    } else {
        (void)json_take(&root);
    }
    enum sync_err rc = json_close(r, ec);
    if (rc == SYNC_OK && !is_object) rc = err_set(ec, SYNC_EBADMSG, "not a JSON object");
    if (rc == SYNC_OK && reading.no_memory) rc = err_set(ec, SYNC_ENOMEM, "no memory for a message");
    if (rc != SYNC_OK) message_deinit(ret);
    return rc;
}

void message_deinit(struct message *m)
{
    batch_deinit(&m->batch);
    *m = (struct message){0};
}
