#include "core/election/heartbeat.h"

static uint32_t draw(uint32_t jitter_ms, uint64_t random)
{
    return (uint32_t)(random % ((uint64_t)jitter_ms + 1)); /* so short a range: the bias does not matter */
}

uint64_t heartbeat_within(uint64_t now_ms, uint32_t interval_ms, uint32_t jitter_ms, uint64_t random)
{
    uint32_t less = draw(jitter_ms, random);
    return now_ms + (less < interval_ms ? interval_ms - less : 1);
}

uint64_t heartbeat_after(uint64_t now_ms, uint32_t interval_ms, uint32_t jitter_ms, uint64_t random)
{
    return now_ms + interval_ms + draw(jitter_ms, random);
}
