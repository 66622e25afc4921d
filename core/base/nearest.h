/* nearest.h -- which known name a misspelt one may have meant.
 *
 *     struct nearest n = nearest_to(given);
 *     for (...) nearest_offer(&n, name);
 *     if (n.name != NULL) "did you mean n.name?"
 *
 * Pure. */
#ifndef CORE_BASE_NEAREST_H
#define CORE_BASE_NEAREST_H

#include "core/base/slice.h"

enum { NEAREST_BYTES_MAX = 64 }; /* longer texts are near to nothing */

struct nearest {
    struct slice given;
    const char *name; /* NULL while nothing is near */
    size_t distance;
};

struct nearest nearest_to(struct slice given);

/* Keeps `name` when it is near and nearer than what was offered before. It is borrowed. */
void nearest_offer(struct nearest *n, const char *name);

/* Typing errors between two texts: characters missing, too many, wrong, or exchanged with their neighbour.
 * Upper and lower case count as equal. NEAREST_BYTES_MAX + 1 when either is longer than NEAREST_BYTES_MAX. */
size_t edit_distance(struct slice a, struct slice b);

#endif
