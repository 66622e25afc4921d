#include "wire.h"

#include "core/protocol/change_set.h"
#include "core/protocol/delta_writer.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- writing */

void wire_put_sets(struct buf *out, const struct sim_fact *facts, size_t count)
{
    struct delta_writer w;
    delta_writer_init(&w);
    for (size_t i = 0; i < count; i++) {
        char table[16], pk[16], column[16], value[24];
        (void)snprintf(table, sizeof table, "t%u", facts[i].table);
        (void)snprintf(pk, sizeof pk, "[%u]", facts[i].row);
        (void)snprintf(column, sizeof column, "c%u", facts[i].column);
        (void)snprintf(value, sizeof value, "%llu", (unsigned long long)facts[i].value);
        struct fact f = {.type = facts[i].is_delete ? FACT_DELETE : FACT_CELL,
                         .hlc = facts[i].hlc,
                         .schema = slice_str("main"),
                         .table = slice_str(table)};
        if (facts[i].is_delete)
            f.del.pk = slice_str(pk);
        else
            f.cell = (struct cell_part){
                .pk = slice_str(pk), .column = slice_str(column), .value = slice_str(value)};
        delta_writer_add(&w, out, &f);
    }
    delta_writer_finish(&w, out);
    delta_writer_deinit(&w);
}

/* ---- reading */

static void fail(const char *what, struct slice text)
{
    fprintf(stderr, "the server wrote what no client reads (%s): %.*s\n", what, SLICE_ARG(text));
    abort();
}

enum wire_type wire_type_of(struct slice text)
{
    static const struct {
        const char *head;
        enum wire_type type;
    } heads[] = {
        {"{\"type\":\"handshake_ack\"", WIRE_HANDSHAKE_ACK},
        {"{\"type\":\"changes\"", WIRE_CHANGES},
        {"{\"type\":\"push_changes\"", WIRE_PUSH_CHANGES},
        {"{\"type\":\"apply_result\"", WIRE_APPLY_RESULT},
        {"{\"type\":\"snapshot_chunk\"", WIRE_SNAPSHOT_CHUNK},
        {"{\"type\":\"snapshot_complete\"", WIRE_SNAPSHOT_COMPLETE},
        {"{\"type\":\"error\"", WIRE_ERROR},
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        if (slice_starts_with(text, slice_str(heads[i].head))) return heads[i].type;
    return WIRE_OTHER;
}

static uint32_t number_at(struct slice text, size_t skip)
{
    char room[16] = "";
    if (text.len > skip && text.len - skip < sizeof room) memcpy(room, text.bytes + skip, text.len - skip);
    return (uint32_t)strtoul(room, NULL, 10);
}

static void take_sets(const struct json_value *v, struct slice text, struct wire_message *ret)
{
    struct batch b = {0};
    struct err_ctx ec;
    if (change_sets_take(v, &b, &ec) != SYNC_OK) fail(ec.text, text);
    if (b.fact_count > WIRE_FACTS_MAX) fail("too many facts", text);
    ret->set_count = b.set_count;
    for (size_t i = 0; i < b.set_count; i++)
        if (i == 0 || hlc_cmp(&b.sets[i].hlc, &ret->highest) > 0) ret->highest = b.sets[i].hlc;
    for (size_t i = 0; i < b.fact_count; i++) {
        const struct fact *f = &b.facts[i];
        struct sim_fact *g = &ret->facts[ret->fact_count++];
        *g = (struct sim_fact){.is_delete = f->type == FACT_DELETE, .hlc = f->hlc};
        g->table = number_at(f->table, 1);
        g->row = number_at(g->is_delete ? f->del.pk : f->cell.pk, 1);
        if (g->is_delete) continue;
        g->column = number_at(f->cell.column, 1);
        g->value = number_at(f->cell.value, 0);
    }
    batch_deinit(&b);
}

static void take_entry(const struct json_value *entry, struct sim_fact *ret)
{
    struct json_walk w = json_members(entry);
    struct json_value v;
    struct slice key;
    struct err_ctx ec;
    *ret = (struct sim_fact){0};
    while (json_next_member(&w, &key, &v)) {
        struct slice text = json_take(&v).text;
        if (slice_is(key, "pk")) ret->row = number_at(text, 1);
        if (slice_is(key, "column")) ret->column = number_at(text, 2); /* behind the quote */
        if (slice_is(key, "value")) ret->value = number_at(text, 0);
        if (slice_is(key, "hlc") &&
            hlc_parse(slice_of(text.bytes + 1, text.len - 2), &ret->hlc, &ec) != SYNC_OK)
            fail(ec.text, text);
    }
}

static enum wire_chunk chunk_of(struct slice name)
{
    static const struct {
        const char *name;
        enum wire_chunk chunk;
    } names[] = {
        {"header", CHUNK_HEADER},        {"column-versions", CHUNK_CELLS}, {"table-end", CHUNK_TABLE_END},
        {"tombstone", CHUNK_TOMBSTONES}, {"footer", CHUNK_FOOTER},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_is(name, names[i].name)) return names[i].chunk;
    return CHUNK_OTHER;
}

static void copy_text(struct slice inside, char ret[WIRE_ID_MAX])
{
    if (inside.len >= WIRE_ID_MAX) fail("a long id", inside);
    memcpy(ret, inside.bytes, inside.len);
    ret[inside.len] = '\0';
}

static void take_entries(const struct json_value *v, struct slice text, struct wire_message *ret)
{
    struct json_walk entries = json_elements(v);
    struct json_value entry;
    while (json_next_element(&entries, &entry)) {
        if (ret->fact_count == WIRE_FACTS_MAX) fail("too many entries", text);
        take_entry(&entry, &ret->facts[ret->fact_count++]);
    }
}

static void take_chunk(const struct json_value *chunk, struct slice text, struct wire_message *ret)
{
    struct json_walk w = json_members(chunk);
    struct json_value v;
    struct slice key, inside;
    struct err_ctx ec;
    while (json_next_member(&w, &key, &v)) {
        if (slice_is(key, "entries")) {
            take_entries(&v, text, ret);
        } else if (json_take_string(&v, &inside)) {
            if (slice_is(key, "type")) ret->chunk = chunk_of(inside);
            if (slice_is(key, "snapshotId")) copy_text(inside, ret->id);
            if (slice_is(key, "table")) copy_text(inside, ret->table);
            if (slice_is(key, "hlc") && hlc_parse(inside, &ret->hlc, &ec) != SYNC_OK) fail(ec.text, text);
        } else {
            (void)json_take(&v);
        }
    }
    for (size_t i = 0; i < ret->fact_count; i++) {
        ret->facts[i].is_delete = ret->chunk == CHUNK_TOMBSTONES;
        ret->facts[i].table = number_at(slice_str(ret->table), 1);
    }
}

void wire_read(struct json_reader *r, struct slice text, struct wire_message *ret)
{
    struct err_ctx ec;
    ret->type = wire_type_of(text);
    ret->request_id = 0;
    ret->set_count = ret->fact_count = 0;
    ret->chunk = CHUNK_OTHER;
    ret->id[0] = ret->table[0] = '\0';

    char *padded = malloc(text.len + JSON_PADDING);
    if (padded == NULL) abort();
    memcpy(padded, text.bytes, text.len);
    memset(padded + text.len, 0, JSON_PADDING);
    struct json_value top = json_open(r, padded, text.len), v;
    struct json_walk w = json_members(&top);
    struct slice key;
    while (json_next_member(&w, &key, &v)) {
        if (slice_is(key, "changeSets"))
            take_sets(&v, text, ret);
        else if (slice_is(key, "chunk"))
            take_chunk(&v, text, ret);
        else if (slice_is(key, "requestId"))
            ret->request_id = number_at(json_take(&v).text, 0);
        else
            (void)json_take(&v);
    }
    if (json_close(r, &ec) != SYNC_OK) fail(ec.text, text);
    free(padded);
}
