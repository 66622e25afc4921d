#include "storage/snapshots/snapshot_line.h"

#include "core/json/json_text.h"
#include "core/protocol/change_set.h"
#include "storage/snapshots/snapshot_name.h"

#define FORMAT_NAME "sync-coordinator snapshot"

void snapshot_foot_count(struct snapshot_foot *f, enum fact_type type)
{
    switch (type) {
    case FACT_CELL: f->cells++; break;
    case FACT_DELETE: f->deletes++; break;
    case FACT_MIGRATION: f->migrations++; break;
    }
}

/* ---- writing */

static void put_stamp(struct buf *out, const char *name, const struct stamp *s)
{
    char text[STAMP_TEXT + 1];
    stamp_format(s, text);
    buf_printf(out, "\"%s\":\"%s\"", name, text);
}

void snapshot_put_head(struct buf *out, const struct snapshot_head *h)
{
    buf_printf(out, "{\"format\":\"" FORMAT_NAME "\",\"version\":%d,\"database\":", SNAPSHOT_VERSION);
    json_put_text(out, h->database);
    BUF_PUT_LIT(out, ",\"serverSiteId\":");
    json_put_site(out, &h->server_site);
    buf_put_char(out, ',');
    put_stamp(out, "stamp", &h->stamp);
    buf_put_char(out, ',');
    put_stamp(out, "pruned", &h->pruned);
    buf_put_str(out, h->asks ? ",\"asks\":true,\"madeAt\":" : ",\"asks\":false,\"madeAt\":");
    buf_put_u64(out, h->made_ms);
    if (h->has_run) {
        BUF_PUT_LIT(out, ",\"run\":\"");
        for (size_t i = 0; i < LOG_RUN_BYTES; i++) buf_printf(out, "%02x", h->run[i]);
        buf_put_char(out, '"');
    }
    BUF_PUT_LIT(out, "}\n");
}

void snapshot_put_fact(struct buf *out, const struct moved_entry *e)
{
    char stamp[STAMP_TEXT + 1];
    stamp_format(&e->stamp, stamp);
    BUF_PUT_LIT(out, "{\"stamp\":\"");
    buf_put(out, stamp, STAMP_TEXT);
    if (e->fact.type == FACT_DELETE) {
        BUF_PUT_LIT(out, "\",\"createdAt\":");
        buf_put_u64(out, e->created_ms);
        BUF_PUT_LIT(out, ",\"fact\":");
    } else {
        BUF_PUT_LIT(out, "\",\"fact\":");
    }
    fact_put(out, &e->fact);
    BUF_PUT_LIT(out, "}\n");
}

void snapshot_put_foot(struct buf *out, const struct snapshot_foot *f)
{
    BUF_PUT_LIT(out, "{\"end\":true,\"cells\":");
    buf_put_u64(out, f->cells);
    BUF_PUT_LIT(out, ",\"deletes\":");
    buf_put_u64(out, f->deletes);
    BUF_PUT_LIT(out, ",\"migrations\":");
    buf_put_u64(out, f->migrations);
    BUF_PUT_LIT(out, ",\"sha256\":\"");
    buf_put_str(out, f->sha256);
    BUF_PUT_LIT(out, "\"}\n");
}

/* ---- reading */

/* Which members a line had. */
enum member {
    HAS_FORMAT = 1,
    HAS_VERSION = 2,
    HAS_DATABASE = 4,
    HAS_SITE = 8,
    HAS_STAMP = 16,
    HAS_PRUNED = 32,
    HAS_ASKS = 64,
    HAS_MADE = 128,
    HAS_CREATED = 256,
    HAS_FACT = 512,
    HAS_END = 1024,
    HAS_CELLS = 2048,
    HAS_DELETES = 4096,
    HAS_MIGRATIONS = 8192,
    HAS_SHA256 = 16384,
    HAS_RUN = 32768,
};

enum {
    HEAD_MEMBERS = HAS_FORMAT | HAS_VERSION | HAS_DATABASE | HAS_SITE | HAS_STAMP | HAS_PRUNED | HAS_ASKS |
                   HAS_MADE,             /* and perhaps HAS_RUN */
    FACT_MEMBERS = HAS_STAMP | HAS_FACT, /* and HAS_CREATED with deletes */
    FOOT_MEMBERS = HAS_END | HAS_CELLS | HAS_DELETES | HAS_MIGRATIONS | HAS_SHA256,
};

struct reading {
    struct arena *arena;
    struct snapshot_line line;
    struct stamp stamp;
    uint64_t version;
    unsigned has;
};

static bool take_u64(const struct json_value *v, uint64_t *ret)
{
    struct json_raw raw = json_take(v);
    uint64_t n = 0;
    if (raw.type != JSON_NUMBER || raw.text.len > 19) return false;
    for (size_t i = 0; i < raw.text.len; i++) {
        if (raw.text.bytes[i] < '0' || raw.text.bytes[i] > '9') return false;
        n = n * 10 + (uint64_t)(raw.text.bytes[i] - '0');
    }
    *ret = n;
    return true;
}

static bool take_stamp(const struct json_value *v, struct stamp *ret)
{
    struct slice text;
    return json_take_string(v, &text) && stamp_parse(text, ret);
}

static bool take_boolean(const struct json_value *v, bool *ret)
{
    struct json_raw raw = json_take(v);
    *ret = slice_is(raw.text, "true");
    return raw.type == JSON_BOOLEAN;
}

static bool take_site(const struct json_value *v, struct site_id *ret)
{
    struct slice text;
    struct err_ctx ec;
    return json_take_string(v, &text) && site_id_parse(text, ret, &ec) == SYNC_OK;
}

static bool take_name(const struct json_value *v, struct arena *arena, struct slice *ret)
{
    struct slice text;
    bool lone;
    if (!json_take_string(v, &text)) return false;
    (void)json_text_check(text, &lone);
    return !lone && json_text_resolve_in(text, arena, ret);
}

static bool take_sha256(const struct json_value *v, char ret[SNAPSHOT_SHA256_TEXT + 1])
{
    struct slice text;
    if (!json_take_string(v, &text) || text.len != SNAPSHOT_SHA256_TEXT) return false;
    memcpy(ret, text.bytes, SNAPSHOT_SHA256_TEXT);
    ret[SNAPSHOT_SHA256_TEXT] = '\0';
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_run(const struct json_value *v, uint8_t ret[LOG_RUN_BYTES])
{
    struct slice text;
    if (!json_take_string(v, &text) || text.len != 2 * (size_t)LOG_RUN_BYTES) return false;
    for (size_t i = 0; i < LOG_RUN_BYTES; i++) {
        int high = hex_value(text.bytes[2 * i]), low = hex_value(text.bytes[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool take_format(const struct json_value *v)
{
    struct slice text;
    return json_take_string(v, &text) && slice_is(text, FORMAT_NAME);
}

/* Members are spelled without escapes, as they are written here. */
static enum sync_err take_member(struct reading *r, struct slice key, const struct json_value *v,
                                 struct err_ctx *ec)
{
    struct snapshot_line *l = &r->line;
    unsigned member = 0;
    bool good = false, end;
#define MEMBER(name, bit, take)                                                                              \
    if (slice_is(key, name)) {                                                                               \
        member = (bit);                                                                                      \
        good = (take);                                                                                       \
    }
    if (slice_is(key, "fact")) {
        enum sync_err rc = fact_take(v, r->arena, &l->entry.fact, ec);
        if (rc != SYNC_OK) {
            err_place(ec, ".fact");
            return rc;
        }
        member = HAS_FACT;
        good = true;
    }
    MEMBER("stamp", HAS_STAMP, take_stamp(v, &r->stamp))
    MEMBER("createdAt", HAS_CREATED, take_u64(v, &l->entry.created_ms))
    MEMBER("format", HAS_FORMAT, take_format(v))
    MEMBER("version", HAS_VERSION, take_u64(v, &r->version))
    MEMBER("database", HAS_DATABASE, take_name(v, r->arena, &l->head.database))
    MEMBER("serverSiteId", HAS_SITE, take_site(v, &l->head.server_site))
    MEMBER("pruned", HAS_PRUNED, take_stamp(v, &l->head.pruned))
    MEMBER("asks", HAS_ASKS, take_boolean(v, &l->head.asks))
    MEMBER("madeAt", HAS_MADE, take_u64(v, &l->head.made_ms))
    MEMBER("run", HAS_RUN, take_run(v, l->head.run))
    MEMBER("end", HAS_END, take_boolean(v, &end) && end)
    MEMBER("cells", HAS_CELLS, take_u64(v, &l->foot.cells))
    MEMBER("deletes", HAS_DELETES, take_u64(v, &l->foot.deletes))
    MEMBER("migrations", HAS_MIGRATIONS, take_u64(v, &l->foot.migrations))
    MEMBER("sha256", HAS_SHA256, take_sha256(v, l->foot.sha256))
#undef MEMBER
    if (member == 0 || !good || (r->has & member) != 0)
        return err_set(ec, SYNC_EFORMAT, "a snapshot's line with a bad member %.*s",
                       key.len < 40 ? (int)key.len : 40, key.bytes);
    r->has |= member;
    if (member == HAS_VERSION && r->version != SNAPSHOT_VERSION && (r->has & HAS_FORMAT) != 0) {
        l->of_later_build = true;
        return err_set(ec, SYNC_EFORMAT, "a snapshot of version %llu, this build reads %d",
                       (unsigned long long)r->version, SNAPSHOT_VERSION);
    }
    return SYNC_OK;
}

static enum sync_err settle(struct reading *r, struct err_ctx *ec)
{
    struct snapshot_line *l = &r->line;
    if ((r->has & ~(unsigned)HAS_RUN) == HEAD_MEMBERS && l->head.database.len > 0 &&
        l->head.database.len <= DATABASE_ID_MAX) {
        l->type = SNAPSHOT_LINE_HEAD;
        l->head.stamp = r->stamp;
        l->head.has_run = (r->has & HAS_RUN) != 0;
        return SYNC_OK;
    }
    if (r->has == FOOT_MEMBERS) {
        l->type = SNAPSHOT_LINE_FOOT;
        return SYNC_OK;
    }
    unsigned created = l->entry.fact.type == FACT_DELETE ? HAS_CREATED : 0;
    if ((r->has & HAS_FACT) != 0 && r->has == (FACT_MEMBERS | created)) {
        l->type = SNAPSHOT_LINE_FACT;
        l->entry.stamp = r->stamp;
        return SYNC_OK;
    }
    return err_set(ec, SYNC_EFORMAT, "a snapshot's line that is neither head, fact nor foot");
}

enum sync_err snapshot_get_line(struct json_reader *reader, struct arena *arena, struct slice line,
                                struct snapshot_line *ret, struct err_ctx *ec)
{
    struct reading r = {.arena = arena};
    struct json_value v = json_open(reader, line.bytes, line.len), member;
    struct slice key;
    enum sync_err rc = SYNC_OK;
    if (json_type(&v) == JSON_OBJECT) {
        struct json_walk w = json_members(&v);
        while (rc == SYNC_OK && json_next_member(&w, &key, &member)) rc = take_member(&r, key, &member, ec);
    }
    struct err_ctx close_ec;
    enum sync_err close_rc = json_close(reader, &close_ec);
    if (rc == SYNC_OK && close_rc != SYNC_OK) {
        rc = close_rc;
        *ec = close_ec;
    }
    if (rc == SYNC_OK) rc = settle(&r, ec);
    if (rc == SYNC_EBADMSG) rc = SYNC_EFORMAT; /* nobody sent it: it is damaged */
    *ret = r.line;
    return rc;
}
