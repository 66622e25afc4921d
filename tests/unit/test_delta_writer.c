#include "core/protocol/delta_writer.h"

#include "core/protocol/change_set.h"
#include "tests/unit/json_fixture.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>

static struct hlc hlc_of(uint64_t wall_ms, uint8_t site, uint32_t op_seq)
{
    struct hlc h = {.wall_ms = wall_ms, .op_seq = op_seq};
    h.site.bytes[15] = site;
    return h;
}

static struct fact make_fact(enum fact_type type, struct hlc hlc)
{
    struct fact f = {.type = type, .hlc = hlc, .schema = slice_str("main"), .table = slice_str("t")};
    switch (type) {
    case FACT_CELL:
        f.cell =
            (struct cell_part){.column = slice_str("c"), .pk = slice_str("[1]"), .value = slice_str("5")};
        break;
    case FACT_DELETE: f.del = (struct delete_part){.pk = slice_str("[1]")}; break;
    case FACT_MIGRATION:
        f.migration = (struct migration_part){
            .type = MIGRATION_DROP_TABLE, .ddl = slice_str("\"d\""), .schema_version = slice_str("1")};
        break;
    }
    return f;
}

/* Reads what was written, as a client would. */
static void read_back(const struct buf *out, struct batch *ret)
{
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    struct err_ctx ec = {""};
    cr_assert_eq(out->failed, SYNC_OK);
    char *list = malloc(out->len + 2 + JSON_PADDING);
    list[0] = '[';
    if (out->len > 0) memcpy(list + 1, out->bytes, out->len);
    memset(list + 1 + out->len, ']', 1 + JSON_PADDING);
    *ret = (struct batch){.text = list};
    struct json_value root = json_open(r, list, out->len + 2);
    cr_assert_eq(change_sets_take(&root, ret, &ec), SYNC_OK, "%.*s: %s", (int)out->len, out->bytes, ec.text);
    cr_assert_eq(json_close(r, &ec), SYNC_OK, "%s", ec.text);
    json_reader_free(r);
}

static void write_all(const struct fact *facts, size_t count, struct batch *ret)
{
    struct delta_writer w;
    struct buf out = buf_make(1 << 20);
    delta_writer_init(&w);
    for (size_t i = 0; i < count; i++) delta_writer_add(&w, &out, &facts[i]);
    delta_writer_finish(&w, &out);
    delta_writer_finish(&w, &out); /* nothing open: nothing happens */
    read_back(&out, ret);
    cr_assert_eq(w.set_count, ret->set_count);
    delta_writer_deinit(&w);
    buf_deinit(&out);
}

Test(delta_writer, nothing_gives_nothing)
{
    struct batch b;
    write_all(NULL, 0, &b);
    cr_assert_eq(b.set_count, 0);
    batch_deinit(&b);
}

Test(delta_writer, facts_of_one_transaction_are_one_set)
{
    const struct fact facts[] = {
        make_fact(FACT_MIGRATION, hlc_of(5, 1, 0)), make_fact(FACT_CELL, hlc_of(5, 1, 1)),
        make_fact(FACT_MIGRATION, hlc_of(5, 1, 2)), make_fact(FACT_DELETE, hlc_of(5, 1, 7)),
        make_fact(FACT_CELL, hlc_of(5, 2, 0)),      make_fact(FACT_MIGRATION, hlc_of(6, 2, 0)),
    };
    struct batch b;
    char id[TRANSACTION_ID_MAX + 1];
    write_all(facts, 6, &b);
    cr_assert_eq(b.set_count, 3);
    cr_assert_eq(b.sets[0].fact_count, 4);
    cr_assert_eq(b.sets[1].fact_count, 1);
    cr_assert_eq(b.sets[2].fact_count, 1);
    cr_assert(hlc_eq(&b.sets[0].hlc, &facts[3].hlc), "the transaction's highest");
    cr_assert(site_id_eq(&b.sets[1].site, &facts[4].hlc.site));
    size_t len = hlc_format_transaction(&facts[0].hlc, id);
    cr_assert(slice_eq(b.sets[0].transaction_id, slice_of(id, len)));
    cr_assert_eq(b.facts[0].type, FACT_CELL, "changes and migrations stand in lists of their own");
    cr_assert_eq(b.facts[2].type, FACT_MIGRATION);
    cr_assert_eq(b.facts[3].hlc.op_seq, 2);
    cr_assert_eq(b.migration_count, 3);
    batch_deinit(&b);
}

/* The second part of a transaction arrived later, but holds what came first in it. */
Test(delta_writer, facts_of_one_set_go_up)
{
    const struct fact facts[] = {make_fact(FACT_CELL, hlc_of(5, 1, 3)), make_fact(FACT_CELL, hlc_of(5, 1, 4)),
                                 make_fact(FACT_CELL, hlc_of(5, 1, 1)),
                                 make_fact(FACT_CELL, hlc_of(5, 1, 2))};
    struct batch b;
    write_all(facts, 4, &b);
    cr_assert_eq(b.set_count, 2);
    cr_assert_eq(b.sets[0].hlc.op_seq, 4);
    cr_assert_eq(b.sets[1].hlc.op_seq, 2);
    cr_assert(slice_eq(b.sets[0].transaction_id, b.sets[1].transaction_id));
    batch_deinit(&b);
}

Test(delta_writer, a_watermark_is_a_set_without_facts)
{
    struct delta_writer w;
    struct buf out = buf_make(10000);
    struct batch b;
    const struct hlc mark = hlc_of(9, 200, 4);
    const struct fact f = make_fact(FACT_CELL, hlc_of(5, 1, 3));
    delta_writer_init(&w);
    delta_writer_add(&w, &out, &f);
    cr_assert(delta_writer_continues(&w, &f));
    delta_writer_finish(&w, &out);
    cr_assert_not(delta_writer_continues(&w, &f));
    delta_writer_watermark(&w, &out, &mark);
    read_back(&out, &b);
    cr_assert_eq(b.set_count, 2);
    cr_assert_eq(b.sets[1].fact_count, 0);
    cr_assert(site_id_eq(&b.sets[1].site, &mark.site));
    cr_assert(hlc_eq(&b.sets[1].hlc, &mark));
    batch_deinit(&b);

    buf_clear(&out);
    delta_writer_deinit(&w);
    delta_writer_init(&w);
    delta_writer_watermark(&w, &out, &mark);
    read_back(&out, &b);
    cr_assert_eq(b.set_count, 1);
    batch_deinit(&b);
    delta_writer_deinit(&w);
    buf_deinit(&out);
}

/* The caller empties the buffer whenever it likes; the pieces are the text. */
Test(delta_writer, a_delta_in_pieces_is_the_delta)
{
    uint64_t seed = 5;
    for (int round = 0; round < 300; round++) {
        struct fact facts[30];
        size_t count = (size_t)random_below(&seed, 30);
        uint64_t wall_ms = 1;
        uint32_t op_seq = 0;
        for (size_t i = 0; i < count; i++) {
            if (random_below(&seed, 3) == 0) wall_ms++;
            op_seq = random_below(&seed, 8) == 0 ? 0 : op_seq + 1;
            facts[i] = make_fact((enum fact_type)random_below(&seed, 3), hlc_of(wall_ms, 1, op_seq));
        }
        struct delta_writer w;
        struct buf piece = buf_make(1 << 16), whole = buf_make(1 << 16);
        delta_writer_init(&w);
        for (size_t i = 0; i < count; i++) {
            delta_writer_add(&w, &piece, &facts[i]);
            if (random_below(&seed, 3) > 0) continue;
            buf_put_slice(&whole, buf_slice(&piece));
            buf_clear(&piece);
        }
        delta_writer_finish(&w, &piece);
        buf_put_slice(&whole, buf_slice(&piece));

        struct batch b;
        read_back(&whole, &b);
        cr_assert_eq(b.fact_count, count);
        for (size_t s = 0; s < b.set_count; s++) {
            const struct change_set *set = &b.sets[s];
            cr_assert_gt(set->fact_count, 0u);
            for (size_t i = set->fact_first; i < set->fact_first + set->fact_count; i++) {
                const struct hlc *h = &b.facts[i].hlc;
                bool same_list = i > set->fact_first && (b.facts[i].type == FACT_MIGRATION) ==
                                                            (b.facts[i - 1].type == FACT_MIGRATION);
                cr_assert(hlc_same_transaction(h, &set->hlc) && hlc_cmp(h, &set->hlc) <= 0);
                if (same_list) cr_assert_leq(b.facts[i - 1].hlc.op_seq, h->op_seq);
            }
        }
        batch_deinit(&b);
        delta_writer_deinit(&w);
        buf_deinit(&piece);
        buf_deinit(&whole);
    }
}

Test(delta_writer, what_the_ceiling_refuses_is_told)
{
    struct delta_writer w;
    struct buf out = buf_make(300);
    const struct fact f = make_fact(FACT_MIGRATION, hlc_of(5, 1, 3));
    delta_writer_init(&w);
    for (int i = 0; i < 5; i++) delta_writer_add(&w, &out, &f);
    cr_assert_eq(out.failed, SYNC_OK, "migrations wait for the end of the set");
    delta_writer_finish(&w, &out);
    cr_assert_eq(out.failed, SYNC_ELIMIT);
    delta_writer_deinit(&w);
    buf_deinit(&out);
}
