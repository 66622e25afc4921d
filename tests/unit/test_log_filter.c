#include "core/log/log_filter.h"

#include <criterion/criterion.h>

static bool match(const char *patterns, const char *name)
{
    return log_filter_match(slice_str(patterns), slice_str(name));
}

Test(log_filter, patterns_choose_as_the_debug_package_does)
{
    static const struct {
        const char *patterns, *name;
        bool chosen;
    } cases[] = {
        {"", "a:b", false},
        {"a:b", "a:b", true},
        {"a:b", "a:bc", false},
        {"a:b", "a", false},
        {"A:B", "a:b", false},
        {"*", "a:b", true},
        {"*", "", true},
        {"a:*", "a:b", true},
        {"a:*", "a:", true},
        {"a:*", "a", false},
        {"a:*", "b:a:c", false},
        {"*:b", "a:b", true},
        {"*:b", "a:b:b", true},
        {"*b*", "abc", true},
        {"*b*", "ac", false},
        {"a*c*e", "abcde", true},
        {"a*c*e", "abcdef", false},
        {"a*b*ab", "aabab", true},
        {"a**b", "ab", true},
        {"**", "x", true},
        {"x,a:b", "a:b", true},
        {"x a:b", "a:b", true},
        {" ,, x,\ta:b ,", "a:b", true},
        {"*,-a:b", "a:b", false},
        {"-a:b,*", "a:b", false}, /* an exclusion wins wherever it stands */
        {"-a:b *", "a:c", true},
        {"-a:*,a:b", "a:b", false},
        {"-a:b", "a:c", false}, /* only exclusions choose nothing */
        {"-", "a:b", false},
        {"*,-", "a:b", true},
        {"*,--a:b", "a:b", true},
        {"sync-coordinator:*", "sync-coordinator:ws", true}, /* a dash inside excludes nothing */
        {"sync-coordinator:ws,sync-coordinator:auth", "sync-coordinator:auth", true},
        {"sync-coordinator:ws,sync-coordinator:auth", "sync-coordinator:http", false},
        {"sync-coordinator:ws*", "sync-coordinator:ws", true},
        {"a.b", "axb", false}, /* nothing but the star is special */
        {"[a]", "a", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(match(cases[i].patterns, cases[i].name), cases[i].chosen, "\"%s\" and \"%s\"",
                     cases[i].patterns, cases[i].name);
}

Test(log_filter, many_stars_end_soon)
{
    char pattern[2001], name[2001];
    for (size_t i = 0; i < 2000; i++) {
        pattern[i] = i % 2 == 0 ? '*' : 'a';
        name[i] = 'a';
    }
    pattern[1999] = 'b';
    pattern[2000] = name[2000] = '\0';
    cr_assert_not(match(pattern, name));
    pattern[1999] = 'a';
    cr_assert(match(pattern, name));
}
