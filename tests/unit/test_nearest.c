#include "core/base/nearest.h"

#include <criterion/criterion.h>

static size_t distance(const char *a, const char *b)
{
    size_t there = edit_distance(slice_str(a), slice_str(b));
    cr_assert_eq(there, edit_distance(slice_str(b), slice_str(a)), "%s, %s", a, b);
    return there;
}

Test(nearest, distance_counts_typing_errors)
{
    cr_assert_eq(distance("", ""), 0);
    cr_assert_eq(distance("port", "port"), 0);
    cr_assert_eq(distance("port", "PORT"), 0);
    cr_assert_eq(distance("", "port"), 4);
    cr_assert_eq(distance("port", "prot"), 1, "an exchange is one error");
    cr_assert_eq(distance("port", "pot"), 1);
    cr_assert_eq(distance("port", "sport"), 1);
    cr_assert_eq(distance("port", "pork"), 1);
    cr_assert_eq(distance("base-path", "basepath"), 1);
    cr_assert_eq(distance("kitten", "sitting"), 3);
    cr_assert_eq(distance("abcd", "dcba"), 3);
}

Test(nearest, long_texts_are_near_to_nothing)
{
    char longest[NEAREST_BYTES_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[NEAREST_BYTES_MAX] = '\0';
    cr_assert_eq(distance(longest, ""), NEAREST_BYTES_MAX);
    longest[NEAREST_BYTES_MAX] = 'a';
    longest[NEAREST_BYTES_MAX + 1] = '\0';
    cr_assert_eq(distance(longest, "a"), NEAREST_BYTES_MAX + 1);
}

Test(nearest, the_nearest_of_the_near_ones_wins_and_far_ones_never)
{
    struct nearest n = nearest_to(slice_str("hots"));
    cr_assert_null(n.name);
    nearest_offer(&n, "durability");
    cr_assert_null(n.name);
    nearest_offer(&n, "hut");
    cr_assert_str_eq(n.name, "hut");
    nearest_offer(&n, "host");
    cr_assert_str_eq(n.name, "host");
    nearest_offer(&n, "pots");
    cr_assert_str_eq(n.name, "host", "the first of two equally near ones stays");
}
