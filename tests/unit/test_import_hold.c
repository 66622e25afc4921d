#include "storage/shard/import_hold.h"

#include "storage/records/record.h"

#include "facts.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const uint64_t seed = 1;

Test(import_hold, each_database_has_its_own)
{
    struct import_holds l = {0};
    struct import_hold *one = import_hold_add(&l, 1, seed), *two = import_hold_add(&l, 2, seed),
                       *three = import_hold_add(&l, 3, seed);
    cr_assert(one != NULL && two != NULL && three != NULL);
    cr_assert_eq(import_hold_find(&l, 1), one);
    cr_assert_eq(import_hold_find(&l, 2), two);
    import_hold_drop(&l, 2);
    import_hold_drop(&l, 2);
    import_hold_drop(&l, 9);
    cr_assert_null(import_hold_find(&l, 2));
    cr_assert_eq(import_hold_find(&l, 3), three);
    import_holds_deinit(&l);
    cr_assert_null(l.first);
}

/* How many facts with a value of so many bytes fill it. */
static size_t facts_until_full(size_t value_bytes, size_t write_buffer_bytes)
{
    struct import_holds l = {0};
    struct import_hold *h = import_hold_add(&l, 1, seed);
    struct batch b = facts_batch();
    char *value = malloc(value_bytes + 1);
    size_t count = 0;
    memset(value, '7', value_bytes);
    value[value_bytes] = '\0';
    facts_cell(&b, facts_hlc(5, 0, 'a', 0), "t", "[1]", "c", value);
    while (!import_hold_is_full(h, write_buffer_bytes)) {
        import_hold_count(h, &b.facts[0]);
        count++;
    }
    import_hold_clear(h);
    cr_assert_not(import_hold_is_full(h, write_buffer_bytes));
    free(value);
    batch_deinit(&b);
    import_holds_deinit(&l);
    return count;
}

Test(import_hold, it_is_full_when_its_log_entries_alone_fill_a_memtable)
{
    static const size_t buffer = 4 << 20;
    for (size_t bytes = 1; bytes <= RECORD_INLINE_BYTES_MAX / 2; bytes *= 4) {
        size_t count = facts_until_full(bytes, buffer);
        cr_assert_gt(count * (bytes + 120), buffer, "%zu facts of %zu bytes", count, bytes);
        cr_assert_lt(count * bytes, 2 * buffer, "%zu facts of %zu bytes", count, bytes);
    }
}

/* Those whose log entries only point to them, and a write buffer that would take any amount. */
Test(import_hold, its_memory_is_bounded_whatever_comes)
{
    size_t large = facts_until_full(RECORD_INLINE_BYTES_MAX * 2, 4 << 20);
    cr_assert_lt(large * RECORD_INLINE_BYTES_MAX * 2, IMPORT_HOLD_BYTES_MAX + RECORD_INLINE_BYTES_MAX * 3);
    size_t any = facts_until_full(100, 1 << 30);
    cr_assert_lt(any * 2 * 100, IMPORT_HOLD_BYTES_MAX);
}
