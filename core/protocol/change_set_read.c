#include "core/protocol/change_set.h"

#include "core/facts/fact_key.h"
#include "core/facts/sql_value.h"
#include "core/json/json_text.h"

#include <stdlib.h>

enum {
    KEY_SHOWN_MAX = 40, /* of a member's name in an error text */
    KEY_ROOM = 24,      /* longer than every name of a member that means something here */
};

enum raw_kind { RAW_UNKNOWN, RAW_CELL, RAW_DELETE, RAW_MIGRATION };

/* What one Change or Migration object held, of whatever type: keys come in any order, `type` too. */
struct raw_fact {
    enum raw_kind kind;
    enum migration_type migration;                  /* of RAW_MIGRATION */
    struct slice schema, table, column, from_table; /* resolved */
    struct slice pk, value, prior_value, prior_row, ddl, schema_version;
    struct hlc hlc, prior_hlc;
    bool has_schema, has_table, has_column, has_from_table, has_pk, has_value, has_hlc, has_prior_value;
    bool has_prior_hlc, has_prior_row, has_ddl, has_schema_version;
};

struct reading {
    struct batch *batch;
    size_t set_capacity, fact_capacity;
    struct buf pk_key; /* identity of the pk read last */
    struct buf key;    /* scratch */
};

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory for a batch");
}

static enum sync_err expected(const struct json_value *v, const char *what, struct err_ctx *ec)
{
    enum sync_err rc = json_check(v->reader, ec);
    return rc != SYNC_OK ? rc : err_set(ec, SYNC_EBADMSG, "not %s", what);
}

/* A name: resolved, so that two spellings of it are one table. */
static enum sync_err take_name(const struct json_value *v, struct reading *r, struct slice *ret,
                               bool *ret_has, struct err_ctx *ec)
{
    struct slice inside;
    bool lone;
    if (!json_take_string(v, &inside)) return expected(v, "a string", ec);
    (void)json_text_check(inside, &lone);
    if (lone) return err_set(ec, SYNC_EBADMSG, "a name with half a surrogate pair");
    *ret_has = true;
    return json_text_resolve_in(inside, &r->batch->arena, ret) ? SYNC_OK : no_memory(ec);
}

static enum sync_err take_hlc(const struct json_value *v, struct hlc *ret, bool *ret_has, struct err_ctx *ec)
{
    struct slice inside;
    if (!json_take_string(v, &inside)) return expected(v, "a string", ec);
    char room[HLC_TEXT];
    *ret_has = true;
    return hlc_parse(json_text_short(inside, room, sizeof room), ret, ec);
}

static enum sync_err take_site(const struct json_value *v, struct site_id *ret, bool *ret_has,
                               struct err_ctx *ec)
{
    struct slice inside;
    if (!json_take_string(v, &inside)) return expected(v, "a string", ec);
    char room[SITE_ID_TEXT];
    *ret_has = true;
    return site_id_parse(json_text_short(inside, room, sizeof room), ret, ec);
}

/* What a fact's `type` names. An unknown one is refused once the whole fact was read. */
static enum sync_err take_kind(const struct json_value *v, struct raw_fact *raw, struct err_ctx *ec)
{
    struct slice type;
    if (!json_take_string(v, &type)) return expected(v, "a string", ec);
    char room[KEY_ROOM];
    type = json_text_short(type, room, sizeof room);
    raw->kind = slice_is(type, "column")                      ? RAW_CELL
                : slice_is(type, "delete")                    ? RAW_DELETE
                : migration_type_parse(type, &raw->migration) ? RAW_MIGRATION
                                                              : RAW_UNKNOWN;
    return SYNC_OK;
}

static enum sync_err take_raw(const struct json_value *v, enum json_type type, const char *what,
                              struct slice *ret, bool *ret_has, struct err_ctx *ec)
{
    struct json_raw raw = json_take(v);
    if (raw.type != type) return expected(v, what, ec);
    *ret = raw.text;
    *ret_has = true;
    return SYNC_OK;
}

static enum sync_err take_fact_member(struct slice key, const struct json_value *v, struct reading *r,
                                      struct raw_fact *raw, struct err_ctx *ec)
{
    struct arena *arena = &r->batch->arena;
    char room[KEY_ROOM];
    key = json_text_short(key, room, sizeof room);
    if (slice_is(key, "type")) return take_kind(v, raw, ec);
    if (slice_is(key, "schema")) return take_name(v, r, &raw->schema, &raw->has_schema, ec);
    if (slice_is(key, "table")) return take_name(v, r, &raw->table, &raw->has_table, ec);
    if (slice_is(key, "column")) return take_name(v, r, &raw->column, &raw->has_column, ec);
    if (slice_is(key, "fromTable")) return take_name(v, r, &raw->from_table, &raw->has_from_table, ec);
    if (slice_is(key, "hlc")) return take_hlc(v, &raw->hlc, &raw->has_hlc, ec);
    if (slice_is(key, "priorHlc")) return take_hlc(v, &raw->prior_hlc, &raw->has_prior_hlc, ec);
    if (slice_is(key, "ddl")) return take_raw(v, JSON_STRING, "a string", &raw->ddl, &raw->has_ddl, ec);
    if (slice_is(key, "schemaVersion"))
        return take_raw(v, JSON_NUMBER, "a number", &raw->schema_version, &raw->has_schema_version, ec);
    if (slice_is(key, "pk")) {
        raw->has_pk = true;
        buf_clear(&r->pk_key);
        return sql_values_take(v, arena, &r->pk_key, &raw->pk, ec);
    }
    if (slice_is(key, "priorRow")) {
        raw->has_prior_row = true;
        return sql_values_take(v, arena, NULL, &raw->prior_row, ec);
    }
    if (slice_is(key, "value")) {
        raw->has_value = true;
        return sql_value_take(v, arena, NULL, &raw->value, ec);
    }
    if (slice_is(key, "priorValue")) {
        raw->has_prior_value = true;
        return sql_value_take(v, arena, NULL, &raw->prior_value, ec);
    }
    (void)json_take(v); /* a key of a later version: not ours to refuse */
    return json_check(v->reader, ec);
}

static enum sync_err need(bool has, const char *key, struct err_ctx *ec)
{
    return has ? SYNC_OK : err_set(ec, SYNC_EBADMSG, "%s is missing", key);
}

static enum sync_err fill_cell(const struct raw_fact *raw, struct fact *f, struct err_ctx *ec)
{
    enum sync_err rc = need(raw->has_pk, "pk", ec);
    if (rc == SYNC_OK) rc = need(raw->has_column, "column", ec);
    if (rc == SYNC_OK) rc = need(raw->has_value, "value", ec);
    if (rc == SYNC_OK && raw->has_prior_value != raw->has_prior_hlc)
        rc = err_set(ec, SYNC_EBADMSG, "priorValue and priorHlc come together");
    if (rc != SYNC_OK) return rc;
    f->type = FACT_CELL;
    f->cell = (struct cell_part){.column = raw->column,
                                 .pk = raw->pk,
                                 .value = raw->value,
                                 .has_prior = raw->has_prior_value,
                                 .prior_value = raw->prior_value,
                                 .prior_hlc = raw->prior_hlc};
    return SYNC_OK;
}

static enum sync_err fill_delete(const struct raw_fact *raw, struct fact *f, struct err_ctx *ec)
{
    enum sync_err rc = need(raw->has_pk, "pk", ec);
    if (rc != SYNC_OK) return rc;
    f->type = FACT_DELETE;
    f->del =
        (struct delete_part){.pk = raw->pk, .has_prior_row = raw->has_prior_row, .prior_row = raw->prior_row};
    return SYNC_OK;
}

static enum sync_err fill_migration(const struct raw_fact *raw, struct fact *f, struct err_ctx *ec)
{
    enum sync_err rc = need(raw->has_ddl, "ddl", ec);
    if (rc == SYNC_OK) rc = need(raw->has_schema_version, "schemaVersion", ec);
    if (rc != SYNC_OK) return rc;
    f->type = FACT_MIGRATION;
    f->migration = (struct migration_part){.type = raw->migration,
                                           .has_from_table = raw->has_from_table,
                                           .from_table = raw->from_table,
                                           .ddl = raw->ddl,
                                           .schema_version = raw->schema_version};
    return SYNC_OK;
}

enum fact_place { AMONG_CHANGES, AMONG_MIGRATIONS, ALONE };

static bool belongs_there(enum raw_kind kind, enum fact_place place)
{
    if (kind == RAW_UNKNOWN) return false;
    return place == ALONE || (kind == RAW_MIGRATION) == (place == AMONG_MIGRATIONS);
}

/* Makes a fact of what the object held. */
static enum sync_err fill_fact(const struct raw_fact *raw, enum fact_place place, struct reading *r,
                               struct fact *f, struct err_ctx *ec)
{
    if (!belongs_there(raw->kind, place)) return err_set(ec, SYNC_EBADMSG, "type is missing or unknown");
    enum sync_err rc = need(raw->has_schema, "schema", ec);
    if (rc == SYNC_OK) rc = need(raw->has_table, "table", ec);
    if (rc == SYNC_OK) rc = need(raw->has_hlc, "hlc", ec);
    if (rc != SYNC_OK) return rc;

    *f = (struct fact){.hlc = raw->hlc, .schema = raw->schema, .table = raw->table};
    switch (raw->kind) {
    case RAW_CELL: rc = fill_cell(raw, f, ec); break;
    case RAW_DELETE: rc = fill_delete(raw, f, ec); break;
    default: rc = fill_migration(raw, f, ec); break;
    }
    if (rc != SYNC_OK) return rc;
    buf_clear(&r->key);
    fact_key_put(&r->key, f, buf_slice(&r->pk_key));
    rc = buf_check(&r->pk_key, ec);
    if (rc == SYNC_OK) rc = buf_check(&r->key, ec);
    if (rc != SYNC_OK) return rc;
    f->key = arena_copy(&r->batch->arena, buf_slice(&r->key));
    return f->key.bytes == NULL ? no_memory(ec) : SYNC_OK;
}

static struct fact *add_fact(struct reading *r, struct err_ctx *ec)
{
    struct batch *b = r->batch;
    if (b->fact_count == BATCH_FACTS_MAX) {
        (void)err_set(ec, SYNC_ELIMIT, "over %d facts in one message", BATCH_FACTS_MAX);
        return NULL;
    }
    if (b->fact_count == r->fact_capacity) {
        size_t capacity = r->fact_capacity == 0 ? 8 : r->fact_capacity * 2;
        struct fact *facts = realloc(b->facts, capacity * sizeof *facts);
        if (facts == NULL) {
            (void)no_memory(ec);
            return NULL;
        }
        b->facts = facts;
        r->fact_capacity = capacity;
    }
    return &b->facts[b->fact_count];
}

/* Reads the members of a fact's object. */
static enum sync_err take_raw_fact(const struct json_value *v, struct reading *r, struct raw_fact *raw,
                                   struct err_ctx *ec)
{
    struct json_value member;
    struct slice key;
    if (json_type(v) != JSON_OBJECT) return expected(v, "an object", ec);
    struct json_walk w = json_members(v);
    while (json_next_member(&w, &key, &member)) {
        enum sync_err rc = take_fact_member(key, &member, r, raw, ec);
        if (rc != SYNC_OK) {
            err_place(ec, ".%.*s", key.len < KEY_SHOWN_MAX ? (int)key.len : KEY_SHOWN_MAX, key.bytes);
            return rc;
        }
    }
    return json_check(v->reader, ec);
}

static enum sync_err take_fact(const struct json_value *v, enum fact_place place, struct reading *r,
                               struct err_ctx *ec)
{
    struct raw_fact raw = {0};
    enum sync_err rc = take_raw_fact(v, r, &raw, ec);
    if (rc != SYNC_OK) return rc;
    struct fact *f = add_fact(r, ec);
    if (f == NULL) return r->batch->fact_count == BATCH_FACTS_MAX ? SYNC_ELIMIT : SYNC_ENOMEM;
    rc = fill_fact(&raw, place, r, f, ec);
    if (rc != SYNC_OK) return rc;
    f->set = (uint32_t)r->batch->set_count;
    r->batch->fact_count++;
    return SYNC_OK;
}

/* Drops what an earlier member of the same name brought: of two, the last one counts. */
static void forget_facts(struct batch *b, size_t first, bool in_changes)
{
    size_t kept = first;
    for (size_t i = first; i < b->fact_count; i++)
        if ((b->facts[i].type == FACT_MIGRATION) == in_changes) b->facts[kept++] = b->facts[i];
    b->fact_count = kept;
}

static enum sync_err take_facts(const struct json_value *v, bool in_changes, const struct change_set *set,
                                struct reading *r, struct err_ctx *ec)
{
    if (json_type(v) != JSON_ARRAY) return expected(v, "an array", ec);
    forget_facts(r->batch, set->fact_first, in_changes);
    struct json_walk w = json_elements(v);
    struct json_value element;
    for (size_t i = 0; json_next_element(&w, &element); i++) {
        enum sync_err rc = take_fact(&element, in_changes ? AMONG_CHANGES : AMONG_MIGRATIONS, r, ec);
        if (rc != SYNC_OK) {
            err_place(ec, "[%zu]", i);
            return rc;
        }
    }
    return json_check(v->reader, ec);
}

struct set_members {
    bool has_site, has_transaction, has_hlc, has_changes;
};

static enum sync_err take_set_member(struct slice key, const struct json_value *v, struct reading *r,
                                     struct change_set *set, struct set_members *seen, struct err_ctx *ec)
{
    char room[KEY_ROOM];
    key = json_text_short(key, room, sizeof room);
    if (slice_is(key, "siteId")) return take_site(v, &set->site, &seen->has_site, ec);
    if (slice_is(key, "transactionId")) {
        if (!json_take_string(v, &set->transaction_id)) return expected(v, "a string", ec);
        seen->has_transaction = true;
        return SYNC_OK;
    }
    if (slice_is(key, "hlc")) return take_hlc(v, &set->hlc, &seen->has_hlc, ec);
    if (slice_is(key, "changes")) {
        seen->has_changes = true;
        return take_facts(v, true, set, r, ec);
    }
    if (slice_is(key, "schemaMigrations")) return take_facts(v, false, set, r, ec);
    (void)json_take(v);
    return json_check(v->reader, ec);
}

static enum sync_err add_set(struct reading *r, const struct change_set *set, struct err_ctx *ec)
{
    struct batch *b = r->batch;
    if (b->set_count == BATCH_FACTS_MAX)
        return err_set(ec, SYNC_ELIMIT, "over %d ChangeSets in one message", BATCH_FACTS_MAX);
    if (b->set_count == r->set_capacity) {
        size_t capacity = r->set_capacity == 0 ? 4 : r->set_capacity * 2;
        struct change_set *sets = realloc(b->sets, capacity * sizeof *sets);
        if (sets == NULL) return no_memory(ec);
        b->sets = sets;
        r->set_capacity = capacity;
    }
    b->sets[b->set_count++] = *set;
    return SYNC_OK;
}

static enum sync_err take_set(const struct json_value *v, struct reading *r, struct err_ctx *ec)
{
    struct change_set set = {.fact_first = r->batch->fact_count};
    struct set_members seen = {0};
    struct json_value member;
    struct slice key;
    if (json_type(v) != JSON_OBJECT) return expected(v, "an object", ec);
    struct json_walk w = json_members(v);
    while (json_next_member(&w, &key, &member)) {
        enum sync_err rc = take_set_member(key, &member, r, &set, &seen, ec);
        if (rc != SYNC_OK) {
            err_place(ec, ".%.*s", key.len < KEY_SHOWN_MAX ? (int)key.len : KEY_SHOWN_MAX, key.bytes);
            return rc;
        }
    }
    enum sync_err rc = json_check(v->reader, ec);
    if (rc == SYNC_OK) rc = need(seen.has_site, "siteId", ec);
    if (rc == SYNC_OK) rc = need(seen.has_transaction, "transactionId", ec);
    if (rc == SYNC_OK) rc = need(seen.has_hlc, "hlc", ec);
    if (rc == SYNC_OK) rc = need(seen.has_changes, "changes", ec);
    if (rc != SYNC_OK) return rc;
    set.fact_count = r->batch->fact_count - set.fact_first;
    return add_set(r, &set, ec);
}

static enum sync_err take_sets(const struct json_value *v, struct reading *r, struct err_ctx *ec)
{
    if (json_type(v) != JSON_ARRAY) return expected(v, "an array", ec);
    struct json_walk w = json_elements(v);
    struct json_value element;
    for (size_t i = 0; json_next_element(&w, &element); i++) {
        enum sync_err rc = take_set(&element, r, ec);
        if (rc != SYNC_OK) {
            err_place(ec, "[%zu]", i);
            return rc;
        }
    }
    return json_check(v->reader, ec);
}

static void note_hlc(struct batch *b, const struct hlc *h)
{
    if (hlc_cmp(h, &b->highest) > 0) b->highest = *h;
}

static void sum_up(struct batch *b)
{
    for (size_t i = 0; i < b->set_count; i++) note_hlc(b, &b->sets[i].hlc);
    for (size_t i = 0; i < b->fact_count; i++) {
        note_hlc(b, &b->facts[i].hlc);
        if (b->facts[i].type == FACT_MIGRATION) b->migration_count++;
    }
}

/* Empties it of sets and facts; the text and what was resolved from it stay. */
static void forget_sets(struct batch *b)
{
    free(b->sets);
    free(b->facts);
    b->sets = NULL;
    b->facts = NULL;
    b->set_count = b->fact_count = b->migration_count = 0;
    b->highest = (struct hlc){0};
}

enum sync_err change_sets_take(const struct json_value *v, struct batch *ret, struct err_ctx *ec)
{
    struct reading r = {.batch = ret, .pk_key = buf_make(UINT32_MAX / 4), .key = buf_make(UINT32_MAX / 2)};
    forget_sets(ret);
    enum sync_err rc = take_sets(v, &r, ec);
    if (rc == SYNC_OK) sum_up(ret);
    buf_deinit(&r.pk_key);
    buf_deinit(&r.key);
    return rc;
}

enum sync_err fact_take(const struct json_value *v, struct arena *arena, struct fact *ret, struct err_ctx *ec)
{
    struct batch lent = {.arena = *arena};
    struct reading r = {.batch = &lent, .pk_key = buf_make(UINT32_MAX / 4), .key = buf_make(UINT32_MAX / 2)};
    struct raw_fact raw = {0};
    struct fact f;
    enum sync_err rc = take_raw_fact(v, &r, &raw, ec);
    if (rc == SYNC_OK) rc = fill_fact(&raw, ALONE, &r, &f, ec);
    *arena = lent.arena;
    buf_deinit(&r.pk_key);
    buf_deinit(&r.key);
    if (rc == SYNC_OK) *ret = f;
    return rc;
}
