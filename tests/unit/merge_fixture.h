/* merge_fixture.h -- a small world to merge in: a batch, what is stored before it, and the rules of protocol
 * section 3 once more, written down without a thought for speed. */
#ifndef TESTS_MERGE_FIXTURE_H
#define TESTS_MERGE_FIXTURE_H

#include "core/base/buf.h"
#include "core/facts/merge.h"
#include "core/facts/sql_value.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { WORLD_FACTS_MAX = 64, SERVER_SITE = 200 };
#define STORED_VALUE "\"stored\""

struct stored {
    enum fact_type type;
    struct slice key; /* in the world's arena, as all bytes here */
    size_t row_key_len;
    struct hlc hlc;
};

struct world {
    struct batch batch;
    struct fact facts[WORLD_FACTS_MAX];
    struct stored stored[WORLD_FACTS_MAX];
    size_t stored_count;
    struct arena arena;
    struct merge_rules rules;
    int fail_at; /* the read that fails, from 1; 0: none */
    int reads, finds, tombstone_finds;
};

static inline void world_deinit(struct world *w)
{
    arena_deinit(&w->arena);
    *w = (struct world){0};
}

static inline struct hlc world_hlc(uint64_t wall_ms, uint8_t site)
{
    struct hlc h = {.wall_ms = wall_ms};
    h.site.bytes[15] = site;
    return h;
}

/* `row` is a migration's version. The pk is not made from JSON here, which the rules do not see. */
static inline struct fact world_fact(struct world *w, enum fact_type type, uint8_t row, uint8_t column,
                                     uint64_t wall_ms, uint8_t site)
{
    struct buf key = buf_make(1000);
    struct fact f = {
        .type = type, .hlc = world_hlc(wall_ms, site), .schema = slice_str("main"), .table = slice_str("t")};
    key_put_text(&key, f.schema);
    key_put_text(&key, f.table);
    f.table_key_len = (uint32_t)key.len;
    if (type == FACT_MIGRATION) buf_put_char(&key, 't');
    char number[8] = {(char)('0' + row), ']'};
    key_put_number(&key, slice_of(number, 1));
    buf_put_char(&key, '\0');
    f.row_key_len = type == FACT_MIGRATION ? f.table_key_len : (uint32_t)key.len;
    if (type == FACT_CELL) key_put_text(&key, slice_of(&column, 1));
    f.key = arena_copy(&w->arena, buf_slice(&key));
    cr_assert_not_null(f.key.bytes);
    buf_deinit(&key);
    return f;
}

static inline void world_add(struct world *w, const struct fact *f)
{
    cr_assert_lt(w->batch.fact_count, (size_t)WORLD_FACTS_MAX);
    w->facts[w->batch.fact_count++] = *f;
}

static inline void add_cell(struct world *w, uint8_t row, uint8_t column, uint64_t wall_ms, uint8_t site)
{
    struct fact f = world_fact(w, FACT_CELL, row, column, wall_ms, site);
    world_add(w, &f);
}

static inline void add_delete(struct world *w, uint8_t row, uint64_t wall_ms, uint8_t site)
{
    struct fact f = world_fact(w, FACT_DELETE, row, 0, wall_ms, site);
    world_add(w, &f);
}

static inline void add_migration(struct world *w, uint8_t version, uint64_t wall_ms, uint8_t site)
{
    struct fact f = world_fact(w, FACT_MIGRATION, version, 0, wall_ms, site);
    world_add(w, &f);
}

static inline struct stored *stored_under(struct world *w, const struct fact *f)
{
    for (size_t i = 0; i < w->stored_count; i++)
        if (w->stored[i].type == f->type && slice_eq(w->stored[i].key, f->key)) return &w->stored[i];
    return NULL;
}

static inline struct stored *stored_tombstone(struct world *w, const struct fact *cell)
{
    for (size_t i = 0; i < w->stored_count; i++)
        if (w->stored[i].type == FACT_DELETE && slice_eq(w->stored[i].key, fact_row_key(cell)))
            return &w->stored[i];
    return NULL;
}

static inline void world_store(struct world *w, const struct fact *f)
{
    struct stored *s = stored_under(w, f);
    if (s == NULL) s = &w->stored[w->stored_count++];
    cr_assert_leq(w->stored_count, (size_t)WORLD_FACTS_MAX);
    *s = (struct stored){.type = f->type, .key = f->key, .row_key_len = f->row_key_len, .hlc = f->hlc};
}

static inline void store_cell(struct world *w, uint8_t row, uint8_t column, uint64_t wall_ms, uint8_t site)
{
    struct fact f = world_fact(w, FACT_CELL, row, column, wall_ms, site);
    world_store(w, &f);
}

static inline void store_delete(struct world *w, uint8_t row, uint64_t wall_ms, uint8_t site)
{
    struct fact f = world_fact(w, FACT_DELETE, row, 0, wall_ms, site);
    world_store(w, &f);
}

static inline void store_migration(struct world *w, uint8_t version, uint64_t wall_ms, uint8_t site)
{
    struct fact f = world_fact(w, FACT_MIGRATION, version, 0, wall_ms, site);
    world_store(w, &f);
}

/* ---- the source */

static inline enum sync_err world_answer(struct world *w, const struct stored *s, struct stored_fact *ret,
                                         struct err_ctx *ec)
{
    if (++w->reads == w->fail_at) return err_set(ec, SYNC_ESTORE, "disk gone");
    *ret = (struct stored_fact){.found = s != NULL};
    if (s == NULL) return SYNC_OK;
    ret->hlc = s->hlc;
    ret->stamp.wall_ms = s->hlc.wall_ms + 1000;
    ret->value = slice_str(STORED_VALUE);
    return SYNC_OK;
}

static inline enum sync_err world_find(void *state, const struct fact *f, struct arena *arena,
                                       struct stored_fact *ret, struct err_ctx *ec)
{
    struct world *w = state;
    (void)arena;
    w->finds++;
    return world_answer(w, stored_under(w, f), ret, ec);
}

static inline enum sync_err world_find_tombstone(void *state, const struct fact *f, struct stored_fact *ret,
                                                 struct err_ctx *ec)
{
    struct world *w = state;
    cr_assert_eq(f->type, FACT_CELL);
    w->tombstone_finds++;
    return world_answer(w, stored_tombstone(w, f), ret, ec);
}

static inline enum sync_err try_merge(struct world *w, struct merge_plan *ret, struct err_ctx *ec)
{
    const struct merge_source source = {
        .state = w, .find = world_find, .find_tombstone = world_find_tombstone};
    w->batch.facts = w->facts;
    w->rules.server_site = world_hlc(0, SERVER_SITE).site;
    return merge_batch(&w->batch, &w->rules, &source, &w->arena, ret, ec);
}

static inline void merge_world(struct world *w, struct merge_plan *ret)
{
    struct err_ctx ec = {""};
    cr_assert_eq(try_merge(w, ret, &ec), SYNC_OK, "%s", ec.text);
}

static inline void assert_result(const struct merge_plan *plan, uint64_t applied, uint64_t skipped,
                                 uint64_t conflicts)
{
    cr_assert_eq(plan->result.applied, applied);
    cr_assert_eq(plan->result.skipped, skipped);
    cr_assert_eq(plan->result.conflicts, conflicts);
}

/* Stores what the plan writes (cells only, here) and empties the batch. */
static inline void carry_out(struct world *w, const struct merge_plan *plan)
{
    for (size_t i = 0; i < plan->write_count; i++) world_store(w, &w->facts[plan->writes[i]]);
    w->batch.fact_count = 0;
}

static inline bool same_stored(struct world *a, struct world *b)
{
    if (a->stored_count != b->stored_count) return false;
    for (size_t i = 0; i < a->stored_count; i++) {
        bool found = false;
        for (size_t k = 0; k < b->stored_count; k++)
            found |= a->stored[i].type == b->stored[k].type && slice_eq(a->stored[i].key, b->stored[k].key) &&
                     hlc_eq(&a->stored[i].hlc, &b->stored[k].hlc);
        if (!found) return false;
    }
    return true;
}

/* ---- the rules, naively */

static inline bool same_subject(const struct fact *a, const struct fact *b)
{
    return a->type == b->type && slice_eq(a->key, b->key);
}

/* Is there another fact of the same key and HLC? Either may be the one that is written. */
static inline bool has_copy(const struct world *w, size_t index)
{
    for (size_t i = 0; i < w->batch.fact_count; i++)
        if (i != index && same_subject(&w->facts[i], &w->facts[index]) &&
            hlc_eq(&w->facts[i].hlc, &w->facts[index].hlc))
            return true;
    return false;
}

static inline enum verdict naive_first_verdict(struct world *w, const struct fact *f)
{
    const struct stored *s = stored_under(w, f);
    if (f->hlc.site.bytes[15] == SERVER_SITE) return VERDICT_SKIPPED;
    if (f->type != FACT_CELL)
        return s != NULL && hlc_cmp(&s->hlc, &f->hlc) >= 0 ? VERDICT_SKIPPED : VERDICT_APPLIED;
    if (s != NULL && hlc_cmp(&s->hlc, &f->hlc) >= 0) return VERDICT_CONFLICT;
    const struct stored *t = stored_tombstone(w, f);
    if (t == NULL) return VERDICT_APPLIED;
    if (!w->rules.allow_resurrection) return VERDICT_SKIPPED;
    return hlc_cmp(&f->hlc, &t->hlc) <= 0 ? VERDICT_SKIPPED : VERDICT_APPLIED;
}

static inline void naive_merge(struct world *w, enum verdict ret[WORLD_FACTS_MAX],
                               bool ret_write[WORLD_FACTS_MAX])
{
    size_t count = w->batch.fact_count;
    const struct fact *f = w->facts;
    enum verdict first[WORLD_FACTS_MAX];
    for (size_t i = 0; i < count; i++) ret[i] = first[i] = naive_first_verdict(w, &f[i]);
    for (size_t d = 0; d < count; d++) {
        if (f[d].type != FACT_DELETE || first[d] != VERDICT_APPLIED) continue;
        for (size_t i = 0; i < count; i++) {
            bool of_row = f[i].type == FACT_CELL && slice_eq(fact_row_key(&f[i]), f[d].key);
            if (of_row && ret[i] == VERDICT_APPLIED &&
                (!w->rules.allow_resurrection || hlc_cmp(&f[i].hlc, &f[d].hlc) <= 0))
                ret[i] = VERDICT_SKIPPED;
        }
    }
    for (size_t i = 0; i < count; i++) {
        ret_write[i] = ret[i] == VERDICT_APPLIED;
        for (size_t k = 0; k < count; k++)
            if (ret[k] == VERDICT_APPLIED && same_subject(&f[i], &f[k]) && hlc_cmp(&f[k].hlc, &f[i].hlc) > 0)
                ret_write[i] = false;
    }
}

#endif
