/* source.h -- the unread rest of some stored bytes, for who takes them apart.
 *
 * The first thing that does not fit marks it bad, later reads give nothing, and whoever reads asks once, at
 * the end. Threads: one at a time. */
#ifndef STORAGE_RECORDS_SOURCE_H
#define STORAGE_RECORDS_SOURCE_H

#include "storage/records/keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source {
    const uint8_t *at;
    size_t left;
    bool bad;
};

static inline const uint8_t *source_take(struct source *s, size_t len)
{
    if (s->bad || len > s->left) {
        s->bad = true;
        return NULL;
    }
    const uint8_t *bytes = s->at;
    s->at += len;
    s->left -= len;
    return bytes;
}

static inline uint64_t source_take_be(struct source *s, int count)
{
    const uint8_t *bytes = source_take(s, (size_t)count);
    return bytes == NULL ? 0 : key_get_be(bytes, count);
}

#endif
