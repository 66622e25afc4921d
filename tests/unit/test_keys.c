#include "storage/records/keys.h"

#include "facts.h"
#include "random.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* A fact whose key is three parts of these lengths, filled so that many are equal or nearly so. */
static struct fact random_fact(uint64_t *seed, enum fact_type type, char *bytes, size_t room)
{
    static const size_t lens[] = {0, 1, 254, 255};
    struct fact f = {.type = type};
    size_t at = 0;
    for (int part = 0; part < 3; part++) {
        size_t len = lens[random_below(seed, sizeof lens / sizeof lens[0])];
        cr_assert(at + len <= room);
        memset(bytes + at, (int)(254 + random_below(seed, 2)), len);
        if (len > 0 && random_below(seed, 8) == 0) bytes[at + len - 1] = 0; /* nearly the same */
        at += len;
        if (part == 0) f.table_key_len = (uint32_t)at;
        if (part < 2) f.row_key_len = (uint32_t)at;
    }
    f.key = slice_of(bytes, at);
    if (type == FACT_DELETE) f.key.len = f.row_key_len;
    if (type == FACT_MIGRATION) f.row_key_len = f.table_key_len;
    f.hlc.wall_ms = random_below(seed, 2);
    return f;
}

static struct key key_of(uint32_t database, const struct fact *f, uint32_t *ret_row_len, bool *ret_whole)
{
    struct key k;
    struct err_ctx ec;
    cr_assert_eq(key_fact(database, f, &k, ret_row_len, ret_whole, &ec), SYNC_OK);
    cr_assert_leq(k.len, KEY_BYTES_MAX);
    return k;
}

static bool same_identity(const struct fact *a, const struct fact *b)
{
    return a->type == b->type && slice_eq(a->key, b->key) && a->table_key_len == b->table_key_len &&
           a->row_key_len == b->row_key_len && (a->type != FACT_MIGRATION || hlc_eq(&a->hlc, &b->hlc));
}

Test(keys, are_equal_exactly_when_identities_are)
{
    uint64_t seed = 5;
    static char bytes[2][4096];
    uint32_t row_len;
    bool whole;
    int equal = 0;
    for (int i = 0; i < 20000; i++) {
        struct fact a = random_fact(&seed, (enum fact_type)random_below(&seed, 3), bytes[0], 4096);
        struct fact b = random_fact(&seed, (enum fact_type)random_below(&seed, 3), bytes[1], 4096);
        uint32_t other = (uint32_t)random_below(&seed, 2);
        struct key ka = key_of(7, &a, &row_len, &whole), kb = key_of(7 + other, &b, &row_len, &whole);
        bool same = same_identity(&a, &b) && other == 0;
        cr_assert_eq(slice_eq(key_slice(&ka), key_slice(&kb)), same, "pair %d", i);
        equal += same;
    }
    cr_assert_gt(equal, 10, "the test compares equal ones too");
}

Test(keys, a_rows_key_is_the_prefix_of_its_own_cells_and_of_nothing_else)
{
    uint64_t seed = 6;
    static char bytes[2][4096];
    bool whole;
    for (int i = 0; i < 20000; i++) {
        struct fact a = random_fact(&seed, FACT_CELL, bytes[0], 4096);
        struct fact b = random_fact(&seed, FACT_CELL, bytes[1], 4096);
        uint32_t a_row, b_row;
        struct key ka = key_of(7, &a, &a_row, &whole), kb = key_of(7, &b, &b_row, &whole), row;
        struct err_ctx ec;
        cr_assert_eq(key_row(7, KEY_CELL, fact_row_key(&a), a.table_key_len, &row, &ec), SYNC_OK);
        cr_assert(slice_eq(key_slice(&row), slice_of(ka.bytes, a_row)));
        bool same = a.table_key_len == b.table_key_len && slice_eq(fact_row_key(&a), fact_row_key(&b));
        cr_assert_eq(slice_starts_with(key_slice(&kb), key_slice(&row)), same, "pair %d", i);
    }
}

Test(keys, come_apart_into_what_they_were_made_of_unless_something_was_hashed)
{
    uint64_t seed = 7;
    static char bytes[4096];
    for (int i = 0; i < 20000; i++) {
        enum fact_type type = (enum fact_type)random_below(&seed, 3);
        static const enum key_kind kinds[] = {KEY_CELL, KEY_TOMBSTONE, KEY_MIGRATION};
        struct fact f = random_fact(&seed, type, bytes, sizeof bytes);
        struct key_parts parts;
        uint32_t row_len;
        bool whole;
        struct key k = key_of(7, &f, &row_len, &whole);
        struct slice rest = slice_of(k.bytes + KEY_HEAD_BYTES, k.len - KEY_HEAD_BYTES);
        cr_assert(key_parse_parts(kinds[type], rest, &parts));
        cr_assert_eq(parts.whole, whole);
        if (whole) cr_assert_eq(parts.table.len + parts.row.len + parts.column.len, f.key.len);
        if (whole) cr_assert(slice_eq(parts.table, fact_table_key(&f)));
        rest.len--;
        cr_assert_not(key_parse_parts(kinds[type], rest, &parts), "cut short");
    }
}

Test(keys, of_the_log_sort_like_stamps)
{
    uint64_t seed = 8;
    for (int i = 0; i < 20000; i++) {
        struct stamp s[2], back;
        struct key k[2];
        for (int j = 0; j < 2; j++) {
            s[j] = (struct stamp){.wall_ms = random_below(&seed, 3) * 255,
                                  .counter = (uint16_t)(random_below(&seed, 3) * 255),
                                  .op_seq = (uint32_t)(random_below(&seed, 3) * 255)};
            key_log(9, &s[j], &k[j]);
            cr_assert(
                key_parse_stamp(slice_of(k[j].bytes + KEY_HEAD_BYTES, k[j].len - KEY_HEAD_BYTES), &back));
            cr_assert_eq(stamp_cmp(&back, &s[j]), 0);
        }
        int c = slice_cmp(key_slice(&k[0]), key_slice(&k[1])), d = stamp_cmp(&s[0], &s[1]);
        cr_assert((c < 0) == (d < 0) && (c > 0) == (d > 0));
    }
}

Test(keys, of_migrations_sort_by_hlc)
{
    struct batch b = facts_batch();
    facts_migration(&b, facts_hlc(255, 0, 'z', 0), "zzz", MIGRATION_ADD_COLUMN, "9", "\"\"");
    facts_migration(&b, facts_hlc(256, 0, 'a', 0), "a", MIGRATION_ADD_COLUMN, "1", "\"\"");
    uint32_t row_len;
    bool whole;
    struct key early = key_of(1, &b.facts[0], &row_len, &whole);
    struct key late = key_of(1, &b.facts[1], &row_len, &whole);
    cr_assert_lt(slice_cmp(key_slice(&early), key_slice(&late)), 0);
    batch_deinit(&b);
}

Test(keys, the_key_after_a_prefix_is_above_all_with_it_and_below_the_next)
{
    struct key k = {.len = 4, .bytes = {1, 2, 0xff, 0xff}};
    key_after_prefix(&k);
    cr_assert(k.len == 2 && k.bytes[0] == 1 && k.bytes[1] == 3);
}
