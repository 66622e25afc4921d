#include "core/log/log_filter.h"

/* Does the whole name fit? Where it does not, the last `*` takes one character more: at most
 * pattern.len * name.len steps. */
static bool glob_match(struct slice pattern, struct slice name)
{
    size_t p = 0, n = 0;
    bool starred = false;
    size_t after_star = 0, star_end = 0; /* pattern behind the last `*`; where what it stands for ends */
    while (n < name.len) {
        if (p < pattern.len && pattern.bytes[p] == '*') {
            starred = true;
            after_star = ++p;
            star_end = n;
        } else if (p < pattern.len && pattern.bytes[p] == name.bytes[n]) {
            p++;
            n++;
        } else if (starred) {
            p = after_star;
            n = ++star_end;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.bytes[p] == '*') p++;
    return p == pattern.len;
}

static bool is_separator(char c)
{
    return c == ',' || c == ' ' || (c >= '\t' && c <= '\r');
}

bool log_filter_match(struct slice patterns, struct slice name)
{
    bool included = false;
    for (size_t at = 0; at < patterns.len;) {
        size_t first = at;
        while (at < patterns.len && !is_separator(patterns.bytes[at])) at++;
        struct slice pattern = slice_of(patterns.bytes + first, at - first);
        if (at < patterns.len) at++;
        if (pattern.len == 0) continue;
        if (pattern.bytes[0] == '-') {
            if (glob_match(slice_of(pattern.bytes + 1, pattern.len - 1), name)) return false;
        } else if (!included) {
            included = glob_match(pattern, name);
        }
    }
    return included;
}
