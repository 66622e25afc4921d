/* Deltas against the model: what a reply holds follows from the log, the watermark and the asker alone,
 * however it is cut into pieces and pages; and whatever is written meanwhile, nothing is missed. */
#include "storage/views/delta_reader.h"

#include "delta_fixture.h"
#include "random.h"
#include "random_batch.h"
#include "rounds.h"
#include "store_fixture.h"
#include "store_model.h"

#include <criterion/criterion.h>
#include <search.h>
#include <stdlib.h>

enum { SEEDS = ROUNDS(6, 2), EPOCHS = 60, READS = 6, PAGES_MAX = 5000 };

struct run {
    struct store_fixture x;
    struct store_model model;
    uint64_t seed, epoch;
};

static void begin(struct run *r, uint64_t seed)
{
    *r = (struct run){.seed = seed};
    fixture_init(&r->x);
}

static void end(struct run *r)
{
    model_deinit(&r->model);
    fixture_free(&r->x);
}

static struct shard *shard_of(struct run *r)
{
    return store_shard(r->x.store, 0);
}

static struct model_database *database_of(struct run *r)
{
    struct view *v = fixture_view(&r->x, "db");
    struct model_database *d = model_database(&r->model, "db", &view_database(v)->server_site);
    view_close(v);
    return d;
}

static void write_some(void *arg)
{
    struct run *r = arg;
    struct model_database *d = database_of(r);
    struct batch b = random_batch(&r->seed, r->epoch++, &d->server_site);
    (void)model_apply(&r->model, d, &b, 1000);
    (void)fixture_apply(&r->x, "db", &b);
}

/* ---- what is to be expected */

static bool is_asked_for(const struct model_database *d, const struct model_entry *e,
                         const struct delta_request *q)
{
    struct hlc stamp = stamp_to_hlc(&e->stamp, &d->server_site);
    return !site_id_eq(&e->fact.hlc.site, &q->asker) && (!q->has_since || hlc_cmp(&stamp, &q->since) > 0);
}

static void print_group(struct buf *out, const struct model_entry *const *group, size_t count)
{
    static const struct stamp none;
    char id[TRANSACTION_ID_MAX + 1];
    if (count == 0) return;
    const struct hlc *h = &group[count - 1]->fact.hlc;
    (void)hlc_format_transaction(h, id);
    buf_printf(out, "set %s %u\n", id, h->op_seq);
    for (int migrations = 0; migrations < 2; migrations++)
        for (size_t i = 0; i < count; i++)
            if ((group[i]->fact.type == FACT_MIGRATION) == (migrations == 1))
                model_print(out, &group[i]->fact, &none);
}

/* The sets that the log holds for this asker: neighbours of one transaction, as long as opSeq does not
 * fall. */
static void print_expected(struct buf *out, const struct model_database *d, const struct delta_request *q)
{
    const struct model_entry **group = calloc(d->count + 1, sizeof *group);
    size_t count = 0;
    cr_assert_not_null(group);
    for (size_t i = 0; i < d->count; i++) {
        const struct model_entry *e = &d->entries[i];
        if (!is_asked_for(d, e, q)) continue;
        if (count > 0 && (!hlc_same_transaction(&group[count - 1]->fact.hlc, &e->fact.hlc) ||
                          group[count - 1]->fact.hlc.op_seq > e->fact.hlc.op_seq)) {
            print_group(out, group, count);
            count = 0;
        }
        group[count++] = e;
    }
    print_group(out, group, count);
    free(group);
}

/* Around the stamps there are, of the server's site, a lower and a higher one. */
static struct hlc random_watermark(struct run *r, const struct model_database *d)
{
    struct hlc h = stamp_to_hlc(&d->last, &d->server_site);
    if (d->count > 0) {
        const struct model_entry *e = &d->entries[random_below(&r->seed, d->count)];
        h = stamp_to_hlc(&e->stamp, &d->server_site);
    }
    h.op_seq += (uint32_t)random_below(&r->seed, 2);
    h.counter = (uint16_t)(h.counter - random_below(&r->seed, 2));
    uint64_t site = random_below(&r->seed, 3);
    if (site < 2) memset(&h.site, site == 0 ? 0 : 0xff, sizeof h.site);
    return h;
}

static struct delta_request random_request(struct run *r, const struct model_database *d)
{
    static const size_t pages[] = {0, 1, 500, 3000, 20000, SIZE_MAX};
    struct hlc since = random_watermark(r, d);
    struct delta_request q = delta_request_of("db", (char)('a' + random_below(&r->seed, 4)),
                                              random_below(&r->seed, 4) == 0 ? NULL : &since);
    q.page_bytes_max = pages[random_below(&r->seed, 6)];
    return q;
}

static size_t random_piece(struct run *r)
{
    static const size_t pieces[] = {1, 100, 1000, 10000, SIZE_MAX};
    return pieces[random_below(&r->seed, 5)];
}

/* All pages of a reply; *ret is the last one's. */
static void read_all(struct run *r, struct delta_request q, struct buf *out, void (*then)(void *),
                     struct delta_status *ret)
{
    int pages = 0;
    do {
        *ret = delta_read_page(shard_of(r), &q, random_piece(r), out, then, r);
        if (ret->has_more) cr_assert(ret->fact_count > 0 && ret->has_watermark);
        if (ret->has_watermark && q.has_since) cr_assert_gt(hlc_cmp(&ret->watermark, &q.since), 0);
        q.has_since |= ret->has_watermark;
        if (ret->has_watermark) q.since = ret->watermark;
        cr_assert_lt(++pages, PAGES_MAX);
    } while (ret->has_more);
}

Test(delta_model, a_reply_is_the_log_after_the_watermark_without_the_askers_facts, .timeout = 120)
{
    size_t facts = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct run r;
        begin(&r, seed);
        while (r.epoch < EPOCHS) {
            write_some(&r);
            struct model_database *d = database_of(&r);
            for (int i = 0; i < READS; i++) {
                struct buf found = buf_make(1 << 28), expected = buf_make(1 << 28);
                struct delta_request q = random_request(&r, d);
                struct delta_status status;
                struct hlc last = stamp_to_hlc(&d->last, &d->server_site);
                read_all(&r, q, &found, NULL, &status);
                print_expected(&expected, d, &q);
                cr_assert(slice_eq(buf_slice(&found), buf_slice(&expected)),
                          "seed %lu, epoch %lu:\n%.*s\ninstead of\n%.*s", (unsigned long)seed,
                          (unsigned long)r.epoch, (int)(found.len % 2000), found.bytes,
                          (int)(expected.len % 2000), expected.bytes);
                bool news = d->last.wall_ms > 0 && (!q.has_since || hlc_cmp(&last, &q.since) > 0);
                cr_assert_eq(status.has_watermark, news);
                if (news) cr_assert(hlc_eq(&status.watermark, &last));
                facts += status.fact_count;
                buf_deinit(&found);
                buf_deinit(&expected);
            }
        }
        end(&r);
    }
    cr_assert_gt(facts, 1700 * SEEDS, "only %zu facts were compared", facts);
}

/* ---- while others write */

static int compare_strings(const void *x, const void *y)
{
    return strcmp(x, y);
}

/* Adds the lines of a reply to what the client has seen. */
static void see(void **seen, struct buf *text)
{
    buf_put_char(text, '\0');
    char *rest = text->bytes;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (*line == '\0' || strncmp(line, "set ", 4) == 0) continue;
        char *copy = strdup(line);
        char *const *found = tsearch(copy, seen, compare_strings);
        if (*found != copy) free(copy);
    }
}

static bool has_seen(void *const *seen, const struct fact *f)
{
    static const struct stamp none;
    struct buf line = buf_make(1 << 20);
    model_print(&line, f, &none);
    line.bytes[line.len - 1] = '\0';
    bool found = tfind(line.bytes, seen, compare_strings) != NULL;
    buf_deinit(&line);
    return found;
}

/* Everything that is current now and has a stamp that the client's watermark covers. */
static size_t expect_seen(struct run *r, void *const *seen, const struct delta_request *q)
{
    const struct model_database *d = database_of(r);
    size_t count = 0;
    for (size_t i = 0; i < d->count; i++) {
        struct hlc stamp = stamp_to_hlc(&d->entries[i].stamp, &d->server_site);
        if (site_id_eq(&d->entries[i].fact.hlc.site, &q->asker)) continue;
        if (!q->has_since || hlc_cmp(&stamp, &q->since) > 0) continue;
        cr_assert(has_seen(seen, &d->entries[i].fact), "entry %zu was never sent", i);
        count++;
    }
    return count;
}

Test(delta_model, nothing_is_missed_while_others_write, .timeout = 120)
{
    size_t checked = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct run r;
        void *seen = NULL;
        struct delta_status status;
        begin(&r, seed);
        struct delta_request q = delta_request_of("db", 'a', NULL);
        for (bool quiet = false;;) {
            struct buf out = buf_make(1 << 28);
            q.page_bytes_max = random_request(&r, database_of(&r)).page_bytes_max;
            write_some(&r);
            status = delta_read_page(shard_of(&r), &q, random_piece(&r), &out, quiet ? NULL : write_some, &r);
            see(&seen, &out);
            buf_deinit(&out);
            q.has_since |= status.has_watermark;
            if (status.has_watermark) q.since = status.watermark;
            checked += expect_seen(&r, &seen, &q);
            if (quiet && !status.has_more) break;
            quiet = r.epoch > EPOCHS * 5;
        }
        struct hlc last = stamp_to_hlc(&database_of(&r)->last, &database_of(&r)->server_site);
        cr_assert(hlc_eq(&q.since, &last));
        tdestroy(seen, free);
        end(&r);
    }
    cr_assert_gt(checked, 1700 * SEEDS, "only %zu were looked for", checked);
}
