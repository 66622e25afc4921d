#include "store_model.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

void model_deinit(struct store_model *m)
{
    for (size_t i = 0; i < m->database_count; i++) free(m->databases[i].entries);
    arena_deinit(&m->arena);
    *m = (struct store_model){0};
}

struct model_database *model_database(struct store_model *m, const char *name,
                                      const struct site_id *server_site)
{
    for (size_t i = 0; i < m->database_count; i++)
        if (strcmp(m->databases[i].name, name) == 0) return &m->databases[i];
    assert(m->database_count < MODEL_DATABASES_MAX);
    struct model_database *d = &m->databases[m->database_count++];
    *d = (struct model_database){.name = name, .server_site = *server_site};
    return d;
}

/* ---- what facts are about */

/* The tests spell one key as [1] and as [1.0]. */
static bool same_pk(struct slice a, struct slice b)
{
    size_t i = 0;
    for (; i < a.len && i < b.len && a.bytes[i] == b.bytes[i]; i++) {
    }
    bool a_ends = i < a.len && (a.bytes[i] == ']' || a.bytes[i] == '.');
    bool b_ends = i < b.len && (b.bytes[i] == ']' || b.bytes[i] == '.');
    return slice_eq(a, b) || (a_ends && b_ends);
}

static struct slice pk_of(const struct fact *f)
{
    return f->type == FACT_CELL ? f->cell.pk : f->del.pk;
}

static bool same_table(const struct fact *a, const struct fact *b)
{
    return slice_eq(a->schema, b->schema) && slice_eq(a->table, b->table);
}

/* Cells and deletes of one row of one table? */
static bool same_row(const struct fact *a, const struct fact *b)
{
    if (a->type == FACT_MIGRATION || b->type == FACT_MIGRATION) return false;
    return same_table(a, b) && same_pk(pk_of(a), pk_of(b));
}

static bool is_index(const struct fact *f)
{
    return f->migration.type == MIGRATION_ADD_INDEX || f->migration.type == MIGRATION_DROP_INDEX;
}

/* Would one replace the other? */
static bool same_thing(const struct fact *a, const struct fact *b)
{
    if (a->type != b->type) return false;
    if (a->type == FACT_CELL) return same_row(a, b) && slice_eq(a->cell.column, b->cell.column);
    if (a->type == FACT_DELETE) return same_row(a, b);
    return same_table(a, b) && is_index(a) == is_index(b) &&
           slice_eq(a->migration.schema_version, b->migration.schema_version);
}

static const struct model_entry *find(const struct model_database *d, const struct fact *f)
{
    for (size_t i = 0; i < d->count; i++)
        if (same_thing(&d->entries[i].fact, f)) return &d->entries[i];
    return NULL;
}

static const struct model_entry *find_tombstone(const struct model_database *d, const struct fact *f)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->entries[i].fact.type == FACT_DELETE && same_row(&d->entries[i].fact, f)) return &d->entries[i];
    return NULL;
}

/* ---- judging */

static enum verdict judge(const struct store_model *m, const struct model_database *d, const struct fact *f)
{
    const struct model_entry *stored = find(d, f), *tombstone = find_tombstone(d, f);
    if (site_id_eq(&f->hlc.site, &d->server_site)) return VERDICT_SKIPPED; /* rule 1 */
    if (f->type != FACT_CELL)                                              /* rules 2 and 5 */
        return stored != NULL && hlc_cmp(&stored->fact.hlc, &f->hlc) >= 0 ? VERDICT_SKIPPED : VERDICT_APPLIED;
    if (stored != NULL && hlc_cmp(&stored->fact.hlc, &f->hlc) >= 0) return VERDICT_CONFLICT; /* rule 3 */
    if (tombstone == NULL) return VERDICT_APPLIED;
    if (!m->allow_resurrection) return VERDICT_SKIPPED;
    return hlc_cmp(&f->hlc, &tombstone->fact.hlc) <= 0 ? VERDICT_SKIPPED : VERDICT_APPLIED;
}

/* Rule 4: is the applied cell i taken by an applied delete of the batch? */
static bool is_taken(const struct store_model *m, const struct batch *b, const enum verdict *verdicts,
                     size_t i)
{
    const struct fact *f = &b->facts[i];
    if (f->type != FACT_CELL) return false;
    for (size_t k = 0; k < b->fact_count; k++) {
        const struct fact *del = &b->facts[k];
        if (del->type != FACT_DELETE || verdicts[k] != VERDICT_APPLIED || !same_row(del, f)) continue;
        if (!m->allow_resurrection || hlc_cmp(&f->hlc, &del->hlc) <= 0) return true;
    }
    return false;
}

/* Rule 4: of several applied facts about one thing the highest is written; of copies, the last. */
static bool is_highest(const struct batch *b, const enum verdict *verdicts, size_t i)
{
    for (size_t k = 0; k < b->fact_count; k++) {
        if (k == i || verdicts[k] != VERDICT_APPLIED || !same_thing(&b->facts[i], &b->facts[k])) continue;
        int c = hlc_cmp(&b->facts[k].hlc, &b->facts[i].hlc);
        if (c > 0 || (c == 0 && k > i)) return false;
    }
    return true;
}

/* ---- writing */

static struct slice keep(struct store_model *m, struct slice s)
{
    struct slice kept = arena_copy(&m->arena, s);
    assert(kept.len == s.len);
    return kept;
}

static struct fact keep_fact(struct store_model *m, const struct fact *f)
{
    struct fact k = *f;
    k.schema = keep(m, f->schema);
    k.table = keep(m, f->table);
    k.key = keep(m, f->key);
    switch (f->type) {
    case FACT_CELL:
        k.cell.column = keep(m, f->cell.column);
        k.cell.pk = keep(m, f->cell.pk);
        k.cell.value = keep(m, f->cell.value);
        k.cell.prior_value = keep(m, f->cell.prior_value);
        break;
    case FACT_DELETE:
        k.del.pk = keep(m, f->del.pk);
        k.del.prior_row = keep(m, f->del.prior_row);
        break;
    case FACT_MIGRATION:
        k.migration.from_table = keep(m, f->migration.from_table);
        k.migration.ddl = keep(m, f->migration.ddl);
        k.migration.schema_version = keep(m, f->migration.schema_version);
        break;
    }
    return k;
}

static void drop(struct model_database *d, size_t i)
{
    memmove(&d->entries[i], &d->entries[i + 1], (d->count - i - 1) * sizeof *d->entries);
    d->count--;
}

static void write_fact(struct store_model *m, struct model_database *d, const struct fact *f,
                       const struct stamp *s, uint64_t now_ms)
{
    struct model_entry e = {.fact = keep_fact(m, f), .stamp = *s};
    if (f->type == FACT_DELETE) e.created_ms = now_ms;
    for (size_t i = d->count; i-- > 0;) {
        const struct fact *old = &d->entries[i].fact;
        if (same_thing(old, f) || (f->type == FACT_DELETE && same_row(old, f))) drop(d, i);
    }
    d->entries = realloc(d->entries, (d->count + 1) * sizeof *d->entries);
    assert(d->entries != NULL);
    d->entries[d->count++] = e;
}

static struct stamp next_stamp(const struct stamp *last, const struct batch *b)
{
    uint64_t wall_ms = last->wall_ms;
    uint32_t counter = last->counter;
    const struct hlc *h = &b->highest;
    if (h->wall_ms > wall_ms || (h->wall_ms == wall_ms && h->counter > counter)) {
        wall_ms = h->wall_ms;
        counter = h->counter;
    }
    counter++;
    return (struct stamp){.wall_ms = wall_ms + counter / 65536, .counter = (uint16_t)(counter % 65536)};
}

struct merge_result model_apply(struct store_model *m, struct model_database *d, const struct batch *b,
                                uint64_t now_ms)
{
    struct merge_result result = {.transactions = b->set_count};
    enum verdict *verdicts = calloc(b->fact_count + 1, sizeof *verdicts);
    bool *taken = calloc(b->fact_count + 1, sizeof *taken);
    struct fact *writes = calloc(b->fact_count + 1, sizeof *writes);
    size_t write_count = 0;
    assert(verdicts != NULL && taken != NULL && writes != NULL);

    for (size_t i = 0; i < b->fact_count; i++) verdicts[i] = judge(m, d, &b->facts[i]);
    for (size_t i = 0; i < b->fact_count; i++) taken[i] = is_taken(m, b, verdicts, i);
    for (size_t i = 0; i < b->fact_count; i++)
        if (verdicts[i] == VERDICT_APPLIED && taken[i]) verdicts[i] = VERDICT_SKIPPED;
    for (size_t i = 0; i < b->fact_count; i++) {
        if (verdicts[i] == VERDICT_APPLIED) result.applied++;
        if (verdicts[i] == VERDICT_SKIPPED) result.skipped++;
        if (verdicts[i] == VERDICT_CONFLICT) result.conflicts++;
        if (verdicts[i] != VERDICT_APPLIED || !is_highest(b, verdicts, i)) continue;
        struct fact f = b->facts[i];
        if (f.type == FACT_CELL) {
            const struct model_entry *replaced = find(d, &f);
            f.cell.has_prior = replaced != NULL;
            f.cell.prior_hlc = replaced != NULL ? replaced->fact.hlc : (struct hlc){0};
            f.cell.prior_value = replaced != NULL ? replaced->fact.cell.value : slice_of(NULL, 0);
        }
        /* Into HLC order: behind all that are not higher. */
        size_t at = write_count++;
        for (; at > 0 && hlc_cmp(&writes[at - 1].hlc, &f.hlc) > 0; at--) writes[at] = writes[at - 1];
        writes[at] = f;
    }
    if (write_count > 0) {
        struct stamp s = next_stamp(&d->last, b);
        for (size_t i = 0; i < write_count; i++) {
            s.op_seq = (uint32_t)i;
            write_fact(m, d, &writes[i], &s, now_ms);
        }
        d->last = s;
    }
    free(verdicts);
    free(taken);
    free(writes);
    return result;
}

size_t model_prune(struct model_database *d, uint64_t created_before_ms, const struct stamp *floor)
{
    size_t pruned = 0;
    for (size_t i = d->count; i-- > 0;) {
        const struct model_entry *e = &d->entries[i];
        if (e->fact.type != FACT_DELETE || e->created_ms >= created_before_ms) continue;
        if (stamp_cmp(&e->stamp, floor) > 0) continue;
        if (stamp_cmp(&e->stamp, &d->pruned) > 0) d->pruned = e->stamp;
        drop(d, i);
        pruned++;
    }
    return pruned;
}

/* ---- telling */

static void print_hlc(struct buf *out, const struct hlc *h)
{
    buf_printf(out, " %" PRIu64 ".%u.%02x%02x.%" PRIu32, h->wall_ms, h->counter, h->site.bytes[0],
               h->site.bytes[1], h->op_seq);
}

/* A long text by its length and both ends. */
static void print_text(struct buf *out, struct slice s)
{
    if (s.len <= 60)
        buf_printf(out, " %.*s", SLICE_ARG(s));
    else
        buf_printf(out, " %.20s(%zu)%.20s", s.bytes, s.len, s.bytes + s.len - 20);
}

void model_print(struct buf *out, const struct fact *f, const struct stamp *s)
{
    buf_printf(out, "%" PRIu64 ".%u.%" PRIu32 ":", s->wall_ms, s->counter, s->op_seq);
    print_hlc(out, &f->hlc);
    print_text(out, f->schema);
    print_text(out, f->table);
    switch (f->type) {
    case FACT_CELL:
        BUF_PUT_LIT(out, " cell");
        print_text(out, f->cell.pk);
        print_text(out, f->cell.column);
        print_text(out, f->cell.value);
        if (!f->cell.has_prior) break;
        BUF_PUT_LIT(out, " prior");
        print_hlc(out, &f->cell.prior_hlc);
        print_text(out, f->cell.prior_value);
        break;
    case FACT_DELETE:
        BUF_PUT_LIT(out, " delete");
        print_text(out, f->del.pk);
        if (!f->del.has_prior_row) break;
        BUF_PUT_LIT(out, " prior");
        print_text(out, f->del.prior_row);
        break;
    case FACT_MIGRATION:
        buf_printf(out, " %s", migration_type_name(f->migration.type));
        if (f->migration.has_from_table) print_text(out, f->migration.from_table);
        print_text(out, f->migration.ddl);
        print_text(out, f->migration.schema_version);
        break;
    }
    buf_put_char(out, '\n');
}
