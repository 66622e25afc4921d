#include "storage/snapshots/snapshot_name.h"

#include "storage/objects/object_key.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SUFFIX ".ndjson.gz"

enum {
    MADE_TEXT = 16,
    /* of a key, beside path and database */
    FRAME_BYTES = sizeof SNAPSHOTS_PREFIX - 1 + 1 + STAMP_TEXT + 1 + MADE_TEXT + sizeof SUFFIX - 1,
};

static_assert(FRAME_BYTES + 3 * DATABASE_ID_MAX <= OBJECT_KEY_MAX, "every database has room");
static_assert(sizeof SNAPSHOTS_PREFIX >= sizeof DAMAGED_PREFIX, "notes have the shorter keys");

int snapshot_id_cmp(const struct snapshot_id *a, const struct snapshot_id *b)
{
    int c = stamp_cmp(&a->stamp, &b->stamp);
    return c != 0 ? c : (a->made_ms > b->made_ms) - (a->made_ms < b->made_ms);
}

void stamp_format(const struct stamp *s, char ret[STAMP_TEXT + 1])
{
    (void)snprintf(ret, STAMP_TEXT + 1, "%016" PRIx64 "%04x%08" PRIx32, s->wall_ms, (unsigned)s->counter,
                   s->op_seq);
}

static bool take_hex(struct slice *text, size_t digits, uint64_t *ret)
{
    uint64_t n = 0;
    if (text->len < digits) return false;
    for (size_t i = 0; i < digits; i++) {
        char c = text->bytes[i];
        bool digit = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'f';
        if (!digit && !letter) return false;
        n = n << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    *text = slice_of(text->bytes + digits, text->len - digits);
    *ret = n;
    return true;
}

static bool take_stamp(struct slice *text, struct stamp *ret)
{
    uint64_t wall, counter, op_seq;
    if (!take_hex(text, 16, &wall) || !take_hex(text, 4, &counter) || !take_hex(text, 8, &op_seq))
        return false;
    *ret = (struct stamp){.wall_ms = wall, .counter = (uint16_t)counter, .op_seq = (uint32_t)op_seq};
    return true;
}

bool stamp_parse(struct slice text, struct stamp *ret)
{
    return text.len == STAMP_TEXT && take_stamp(&text, ret);
}

static bool stays(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || (c == '.' && !first);
}

/* The segment of a database; returns its length. */
static size_t put_database(struct slice database, char ret[3 * DATABASE_ID_MAX + 1])
{
    size_t len = 0;
    assert(database.len > 0 && database.len <= DATABASE_ID_MAX);
    for (size_t i = 0; i < database.len; i++) {
        if (stays(database.bytes[i], i == 0))
            ret[len++] = database.bytes[i];
        else
            len += (size_t)sprintf(ret + len, "~%02x", (unsigned)(uint8_t)database.bytes[i]);
    }
    return len;
}

enum sync_err snapshot_place_check(struct snapshot_place at, struct err_ctx *ec)
{
    char segment[3 * DATABASE_ID_MAX + 1];
    struct snapshot_key key;
    if (at.path.len == 0) return SYNC_OK;
    size_t room = OBJECT_KEY_MAX - FRAME_BYTES - put_database(at.database, segment);
    if (at.path.len >= room) /* a slash follows it */
        return err_set(ec, SYNC_ELIMIT, "a path of %zu bytes, limit %zu with this database's name",
                       at.path.len, room == 0 ? 0 : room - 1);
    snapshot_key_of(at, &(struct snapshot_id){.made_ms = 0}, &key);
    enum sync_err rc = object_key_check(snapshot_key_slice(&key), ec);
    if (rc != SYNC_OK) err_wrap(ec, "the path %.*s", SLICE_ARG(at.path));
    return rc;
}

/* Returns where it ends. */
static size_t put_prefix(const char *top, struct snapshot_place at, char ret[OBJECT_KEY_MAX + 1])
{
    char segment[3 * DATABASE_ID_MAX + 1];
    size_t len = strlen(top), name_len = put_database(at.database, segment);
    memcpy(ret, top, len);
    if (at.path.len > 0) {
        assert(at.path.len < OBJECT_KEY_MAX - FRAME_BYTES - name_len); /* snapshot_place_check() */
        memcpy(ret + len, at.path.bytes, at.path.len);
        len += at.path.len;
        ret[len++] = '/';
    }
    memcpy(ret + len, segment, name_len);
    len += name_len;
    ret[len++] = '/';
    ret[len] = '\0';
    return len;
}

void snapshot_prefix(const char *top, struct snapshot_place at, struct snapshot_key *ret)
{
    (void)put_prefix(top, at, ret->text);
}

static void put_key(const char *top, struct snapshot_place at, const struct snapshot_id *id,
                    const char *suffix, struct snapshot_key *ret)
{
    char stamp[STAMP_TEXT + 1];
    size_t len = put_prefix(top, at, ret->text);
    stamp_format(&id->stamp, stamp);
    (void)snprintf(ret->text + len, sizeof ret->text - len, "%s-%016" PRIx64 "%s", stamp, id->made_ms,
                   suffix);
}

void snapshot_key_of(struct snapshot_place at, const struct snapshot_id *id, struct snapshot_key *ret)
{
    put_key(SNAPSHOTS_PREFIX, at, id, SUFFIX, ret);
}

void snapshot_damaged_key(struct snapshot_place at, const struct snapshot_id *id, struct snapshot_key *ret)
{
    put_key(DAMAGED_PREFIX, at, id, "", ret);
}

static bool parse_key(struct slice key, const char *suffix, struct snapshot_id *ret)
{
    struct snapshot_id id;
    const char *slash = key.len == 0 ? NULL : memrchr(key.bytes, '/', key.len);
    if (slash == NULL) return false;
    struct slice name = slice_of(slash + 1, key.len - (size_t)(slash + 1 - key.bytes));
    if (!take_stamp(&name, &id.stamp) || name.len == 0 || *name.bytes != '-') return false;
    name = slice_of(name.bytes + 1, name.len - 1);
    if (!take_hex(&name, MADE_TEXT, &id.made_ms) || !slice_is(name, suffix)) return false;
    *ret = id;
    return true;
}

bool snapshot_key_parse(struct slice key, struct snapshot_id *ret)
{
    return parse_key(key, SUFFIX, ret);
}

bool snapshot_damaged_parse(struct slice key, struct snapshot_id *ret)
{
    return parse_key(key, "", ret);
}

/* The name that a segment spells. */
static bool take_database(struct slice segment, char ret[DATABASE_ID_MAX], size_t *ret_len)
{
    size_t len = 0;
    while (segment.len > 0) {
        uint64_t c = (uint8_t)*segment.bytes;
        segment = slice_of(segment.bytes + 1, segment.len - 1);
        if (len == DATABASE_ID_MAX) return false;
        bool escaped = c == '~';
        if (escaped && !take_hex(&segment, 2, &c)) return false;
        if (escaped == stays((char)c, len == 0)) return false;
        ret[len++] = (char)c;
    }
    *ret_len = len;
    return len > 0;
}

/* Where the last segment of a text begins. */
static size_t last_segment(struct slice text)
{
    const char *slash = text.len == 0 ? NULL : memrchr(text.bytes, '/', text.len);
    return slash == NULL ? 0 : (size_t)(slash + 1 - text.bytes);
}

bool snapshot_key_database(const char *top, struct slice key, char ret[DATABASE_ID_MAX], size_t *ret_len,
                           struct slice *ret_path)
{
    if (!slice_starts_with(key, slice_str(top))) return false;
    struct slice place = slice_of(key.bytes + strlen(top), key.len - strlen(top));
    size_t name = last_segment(place);
    if (name == 0) return false;
    place.len = name - 1;
    size_t database = last_segment(place);
    *ret_path = slice_of(place.bytes, database == 0 ? 0 : database - 1);
    return take_database(slice_of(place.bytes + database, place.len - database), ret, ret_len);
}
