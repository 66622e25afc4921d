#include "core/facts/merge.h"

#include <assert.h>
#include <stdlib.h>

/* Facts that may meet in one batch, side by side after sorting: those of one row (or one migration), the
 * row's deletes before its cells, the cells of one column together, the highest HLC last. The hash goes
 * first, so that nearly every comparison is one of two integers; equal hashes are told apart by the key. */
struct meeting {
    uint64_t hash; /* of the row key */
    uint32_t index;
    const struct fact *fact;
};

static uint64_t hash_of(struct slice s)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a; a bad spread costs time, never a wrong answer */
    for (size_t i = 0; i < s.len; i++) h = (h ^ (uint8_t)s.bytes[i]) * 0x100000001b3u;
    return h;
}

/* Migrations meet by their whole key, cells and deletes by the row. */
static struct slice meeting_key(const struct fact *f)
{
    return f->type == FACT_MIGRATION ? f->key : fact_row_key(f);
}

static bool same_place(const struct fact *a, const struct fact *b)
{
    return (a->type == FACT_MIGRATION) == (b->type == FACT_MIGRATION) &&
           slice_eq(meeting_key(a), meeting_key(b));
}

static bool same_key(const struct fact *a, const struct fact *b)
{
    return a->type == b->type && slice_eq(a->key, b->key);
}

static int compare_meetings(const void *x, const void *y)
{
    const struct meeting *a = x, *b = y;
    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    int c = (a->fact->type == FACT_MIGRATION) - (b->fact->type == FACT_MIGRATION);
    if (c == 0) c = slice_cmp(meeting_key(a->fact), meeting_key(b->fact));
    if (c == 0) c = (a->fact->type == FACT_CELL) - (b->fact->type == FACT_CELL);
    if (c == 0) c = slice_cmp(a->fact->key, b->fact->key);
    if (c == 0) c = hlc_cmp(&a->fact->hlc, &b->fact->hlc);
    if (c == 0)
        c = (a->index > b->index) - (a->index < b->index); /* copies: any order, but always the same */
    return c;
}

/* Remembers the tombstone of the row looked at last: a row's cells mostly come one after the other. */
struct row_memory {
    struct slice row_key; /* bytes is NULL before the first look */
    struct stored_fact tombstone;
};

static enum sync_err tombstone_of(const struct merge_source *source, const struct fact *f,
                                  struct row_memory *memory, struct err_ctx *ec)
{
    if (memory->row_key.bytes != NULL && slice_eq(memory->row_key, fact_row_key(f))) return SYNC_OK;
    memory->row_key = slice_of(NULL, 0);
    enum sync_err rc = source->find_tombstone(source->state, f, &memory->tombstone, ec);
    if (rc == SYNC_OK) memory->row_key = fact_row_key(f);
    return rc;
}

/* Rules 1, 2, 3 and 5: one fact against the state before the batch. */
static enum sync_err judge(const struct fact *f, const struct merge_rules *rules,
                           const struct merge_source *source, struct arena *arena, struct row_memory *memory,
                           struct judgement *ret, struct err_ctx *ec)
{
    *ret = (struct judgement){.verdict = VERDICT_SKIPPED};
    if (site_id_eq(&f->hlc.site, &rules->server_site)) return SYNC_OK;

    enum sync_err rc = source->find(source->state, f, arena, &ret->before, ec);
    if (rc != SYNC_OK) return rc;
    if (ret->before.found && hlc_cmp(&ret->before.hlc, &f->hlc) >= 0) {
        if (f->type == FACT_CELL) ret->verdict = VERDICT_CONFLICT;
        return SYNC_OK;
    }
    if (f->type == FACT_CELL) {
        rc = tombstone_of(source, f, memory, ec);
        if (rc != SYNC_OK) return rc;
        const struct stored_fact *t = &memory->tombstone;
        if (t->found && !(rules->allow_resurrection && hlc_cmp(&f->hlc, &t->hlc) > 0)) return SYNC_OK;
    }
    ret->verdict = VERDICT_APPLIED;
    return SYNC_OK;
}

/* Rule 4, for the meetings [0, count) of one row: an applied delete takes the row's applied cells with it,
 * then the highest of each key is the one to write. */
static void settle_row(const struct meeting *m, size_t count, const struct merge_rules *rules,
                       struct judgement *judgements)
{
    const struct hlc *highest_delete = NULL;
    for (size_t i = 0; i < count; i++) {
        struct judgement *j = &judgements[m[i].index];
        const struct fact *f = m[i].fact;
        if (j->verdict != VERDICT_APPLIED) continue;
        if (f->type == FACT_DELETE) {
            highest_delete = &f->hlc; /* sorted by HLC: the last one is the highest */
        } else if (f->type == FACT_CELL && highest_delete != NULL &&
                   !(rules->allow_resurrection && hlc_cmp(&f->hlc, highest_delete) > 0)) {
            j->verdict = VERDICT_SKIPPED;
        }
    }
    const struct fact *winner = NULL;
    for (size_t i = count; i-- > 0;) {
        struct judgement *j = &judgements[m[i].index];
        if (j->verdict != VERDICT_APPLIED || (winner != NULL && same_key(winner, m[i].fact))) continue;
        winner = m[i].fact;
        j->write = true;
    }
}

static int compare_hlc_of(const void *x, const void *y)
{
    const struct meeting *a = x, *b = y;
    int c = hlc_cmp(&a->fact->hlc, &b->fact->hlc);
    return c != 0 ? c : (a->index > b->index) - (a->index < b->index);
}

/* Keeps those of the meetings that are to be written, sorts them into the order of the log. */
static void order_writes(struct meeting *m, size_t count, struct merge_plan *plan)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (plan->judgements[m[i].index].write) m[kept++] = m[i];
    qsort(m, kept, sizeof *m, compare_hlc_of);
    for (size_t i = 0; i < kept; i++) plan->writes[i] = m[i].index;
    plan->write_count = kept;
}

static void count_verdicts(const struct batch *b, struct merge_plan *plan)
{
    plan->result = (struct merge_result){.transactions = b->set_count};
    for (size_t i = 0; i < b->fact_count; i++) {
        switch (plan->judgements[i].verdict) {
        case VERDICT_APPLIED: plan->result.applied++; break;
        case VERDICT_SKIPPED: plan->result.skipped++; break;
        case VERDICT_CONFLICT: plan->result.conflicts++; break;
        }
    }
}

enum sync_err merge_batch(const struct batch *b, const struct merge_rules *rules,
                          const struct merge_source *source, struct arena *arena, struct merge_plan *ret,
                          struct err_ctx *ec)
{
    struct merge_plan plan = {0};
    struct row_memory memory = {0};
    assert(b->fact_count <= UINT32_MAX);
    plan.judgements = arena_get(arena, b->fact_count * sizeof *plan.judgements);
    plan.writes = arena_get(arena, b->fact_count * sizeof *plan.writes);
    struct meeting *m = arena_get(arena, b->fact_count * sizeof *m);
    if (plan.judgements == NULL || plan.writes == NULL || m == NULL)
        return err_set(ec, SYNC_ENOMEM, "no memory to merge %zu facts", b->fact_count);

    for (size_t i = 0; i < b->fact_count; i++) {
        const struct fact *f = &b->facts[i];
        enum sync_err rc = judge(f, rules, source, arena, &memory, &plan.judgements[i], ec);
        if (rc != SYNC_OK) return rc;
        m[i] = (struct meeting){.hash = hash_of(meeting_key(f)), .index = (uint32_t)i, .fact = f};
    }
    qsort(m, b->fact_count, sizeof *m, compare_meetings);
    for (size_t first = 0, end; first < b->fact_count; first = end) {
        for (end = first + 1; end < b->fact_count && same_place(m[first].fact, m[end].fact);) end++;
        settle_row(m + first, end - first, rules, plan.judgements);
    }
    order_writes(m, b->fact_count, &plan);
    count_verdicts(b, &plan);
    *ret = plan;
    return SYNC_OK;
}
