/* Snapshots against the model: every cell and tombstone of every table that is not gone, and nothing else. */
#include "storage/views/snapshot_reader.h"

#include "random.h"
#include "random_batch.h"
#include "rounds.h"
#include "snapshot_fixture.h"
#include "store_fixture.h"
#include "store_model.h"

#include "core/protocol/change_set.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { SEEDS = ROUNDS(6, 2), EPOCHS = 80, LINES_MAX = 4096 };

static int by_clock(const void *x, const void *y)
{
    const struct fact *a = *(const struct fact *const *)x, *b = *(const struct fact *const *)y;
    int c = hlc_cmp(&a->hlc, &b->hlc);
    return c != 0 ? c : slice_cmp(a->table, b->table);
}

/* Replays all migrations for one table, from the first. */
static bool is_gone(const struct fact *const *migrations, size_t count, const struct fact *f)
{
    bool gone = false;
    for (size_t i = 0; i < count; i++) {
        const struct fact *m = migrations[i];
        bool names_it = slice_eq(m->table, f->table);
        if (m->migration.type == MIGRATION_DROP_TABLE && names_it) gone = true;
        if (m->migration.type == MIGRATION_CREATE_TABLE && names_it) gone = false;
        if (m->migration.type != MIGRATION_RENAME_TABLE) continue;
        if (slice_eq(m->migration.from_table, f->table)) gone = true;
        if (names_it) gone = false;
    }
    return gone;
}

static void print_hlc(struct buf *out, const struct hlc *h)
{
    char text[HLC_TEXT];
    hlc_format(h, text);
    buf_put_char(out, ' ');
    buf_put(out, text, sizeof text);
}

static void print_expected(struct buf *out, const struct model_database *d)
{
    const struct fact **migrations = calloc(d->count + 1, sizeof *migrations);
    size_t count = 0;
    cr_assert_not_null(migrations);
    for (size_t i = 0; i < d->count; i++)
        if (d->entries[i].fact.type == FACT_MIGRATION) migrations[count++] = &d->entries[i].fact;
    qsort(migrations, count, sizeof *migrations, by_clock);
    for (size_t i = 0; i < count; i++) {
        BUF_PUT_LIT(out, "migration ");
        fact_put(out, migrations[i]);
        buf_put_char(out, '\n');
    }
    for (size_t i = 0; i < d->count; i++) {
        const struct fact *f = &d->entries[i].fact;
        if (f->type == FACT_MIGRATION || is_gone(migrations, count, f)) continue;
        buf_printf(out, "%s %.*s %.*s ", f->type == FACT_CELL ? "cell" : "tombstone", SLICE_ARG(f->schema),
                   SLICE_ARG(f->table));
        if (f->type == FACT_CELL) {
            buf_printf(out, "%.*s %.*s ", SLICE_ARG(f->cell.pk), SLICE_ARG(f->cell.column));
            buf_put_slice(out, f->cell.value);
            print_hlc(out, &f->hlc);
        } else {
            buf_put_slice(out, f->del.pk);
            print_hlc(out, &f->hlc);
            buf_printf(out, " %lu", (unsigned long)d->entries[i].created_ms);
            if (f->del.has_prior_row) buf_put_char(out, ' ');
            buf_put_slice(out, f->del.prior_row);
        }
        buf_put_char(out, '\n');
    }
    free(migrations);
}

static int compare_lines(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

/* Splits the text into sorted lines, without those of tables' beginnings. */
static size_t split(struct buf *text, char **lines)
{
    size_t count = 0;
    buf_put_char(text, '\0');
    char *rest = text->bytes;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (*line == '\0' || strncmp(line, "table ", 6) == 0) continue;
        cr_assert_lt(count, LINES_MAX);
        lines[count++] = line;
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    return count;
}

Test(snapshot_model, a_snapshot_holds_what_is_current_in_tables_that_are_not_gone, .timeout = 120)
{
    static char *found[LINES_MAX], *expected[LINES_MAX];
    size_t compared = 0, gone = 0;
    for (uint64_t first = 1; first <= SEEDS; first++) {
        struct store_fixture x;
        struct store_model model = {0};
        uint64_t seed = first;
        fixture_init(&x);
        struct view *v = fixture_view(&x, "db");
        struct model_database *d = model_database(&model, "db", &view_database(v)->server_site);
        view_close(v);
        for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
            struct snapshot_seen seen;
            struct buf text = buf_make(1 << 28);
            struct batch b = random_batch(&seed, epoch, &d->server_site);
            (void)model_apply(&model, d, &b, 1000 + epoch);
            struct apply_request r = {.database = slice_str("db"), .batch = &b, .now_ms = 1000 + epoch};
            shard_apply(store_shard(x.store, 0), &r);
            cr_assert_eq(r.rc, SYNC_OK);
            batch_deinit(&b);
            snapshot_read(store_shard(x.store, 0), "db", NULL, NULL, NULL, &seen);
            print_expected(&text, d);
            size_t count = split(&text, expected), found_count = split(&seen.lines, found);
            for (size_t i = 0; i < count && i < found_count; i++)
                cr_assert_eq(strcmp(found[i], expected[i]), 0,
                             "seed %lu, epoch %lu:\n%.300s\ninstead of\n%.300s", (unsigned long)first,
                             (unsigned long)epoch, found[i], expected[i]);
            cr_assert_eq(count, found_count);
            struct hlc last = stamp_to_hlc(&d->last, &d->server_site);
            cr_assert(hlc_eq(&seen.hlc, &last));
            cr_assert_eq(seen.table_count, seen.tables);
            cr_assert_eq(seen.total_entries, seen.cells);
            cr_assert_eq(seen.migration_count + seen.cells + seen.tombstones, count);
            compared += count;
            gone += d->count - count;
            buf_deinit(&seen.lines);
            buf_deinit(&text);
        }
        model_deinit(&model);
        fixture_free(&x);
    }
    cr_assert(compared > 840 * SEEDS && gone > 170 * SEEDS, "%zu lines compared, %zu facts of gone tables",
              compared, gone);
}
