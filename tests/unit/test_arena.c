#include "core/base/arena.h"

#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <stdalign.h>
#include <stdint.h>

Test(arena, an_empty_one_needs_nothing)
{
    struct arena a = {0};
    arena_deinit(&a);
    arena_deinit(&a);
    cr_assert_eq(a.bytes, 0);
}

Test(arena, what_it_hands_out_is_aligned_apart_and_stays)
{
    enum { COUNT = 2000 };
    static struct {
        uint8_t *bytes;
        size_t len;
    } pieces[COUNT];
    struct arena a = {0};
    uint64_t seed = 3;
    for (size_t i = 0; i < COUNT; i++) {
        pieces[i].len = (size_t)random_below(&seed, random_below(&seed, 50) == 0 ? 20000 : 100);
        pieces[i].bytes = arena_get(&a, pieces[i].len);
        cr_assert_not_null(pieces[i].bytes);
        cr_assert_eq((uintptr_t)pieces[i].bytes % alignof(max_align_t), 0);
        memset(pieces[i].bytes, (int)(i % 251), pieces[i].len);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < pieces[i].len; k++) cr_assert_eq(pieces[i].bytes[k], i % 251, "piece %zu", i);
    arena_deinit(&a);
}

Test(arena, takes_sizes_around_those_of_its_blocks)
{
    for (size_t len = 4000; len < 4200; len++) {
        struct arena a = {0};
        for (int i = 0; i < 3; i++) {
            char *bytes = arena_get(&a, len);
            cr_assert_not_null(bytes);
            memset(bytes, i, len);
        }
        cr_assert_geq(a.bytes, 3 * len);
        arena_deinit(&a);
    }
}

Test(arena, sizes_that_would_wrap_are_refused)
{
    struct arena a = {0};
    cr_assert_null(arena_get(&a, SIZE_MAX));
    cr_assert_null(arena_get(&a, SIZE_MAX - 15));
    cr_assert_null(arena_get(&a, SIZE_MAX - 16));
    cr_assert_not_null(arena_get(&a, 1), "and it goes on");
    arena_deinit(&a);
}

Test(arena, copies_live_on_their_own)
{
    struct arena a = {0};
    char text[] = "abc";
    struct slice copy = arena_copy(&a, slice_str(text));
    text[0] = 'x';
    cr_assert(slice_is(copy, "abc"));
    cr_assert_eq(arena_copy(&a, slice_of(NULL, 0)).len, 0);
    cr_assert_eq(arena_copy(&a, slice_of(text, 0)).len, 0);
    arena_deinit(&a);
}

Test(arena, blocks_grow_so_that_many_pieces_make_few)
{
    struct arena a = {0};
    size_t before = 0, blocks = 0;
    for (int i = 0; i < 100000; i++) {
        cr_assert_not_null(arena_get(&a, 100));
        blocks += a.bytes != before;
        before = a.bytes;
    }
    cr_assert_leq(blocks, 14u);
    cr_assert_leq(a.bytes, (size_t)4 * 100000 * 112);
    arena_deinit(&a);
}
