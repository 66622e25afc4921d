#include "core/base/nearest.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Row i, column j of the usual table: errors between the first i characters of a and the first j of b. Three
 * rows are enough, since an exchange looks back two. */
size_t edit_distance(struct slice a, struct slice b)
{
    if (a.len > NEAREST_BYTES_MAX || b.len > NEAREST_BYTES_MAX) return NEAREST_BYTES_MAX + 1;
    size_t rows[3][NEAREST_BYTES_MAX + 1];
    for (size_t j = 0; j <= b.len; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *row = rows[i % 3];
        const size_t *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            char x = lower(a.bytes[i - 1]), y = lower(b.bytes[j - 1]);
            row[j] = least(before[j - 1] + (x != y), least(before[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && x == lower(b.bytes[j - 2]) && y == lower(a.bytes[i - 2]))
                row[j] = least(row[j], two_before[j - 2] + 1);
        }
    }
    return rows[a.len % 3][b.len];
}

struct nearest nearest_to(struct slice given)
{
    return (struct nearest){.given = given, .distance = 1 + least(given.len / 4, 3)};
}

void nearest_offer(struct nearest *n, const char *name)
{
    size_t distance = edit_distance(n->given, slice_str(name));
    if (distance > n->distance || (distance == n->distance && n->name != NULL)) return;
    n->name = name;
    n->distance = distance;
}
