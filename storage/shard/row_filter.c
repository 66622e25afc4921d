#include "storage/shard/row_filter.h"

#include "core/base/hash.h"
#include "storage/records/keys.h"

#include <stdlib.h>

enum {
    BLOCK_WORDS = 8,   /* a cache line: a question reads one in each stage */
    BITS_PER_ROW = 12, /* with PROBES, about 1 of 100 rows that are not there looks as if it were */
    PROBES = 6,
};

static size_t stage_bytes(size_t stage)
{
    return (size_t)ROW_FILTER_FIRST_BYTES << 2 * stage;
}

static size_t stage_rows_max(size_t stage)
{
    return stage_bytes(stage) * 8 / BITS_PER_ROW;
}

void row_filter_init(struct row_filter *f, uint64_t seed)
{
    *f = (struct row_filter){.seed = seed, .generation = 1};
}

void row_filter_deinit(struct row_filter *f)
{
    for (size_t i = 0; i < f->stage_count; i++) free(f->stages[i]);
    f->stage_count = f->row_count = 0;
}

/* One hash for a row's cells and its tombstone: of all that their keys share. */
static uint64_t hash_of(const struct row_filter *f, struct slice row)
{
    uint64_t number = key_get_be((const uint8_t *)row.bytes, KEY_HEAD_BYTES - 1);
    return hash_bytes(hash_mix(f->seed, number + 1),
                      slice_of(row.bytes + KEY_HEAD_BYTES, row.len - KEY_HEAD_BYTES));
}

static uint64_t *block_of(const struct row_filter *f, size_t stage, uint64_t hash)
{
    size_t count = stage_bytes(stage) / (BLOCK_WORDS * sizeof(uint64_t));
    return f->stages[stage] + (hash >> 32) % count * BLOCK_WORDS;
}

static bool stage_has(const struct row_filter *f, size_t stage, uint64_t hash)
{
    const uint64_t *block = block_of(f, stage, hash);
    uint64_t bits = hash_mix(hash, f->seed | 1);
    for (int i = 0; i < PROBES; i++, bits >>= 9)
        if ((block[bits >> 6 & (BLOCK_WORDS - 1)] >> (bits & 63) & 1) == 0) return false;
    return true;
}

static void stage_put(struct row_filter *f, size_t stage, uint64_t hash)
{
    uint64_t *block = block_of(f, stage, hash), bits = hash_mix(hash, f->seed | 1);
    for (int i = 0; i < PROBES; i++, bits >>= 9)
        block[bits >> 6 & (BLOCK_WORDS - 1)] |= (uint64_t)1 << (bits & 63);
}

static bool has(const struct row_filter *f, uint64_t hash)
{
    for (size_t i = f->stage_count; i-- > 0;)
        if (stage_has(f, i, hash)) return true;
    return false;
}

static bool make_room(struct row_filter *f)
{
    if (f->stage_count > 0 && f->row_count < stage_rows_max(f->stage_count - 1)) return true;
    if (f->stage_count == ROW_FILTER_STAGES) return false;
    uint64_t *stage = calloc(1, stage_bytes(f->stage_count));
    if (stage == NULL) return false;
    f->stages[f->stage_count++] = stage;
    f->row_count = 0;
    return true;
}

void row_filter_add(struct row_filter *f, struct slice key)
{
    struct slice row = key_row_of(key);
    if (row.len == 0) return;
    uint64_t hash = hash_of(f, row);
    if (has(f, hash)) return;
    if (!make_room(f)) {
        row_filter_deinit(f);
        f->generation += f->generation == UINT32_MAX ? 2 : 1;
        return;
    }
    stage_put(f, f->stage_count - 1, hash);
    f->row_count++;
}

bool row_filter_may_have(const struct row_filter *f, struct slice key)
{
    return has(f, hash_of(f, key_row_of(key)));
}
