#include "snapshot_fixture.h"

#include "json_fixture.h"

#include "core/protocol/snapshot_writer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { CHUNKS_MAX = 100000, MEMBERS_MAX = 8, STREAM_BYTES_MAX = 1 << 28 };

/* The members of one chunk or entry, as they came. */
struct members {
    struct slice names[MEMBERS_MAX], texts[MEMBERS_MAX];
    size_t count;
};

struct stream {
    struct snapshot_seen *seen;
    struct json_reader *json;
    struct members members; /* of the chunk */
    struct slice before;    /* type of the chunk before; a literal */
    uint64_t table_entries; /* of the table that is open */
    char place[1024];       /* "schema table" of the table that is open, or of the chunk */
};

static struct slice unquoted(struct slice text)
{
    assert(text.len >= 2 && text.bytes[0] == '"' && text.bytes[text.len - 1] == '"');
    return slice_of(text.bytes + 1, text.len - 2);
}

static struct slice member(const struct members *m, const char *name)
{
    for (size_t i = 0; i < m->count; i++)
        if (slice_is(m->names[i], name)) return m->texts[i];
    return slice_of(NULL, 0);
}

static struct slice text_member(const struct members *m, const char *name)
{
    return unquoted(member(m, name));
}

static uint64_t number_member(const struct members *m, const char *name)
{
    struct slice text = member(m, name);
    uint64_t n = 0;
    assert(text.len > 0 && text.len < 20);
    for (size_t i = 0; i < text.len; i++) {
        assert(text.bytes[i] >= '0' && text.bytes[i] <= '9');
        n = n * 10 + (uint64_t)(text.bytes[i] - '0');
    }
    return n;
}

static void add_member(struct members *m, struct slice name, struct slice text)
{
    assert(m->count < MEMBERS_MAX);
    m->names[m->count] = name;
    m->texts[m->count++] = text;
}

static void add_entry(struct stream *s, const struct json_value *v)
{
    struct members m = {0};
    struct slice name;
    struct json_value value;
    struct buf *out = &s->seen->lines;
    struct json_walk w = json_members(v);
    while (json_next_member(&w, &name, &value)) add_member(&m, name, json_take(&value).text);
    bool cell = slice_is(text_member(&s->members, "type"), "column-versions");
    buf_printf(out, "%s %s ", cell ? "cell" : "tombstone", s->place);
    buf_put_slice(out, member(&m, "pk"));
    if (cell) {
        buf_put_char(out, ' ');
        buf_put_slice(out, text_member(&m, "column"));
        buf_put_char(out, ' ');
        buf_put_slice(out, member(&m, "value"));
    }
    buf_put_char(out, ' ');
    buf_put_slice(out, text_member(&m, "hlc"));
    if (!cell) {
        buf_printf(out, " %" PRIu64, number_member(&m, "createdAt"));
        if (member(&m, "priorRow").len > 0) buf_put_char(out, ' ');
        buf_put_slice(out, member(&m, "priorRow"));
    }
    buf_put_char(out, '\n');
    assert(m.count == (cell ? 4u : member(&m, "priorRow").len > 0 ? 4u : 3u));
}

static void set_place(struct stream *s)
{
    struct slice schema = text_member(&s->members, "schema"), table = text_member(&s->members, "table");
    int n = snprintf(s->place, sizeof s->place, "%.*s %.*s", SLICE_ARG(schema), SLICE_ARG(table));
    assert(n > 0 && (size_t)n < sizeof s->place);
}

static void begin_chunk(struct stream *s, struct slice type)
{
    char open_place[sizeof s->place];
    memcpy(open_place, s->place, sizeof open_place);
    if (member(&s->members, "table").len > 0) set_place(s);
    /* Entries and the end belong to the table that is open. */
    if (slice_is(type, "column-versions") || slice_is(type, "table-end"))
        assert(strcmp(s->place, open_place) == 0);
}

/* Walks a chunk; the entries of one that has any are printed on the way. */
static void read_members(struct stream *s, const struct json_value *v, uint64_t *ret_entries)
{
    struct slice name;
    struct json_value value, entry;
    struct json_walk w = json_members(v);
    while (json_next_member(&w, &name, &value)) {
        if (!slice_is(name, "entries")) {
            add_member(&s->members, name, json_take(&value).text);
            continue;
        }
        begin_chunk(s, text_member(&s->members, "type")); /* type, schema and table come before */
        struct json_walk entries = json_elements(&value);
        for (; json_next_element(&entries, &entry); (*ret_entries)++) add_entry(s, &entry);
    }
}

static void read_header(struct stream *s)
{
    struct snapshot_seen *seen = s->seen;
    struct err_ctx ec;
    struct slice id = text_member(&s->members, "snapshotId");
    assert(id.len < sizeof seen->id);
    memcpy(seen->id, id.bytes, id.len);
    assert(site_id_parse(text_member(&s->members, "siteId"), &seen->site, &ec) == SYNC_OK);
    assert(hlc_parse(text_member(&s->members, "hlc"), &seen->hlc, &ec) == SYNC_OK);
    assert(number_member(&s->members, "snapshotFormat") == 1);
    seen->table_count = number_member(&s->members, "tableCount");
    seen->migration_count = number_member(&s->members, "migrationCount");
}

static void read_footer(struct stream *s)
{
    struct snapshot_seen *seen = s->seen;
    assert(slice_is(text_member(&s->members, "snapshotId"), seen->id));
    assert(number_member(&s->members, "totalTables") == seen->table_count);
    assert(number_member(&s->members, "totalMigrations") == seen->migration_count);
    seen->total_entries = number_member(&s->members, "totalEntries");
}

/* Which chunk may follow which. */
static const struct follows {
    const char *type, *before[5];
} follows[] = {
    {"header", {""}},
    {"schema-migration", {"header", "schema-migration"}},
    {"table-start", {"header", "schema-migration", "table-end"}},
    {"column-versions", {"table-start", "column-versions"}},
    {"table-end", {"column-versions"}},
    {"tombstone", {"header", "schema-migration", "table-end", "tombstone"}},
    {"footer", {"header", "schema-migration", "table-end", "tombstone"}},
};

static void check_order(struct stream *s, struct slice type)
{
    for (size_t i = 0; i < sizeof follows / sizeof follows[0]; i++) {
        if (!slice_is(type, follows[i].type)) continue;
        for (size_t k = 0; k < 5 && follows[i].before[k] != NULL; k++) {
            if (!slice_is(s->before, follows[i].before[k])) continue;
            s->before = slice_str(follows[i].type);
            return;
        }
    }
    fprintf(stderr, "snapshot: a chunk %.*s after %.*s\n", SLICE_ARG(type), SLICE_ARG(s->before));
    abort();
}

static void read_chunk(struct stream *s, struct slice text)
{
    struct snapshot_seen *seen = s->seen;
    struct err_ctx ec;
    uint64_t entries = 0;
    char *padded = json_padded(text.bytes, text.len);
    struct json_value v = json_open(s->json, padded, text.len);
    s->members.count = 0;
    read_members(s, &v, &entries);
    if (json_close(s->json, &ec) != SYNC_OK) {
        fprintf(stderr, "snapshot: %s: %.*s\n", ec.text, (int)(text.len < 400 ? text.len : 400), text.bytes);
        abort();
    }
    struct slice type = text_member(&s->members, "type");
    check_order(s, type);
    if (slice_is(type, "header")) read_header(s);
    if (slice_is(type, "footer")) read_footer(s);
    if (slice_is(type, "schema-migration")) {
        BUF_PUT_LIT(&seen->lines, "migration ");
        buf_put_slice(&seen->lines, member(&s->members, "migration"));
        buf_put_char(&seen->lines, '\n');
    }
    if (slice_is(type, "table-start")) {
        begin_chunk(s, type);
        buf_printf(&seen->lines, "table %s %" PRIu64 "\n", s->place,
                   number_member(&s->members, "estimatedEntries"));
        seen->tables++;
        s->table_entries = 0;
    }
    if (slice_is(type, "column-versions")) {
        s->table_entries += entries;
        seen->cells += entries;
    }
    if (slice_is(type, "table-end")) {
        begin_chunk(s, type);
        assert(number_member(&s->members, "entriesWritten") == s->table_entries);
    }
    if (slice_is(type, "tombstone")) seen->tombstones += entries;
    if (slice_is(type, "column-versions") || slice_is(type, "tombstone"))
        assert(entries > 0 && entries <= SNAPSHOT_CHUNK_ENTRIES_MAX);
    if (entries > seen->chunk_entries_max) seen->chunk_entries_max = entries;
    if (text.len > seen->chunk_bytes_max) seen->chunk_bytes_max = text.len;
    free(padded);
}

void snapshot_read(struct shard *sh, const char *database, const struct checkpoint *resume,
                   void (*then)(void *arg), void *arg, struct snapshot_seen *ret)
{
    const struct snapshot_request request = {
        .database = slice_str(database), .resume = resume, .fresh_id = slice_str("fresh")};
    struct stream s = {.seen = ret, .json = json_reader_new(JSON_DEPTH_DEFAULT), .before = slice_str("")};
    struct buf out = buf_make(STREAM_BYTES_MAX);
    struct snapshot_reader *r = NULL;
    struct err_ctx ec = {""};
    bool done = false;
    *ret = (struct snapshot_seen){.lines = buf_make(STREAM_BYTES_MAX)};
    assert(s.json != NULL);
    enum sync_err rc = snapshot_reader_open(sh, &request, &r, &ec);
    while (rc == SYNC_OK && !done) {
        buf_clear(&out);
        rc = snapshot_reader_step(r, &out, &done, &ec);
        if (rc != SYNC_OK) break;
        assert(out.len > 0 && ++ret->chunks < CHUNKS_MAX);
        read_chunk(&s, buf_slice(&out));
        if (then != NULL && !done) then(arg);
    }
    if (rc != SYNC_OK) {
        fprintf(stderr, "snapshot: %s: %s\n", err_name(rc), ec.text);
        abort();
    }
    assert(slice_is(s.before, "footer"));
    snapshot_reader_close(r);
    buf_deinit(&out);
    json_reader_free(s.json);
}
