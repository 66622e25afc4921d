#include "storage/sharedlog/log_names.h"

#include <inttypes.h>
#include <stdio.h>

enum { DIGITS = 20 };

void log_object_prefix(uint32_t partition, struct log_name *ret)
{
    (void)snprintf(ret->text, sizeof ret->text, "log/%" PRIu32 "/", partition);
}

void log_object_name(uint32_t partition, uint64_t number, struct log_name *ret)
{
    (void)snprintf(ret->text, sizeof ret->text, "log/%" PRIu32 "/%020" PRIu64, partition, number);
}

void log_segment_prefix(uint32_t partition, struct log_name *ret)
{
    (void)snprintf(ret->text, sizeof ret->text, "segment/%" PRIu32 "/", partition);
}

void log_segment_name(uint32_t partition, uint64_t first, uint64_t last, uint64_t generation,
                      struct log_name *ret)
{
    int n = snprintf(ret->text, sizeof ret->text, "segment/%" PRIu32 "/%020" PRIu64 "-%020" PRIu64, partition,
                     first, last);
    if (generation > 0)
        (void)snprintf(ret->text + n, sizeof ret->text - (size_t)n, "-%020" PRIu64, generation);
}

static bool take_prefix(struct slice *key, const struct log_name *prefix)
{
    struct slice p = log_name_slice(prefix);
    if (!slice_starts_with(*key, p)) return false;
    *key = slice_of(key->bytes + p.len, key->len - p.len);
    return true;
}

static bool take_number(struct slice *key, uint64_t *ret)
{
    uint64_t n = 0;
    if (key->len < DIGITS) return false;
    for (size_t i = 0; i < DIGITS; i++) {
        if (key->bytes[i] < '0' || key->bytes[i] > '9') return false;
        uint64_t digit = (uint64_t)(key->bytes[i] - '0');
        if (n > (UINT64_MAX - digit) / 10) return false;
        n = n * 10 + digit;
    }
    *key = slice_of(key->bytes + DIGITS, key->len - DIGITS);
    *ret = n;
    return n > 0;
}

bool log_object_parse(uint32_t partition, struct slice key, uint64_t *ret_number)
{
    struct log_name prefix;
    log_object_prefix(partition, &prefix);
    return take_prefix(&key, &prefix) && take_number(&key, ret_number) && key.len == 0;
}

static bool take_dash(struct slice *key)
{
    if (key->len == 0 || key->bytes[0] != '-') return false;
    *key = slice_of(key->bytes + 1, key->len - 1);
    return true;
}

bool log_segment_parse(uint32_t partition, struct slice key, uint64_t *ret_first, uint64_t *ret_last,
                       uint64_t *ret_generation)
{
    struct log_name prefix;
    log_segment_prefix(partition, &prefix);
    if (!take_prefix(&key, &prefix) || !take_number(&key, ret_first)) return false;
    if (!take_dash(&key) || !take_number(&key, ret_last) || *ret_first > *ret_last) return false;
    *ret_generation = 0;
    if (key.len > 0 && (!take_dash(&key) || !take_number(&key, ret_generation))) return false;
    return key.len == 0;
}

/* 64-bit FNV-1a, its halves folded, as a shard is chosen. */
uint32_t log_partition_of(struct slice database, uint32_t partitions)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < database.len; i++) h = (h ^ (uint8_t)database.bytes[i]) * 0x100000001b3u;
    return (uint32_t)((h ^ h >> 32) % partitions);
}
