/* hash.h -- a fast hash for tables in memory. Seeded with a random number, so that nobody outside can choose
 * keys that fall together. Not stable: nothing that is stored may depend on it. */
#ifndef CORE_BASE_HASH_H
#define CORE_BASE_HASH_H

#include "core/base/slice.h"

#include <stdint.h>

/* The 128-bit product, folded: every bit of both sides reaches every bit of the result. */
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_bytes(uint64_t seed, struct slice s)
{
    static const uint64_t odd = 0x9e3779b97f4a7c15u;
    uint64_t h = seed ^ s.len * odd;
    const char *at = s.bytes;
    size_t left = s.len;
    for (; left >= 8; at += 8, left -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        h = hash_mix(h ^ word, odd);
    }
    uint64_t last = 0;
    if (left > 0) memcpy(&last, at, left);
    return hash_mix(h ^ last, odd ^ seed);
}

#endif
