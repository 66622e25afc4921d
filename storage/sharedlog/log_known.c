#include "storage/sharedlog/log_known.h"

#include "core/base/hash.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { HASHES = 7, WORD_BITS = 64 };

struct log_known {
    _Atomic uint64_t *words;
    uint64_t bits; /* a power of two */
    atomic_bool filled;
};

enum sync_err log_known_new(size_t bytes, struct log_known **ret, struct err_ctx *ec)
{
    size_t words = 8;
    while (words <= bytes / sizeof(uint64_t) / 2) words *= 2;
    struct log_known *k = calloc(1, sizeof *k);
    if (k != NULL) k->words = calloc(words, sizeof *k->words);
    if (k == NULL || k->words == NULL) {
        log_known_free(k);
        return err_set(ec, SYNC_ENOMEM, "no memory to remember which databases are in the shared log");
    }
    k->bits = words * WORD_BITS;
    *ret = k;
    return SYNC_OK;
}

void log_known_free(struct log_known *k)
{
    if (k == NULL) return;
    free((void *)k->words);
    free(k);
}

/* The i-th bit of a database: two hashes make as many as are needed. */
static uint64_t bit_of(const struct log_known *k, uint64_t first, uint64_t second, uint64_t i)
{
    return (first + i * second) & (k->bits - 1);
}

static uint64_t second_hash(struct slice database)
{
    return hash_bytes(0xa0761d6478bd642fu, database) | 1; /* odd: all bits are reached */
}

void log_known_add(struct log_known *k, struct slice database)
{
    if (k == NULL) return;
    uint64_t first = hash_bytes(0, database), second = second_hash(database);
    for (uint64_t i = 0; i < HASHES; i++) {
        uint64_t bit = bit_of(k, first, second, i);
        atomic_fetch_or(&k->words[bit / WORD_BITS], UINT64_C(1) << bit % WORD_BITS);
    }
}

bool log_known_may_have(struct log_known *k, struct slice database)
{
    if (k == NULL || !atomic_load(&k->filled)) return true;
    uint64_t first = hash_bytes(0, database), second = second_hash(database);
    for (uint64_t i = 0; i < HASHES; i++) {
        uint64_t bit = bit_of(k, first, second, i);
        if ((atomic_load(&k->words[bit / WORD_BITS]) >> bit % WORD_BITS & 1) == 0) return false;
    }
    return true;
}

enum sync_err log_known_fill(struct log_known *k, struct object_store *s, const struct object_call *call,
                             uint32_t partition, struct err_ctx *ec)
{
    struct log_list list;
    enum sync_err rc = log_list_read(s, call, partition, &list, ec);
    if (rc != SYNC_OK) return rc;
    for (size_t i = 0; i < list.count && rc == SYNC_OK; i++) {
        struct arena arena = {0};
        struct log_head head;
        struct log_section *sections;
        size_t count;
        uint32_t head_bytes;
        rc = log_part_head(s, call, partition, &list.parts[i], &arena, &head, &sections, &count, &head_bytes,
                           ec);
        for (size_t n = 0; rc == SYNC_OK && n < count; n++) log_known_add(k, sections[n].database);
        arena_deinit(&arena);
    }
    log_list_deinit(&list);
    if (rc == SYNC_OK) atomic_store(&k->filled, true);
    return rc;
}
