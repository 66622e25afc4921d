#include "random_batch.h"

#include "facts.h"
#include "random.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { FACTS_MAX = 9, SETS_MAX = 3, BIG = 5000, LONG = 300 };

/* A text in the batch's arena; padded to `len` when that is longer. */
static const char *text_of(struct batch *b, size_t len, const char *fmt, unsigned long x, unsigned long y,
                           unsigned long z)
{
    char text[64];
    int n = snprintf(text, sizeof text, fmt, x, y, z);
    assert(n > 0 && (size_t)n < sizeof text);
    if (len < (size_t)n) len = (size_t)n;
    char *copy = arena_get(&b->arena, len + 1);
    assert(copy != NULL);
    memset(copy, 'x', len);
    memcpy(copy, text, (size_t)n);
    copy[len] = '\0';
    return copy;
}

static struct hlc random_hlc(uint64_t *seed, uint64_t epoch, const struct site_id *server_site)
{
    struct hlc h = facts_hlc(1000 + epoch / 4 + random_below(seed, 4), (uint16_t)random_below(seed, 2),
                             (char)('a' + random_below(seed, 3)), (uint32_t)random_below(seed, 4));
    if (random_below(seed, 30) == 0) h.counter = UINT16_MAX;
    if (random_below(seed, 25) == 0) h.site = *server_site;
    return h;
}

/* "[1]", or "[1.0]" where the HLC says so: one key in two spellings. */
static struct slice spelling(struct batch *b, const char *pk, const struct hlc *h)
{
    if (h->op_seq % 2 == 0) return slice_str(pk);
    size_t len = strlen(pk);
    char *text = arena_get(&b->arena, len + 3);
    assert(text != NULL);
    (void)snprintf(text, len + 3, "%.*s.0]", (int)len - 1, pk);
    return slice_of(text, len + 2);
}

static void add_cell(struct batch *b, uint64_t *seed, struct hlc h, const char *table, const char *pk)
{
    static const char *const columns[] = {"a", "b", "big", ""};
    const char *column = columns[random_below(seed, 4)];
    size_t len = strcmp(column, "big") == 0 ? BIG : 0;
    const char *value =
        text_of(b, len, "%lu.%lu.%lu", h.wall_ms, h.counter * 256u + h.site.bytes[0], h.op_seq);
    struct fact *f = facts_cell(b, h, table, pk, column, value);
    f->cell.pk = spelling(b, pk, &h);
    f->cell.has_prior = random_below(seed, 2) == 0; /* a claim that counts for nothing */
    if (f->cell.has_prior) f->cell.prior_value = slice_str("claimed");
}

static void add_delete(struct batch *b, struct hlc h, const char *table, const char *pk)
{
    const char *prior = text_of(b, h.op_seq == 3 ? BIG : 0, "[%lu,%lu,%lu]", h.wall_ms, h.counter, h.op_seq);
    struct fact *f = facts_delete(b, h, table, pk, h.op_seq == 0 ? NULL : prior);
    f->del.pk = spelling(b, pk, &h);
}

static void add_migration(struct batch *b, struct hlc h, const char *table)
{
    static const char *const versions[] = {"1", "2", "2.5"};
    enum migration_type type = (enum migration_type)((h.wall_ms + h.op_seq) % MIGRATION_TYPE_COUNT);
    const char *ddl = text_of(b, h.op_seq == 3 ? BIG : 0, "\"%lu.%lu.%lu\"", h.wall_ms, h.counter, h.op_seq);
    struct fact *f = facts_migration(b, h, table, type, versions[h.wall_ms % 3], ddl);
    f->migration.has_from_table = type == MIGRATION_RENAME_TABLE;
    if (f->migration.has_from_table) f->migration.from_table = slice_str("old");
}

struct batch random_batch(uint64_t *seed, uint64_t epoch, const struct site_id *server_site)
{
    struct batch b = facts_batch();
    size_t count = random_below(seed, FACTS_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        static const char *const tables[] = {"t", "u", "n"};
        const char *table = tables[random_below(seed, 3)];
        if (table[0] == 'n') table = text_of(&b, LONG, "%lu%lu%lu", 1, 2, 3);
        const char *pk = text_of(&b, 0, "[%lu]", epoch / 8 + random_below(seed, 4), 0, 0);
        struct hlc h = random_hlc(seed, epoch, server_site);
        uint64_t kind = random_below(seed, 10);
        if (kind < 8)
            add_cell(&b, seed, h, table, pk);
        else if (kind < 9)
            add_delete(&b, h, table, pk);
        else
            add_migration(&b, h, table);
    }
    b.set_count = 1 + random_below(seed, SETS_MAX);
    b.sets = realloc(b.sets, b.set_count * sizeof *b.sets);
    assert(b.sets != NULL);
    for (size_t i = 0; i < b.set_count; i++) {
        b.sets[i] = (struct change_set){.hlc = random_hlc(seed, epoch, server_site)};
        if (hlc_cmp(&b.sets[i].hlc, &b.highest) > 0) b.highest = b.sets[i].hlc;
    }
    return b;
}
