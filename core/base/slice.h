/* slice.h -- borrowed bytes: a pointer and a length, not zero terminated.
 *
 * A slice never owns. Whoever holds one keeps the bytes below it alive: the facts of a batch are slices of
 * the message that the batch owns, and do not outlive it. */
#ifndef CORE_BASE_SLICE_H
#define CORE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *bytes; /* may be NULL where len is 0 */
    size_t len;
};

/* For printf: printf("%.*s", SLICE_ARG(s)), of texts known to be short. */
#define SLICE_ARG(s) (int)(s).len, (s).bytes

static inline struct slice slice_of(const void *bytes, size_t len)
{
    return (struct slice){.bytes = (const char *)bytes, .len = len};
}

static inline struct slice slice_str(const char *text)
{
    return (struct slice){.bytes = text, .len = strlen(text)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
}

static inline bool slice_is(struct slice s, const char *text)
{
    return slice_eq(s, slice_str(text));
}

/* Bytewise order, a prefix before what it is a prefix of: the order of LevelDB's default comparator. */
static inline int slice_cmp(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n == 0 ? 0 : memcmp(a.bytes, b.bytes, n);
    if (c != 0) return c;
    return (a.len > b.len) - (a.len < b.len);
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.bytes, prefix.bytes, prefix.len) == 0);
}

/* Without the ASCII blanks (space, tab, line ends) at both ends. */
static inline struct slice slice_trim(struct slice s)
{
    while (s.len > 0 && (s.bytes[0] == ' ' || (s.bytes[0] >= '\t' && s.bytes[0] <= '\r')))
        s = slice_of(s.bytes + 1, s.len - 1);
    while (s.len > 0 &&
           (s.bytes[s.len - 1] == ' ' || (s.bytes[s.len - 1] >= '\t' && s.bytes[s.len - 1] <= '\r')))
        s.len--;
    return s;
}

#endif
