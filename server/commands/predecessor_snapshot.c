#include "server/commands/json_split.h"
#include "server/commands/predecessor_merge.h"
#include "storage/objects/object_reader.h"

#include <stdlib.h>
#include <zlib.h>

enum { INFLATED_BYTES = 1 << 18, GZIP_WINDOW = 15 + 16 };

/* ---- chunks: made into ChangeSets, so that every check of those is theirs too */

/* What a chunk says, as it was spelled. */
struct chunk {
    struct slice type, schema, table, format, migration, entries;
};

static enum sync_err take_chunk(struct json_reader *reader, struct slice text, struct chunk *ret,
                                struct err_ctx *ec)
{
    struct json_value v = json_open(reader, text.bytes, text.len), member;
    struct slice key;
    *ret = (struct chunk){0};
    if (json_type(&v) == JSON_OBJECT) {
        struct json_walk w = json_members(&v);
        while (json_next_member(&w, &key, &member)) {
            struct slice value = json_take(&member).text;
            if (slice_is(key, "type")) ret->type = value;
            if (slice_is(key, "schema")) ret->schema = value;
            if (slice_is(key, "table")) ret->table = value;
            if (slice_is(key, "snapshotFormat")) ret->format = value;
            if (slice_is(key, "migration")) ret->migration = value;
            if (slice_is(key, "entries")) ret->entries = value;
        }
    }
    return json_close(reader, ec);
}

static void put_member(struct buf *out, const char *name, struct slice value)
{
    if (value.len == 0) return; /* whoever reads it says what is missing */
    buf_printf(out, ",\"%s\":", name);
    buf_put_slice(out, value);
}

/* One entry as a Change. */
static void put_entry(struct buf *out, const struct chunk *c, const char *type,
                      const struct json_value *entry)
{
    struct slice key, pk = {0}, column = {0}, value = {0}, hlc = {0}, prior_row = {0};
    struct json_value member;
    if (json_type(entry) != JSON_OBJECT) {
        (void)json_take(entry);
        BUF_PUT_LIT(out, "null"); /* is refused */
        return;
    }
    struct json_walk w = json_members(entry);
    while (json_next_member(&w, &key, &member)) {
        struct slice text = json_take(&member).text;
        if (slice_is(key, "pk")) pk = text;
        if (slice_is(key, "column")) column = text;
        if (slice_is(key, "value")) value = text;
        if (slice_is(key, "hlc")) hlc = text;
        if (slice_is(key, "priorRow")) prior_row = text;
    }
    buf_printf(out, "{\"type\":\"%s\"", type);
    put_member(out, "schema", c->schema);
    put_member(out, "table", c->table);
    put_member(out, "pk", pk);
    put_member(out, "column", column);
    put_member(out, "value", value);
    put_member(out, "hlc", hlc);
    put_member(out, "priorRow", prior_row);
    buf_put_char(out, '}');
}

/* The chunk's facts as the ChangeSets of one batch. They are of many transactions; which ones, each fact's
 * own HLC says, and the set's only has to be there. */
static enum sync_err put_sets(struct json_reader *reader, const struct chunk *c, struct buf *out,
                              struct err_ctx *ec)
{
    static const char lowest[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    bool deletes = slice_is(c->type, "\"tombstone\""), first = true;
    buf_printf(out,
               "[{\"siteId\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"transactionId\":\"0:0:AAAAAAAAAAAAAAAAAAAAAA\","
               "\"hlc\":\"%s\",\"changes\":[",
               lowest);
    enum sync_err rc = SYNC_OK;
    if (c->migration.len == 0) {
        struct json_value v = json_open(reader, c->entries.bytes, c->entries.len), entry;
        if (json_type(&v) == JSON_ARRAY) {
            struct json_walk w = json_elements(&v);
            while (json_next_element(&w, &entry)) {
                if (!first) buf_put_char(out, ',');
                first = false;
                put_entry(out, c, deletes ? "delete" : "column", &entry);
            }
        }
        rc = json_close(reader, ec);
    }
    BUF_PUT_LIT(out, "],\"schemaMigrations\":[");
    buf_put_slice(out, c->migration);
    BUF_PUT_LIT(out, "]}]");
    static const char padding[JSON_PADDING];
    buf_put(out, padding, sizeof padding);
    return rc == SYNC_OK ? buf_check(out, ec) : rc;
}

enum sync_err predecessor_chunk(const struct predecessor_import *p, struct json_reader *reader,
                                struct slice chunk, struct predecessor_result *result, bool *ret_end,
                                struct err_ctx *ec)
{
    struct chunk c;
    enum sync_err rc = take_chunk(reader, chunk, &c, ec);
    if (rc != SYNC_OK) return rc;
    *ret_end = slice_is(c.type, "\"footer\"");
    if (slice_is(c.type, "\"header\"")) {
        if (c.format.len == 0 || slice_is(c.format, "1")) return SYNC_OK;
        return err_set(ec, SYNC_EBADMSG, "a snapshot of format %.*s, this build reads 1",
                       c.format.len < 20 ? (int)c.format.len : 20, c.format.bytes);
    }
    if (*ret_end || slice_is(c.type, "\"table-start\"") || slice_is(c.type, "\"table-end\"")) return SYNC_OK;
    bool entries = slice_is(c.type, "\"column-versions\"") || slice_is(c.type, "\"tombstone\"");
    if (!entries && !slice_is(c.type, "\"schema-migration\""))
        return err_set(ec, SYNC_EBADMSG, "an unknown chunk %.*s", c.type.len < 40 ? (int)c.type.len : 40,
                       c.type.len == 0 ? "" : c.type.bytes);
    if (entries ? c.entries.len == 0 : c.migration.len == 0)
        return err_set(ec, SYNC_EBADMSG, "a chunk %.*s without its %s", SLICE_ARG(c.type),
                       entries ? "entries" : "migration");
    struct buf sets = buf_make(2 * (size_t)PREDECESSOR_BYTES_MAX);
    rc = put_sets(reader, &c, &sets, ec);
    if (rc == SYNC_OK) {
        struct json_value v = json_open(reader, sets.bytes, sets.len - JSON_PADDING);
        rc = predecessor_apply(p, &v, result, ec);
        struct err_ctx ignored; /* what was wrong is told already */
        (void)json_close(reader, rc == SYNC_OK ? ec : &ignored);
    }
    buf_deinit(&sets);
    return rc;
}

/* ---- the stream */

struct stream {
    const struct predecessor_import *p;
    struct predecessor_result *result;
    struct json_reader *reader;
    struct json_split split;
    z_stream gzip;
    bool gzip_open, gzip_ended, is_plain, began, ended;
    uint64_t chunks;
};

/* As far as it has said by now. */
static enum sync_err check_database(const struct stream *s, struct err_ctx *ec)
{
    struct slice named = slice_of(s->split.named, s->split.named_len);
    if (!s->split.has_named || slice_eq(named, s->p->database)) return SYNC_OK;
    return err_set(ec, SYNC_EBADMSG, "it is of database %.*s", SLICE_ARG(named));
}

static enum sync_err on_chunk(void *arg, struct slice text, struct err_ctx *ec)
{
    struct stream *s = arg;
    bool end = false;
    enum sync_err rc = check_database(s, ec); /* before any of it is merged; mostly it is said first */
    if (rc != SYNC_OK) return rc;
    rc = predecessor_chunk(s->p, s->reader, text, s->result, &end, ec);
    if (rc == SYNC_EBADMSG || rc == SYNC_ELIMIT) err_wrap(ec, "chunk %llu", (unsigned long long)s->chunks);
    s->chunks++;
    s->ended = s->ended || end;
    return rc;
}

static enum sync_err inflate_all(struct stream *s, struct slice bytes, uint8_t *out, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    s->gzip.next_in = (uint8_t *)(uintptr_t)bytes.bytes;
    s->gzip.avail_in = (uInt)bytes.len;
    while (rc == SYNC_OK && !s->gzip_ended) {
        s->gzip.next_out = out;
        s->gzip.avail_out = INFLATED_BYTES;
        int z = inflate(&s->gzip, Z_NO_FLUSH);
        if (z == Z_MEM_ERROR) return err_set(ec, SYNC_ENOMEM, "no memory to unzip");
        if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
            return err_set(ec, SYNC_EBADMSG, "damaged gzip: %s", s->gzip.msg == NULL ? "?" : s->gzip.msg);
        s->gzip_ended = z == Z_STREAM_END;
        size_t got = INFLATED_BYTES - s->gzip.avail_out;
        rc = json_split_put(&s->split, slice_of(out, got), ec);
        if (s->gzip.avail_out > 0) break; /* it wants more, or has ended */
    }
    return rc;
}

/* The first bytes tell whether it was zipped: some copy tools unzip on the way. */
static enum sync_err begin(struct stream *s, struct slice bytes, struct err_ctx *ec)
{
    s->began = true;
    s->is_plain = bytes.len < 2 || (uint8_t)bytes.bytes[0] != 0x1f || (uint8_t)bytes.bytes[1] != 0x8b;
    if (s->is_plain) return SYNC_OK;
    if (inflateInit2(&s->gzip, GZIP_WINDOW) != Z_OK) return err_set(ec, SYNC_ENOMEM, "no memory to unzip");
    s->gzip_open = true;
    return SYNC_OK;
}

static enum sync_err finish(struct stream *s, struct err_ctx *ec)
{
    if (!s->is_plain && !s->gzip_ended) return err_set(ec, SYNC_EBADMSG, "it is cut");
    enum sync_err rc = json_split_end(&s->split, ec);
    if (rc == SYNC_OK && !s->ended) rc = err_set(ec, SYNC_EBADMSG, "its last chunk is missing");
    return rc == SYNC_OK ? check_database(s, ec) : rc;
}

enum sync_err predecessor_snapshot(const struct predecessor_import *p, struct slice key,
                                   struct predecessor_result *result, struct err_ctx *ec)
{
    struct object_reader_config cfg = OBJECT_READER_CONFIG_DEFAULT;
    struct object_reader *r = NULL;
    struct stream s = {.p = p, .result = result, .reader = json_reader_new(JSON_DEPTH_DEFAULT)};
    uint8_t *out = malloc(INFLATED_BYTES);
    struct slice bytes = {0};
    if (p->call != NULL) cfg.call.cancel = p->call->cancel;
    json_split_init(&s.split, "chunks", "databaseId", PREDECESSOR_BYTES_MAX, on_chunk, &s);
    enum sync_err rc = s.reader == NULL || out == NULL
                           ? err_set(ec, SYNC_ENOMEM, "no memory to read a snapshot")
                           : object_reader_open(p->objects, key, &cfg, &r, ec);
    while (rc == SYNC_OK) {
        rc = object_reader_next(r, &bytes, ec);
        if (rc != SYNC_OK || bytes.len == 0) break;
        if (!s.began) rc = begin(&s, bytes, ec);
        if (rc == SYNC_OK)
            rc = s.is_plain ? json_split_put(&s.split, bytes, ec) : inflate_all(&s, bytes, out, ec);
    }
    if (rc == SYNC_OK) rc = finish(&s, ec);
    if (s.gzip_open) (void)inflateEnd(&s.gzip);
    object_reader_close(r);
    json_split_deinit(&s.split);
    json_reader_free(s.reader);
    free(out);
    return rc;
}
