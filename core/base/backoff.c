#include "core/base/backoff.h"

#include <assert.h>

uint64_t backoff_ms(const struct backoff_config *cfg, uint32_t repeat, uint64_t random)
{
    assert(repeat >= 1);
    uint64_t top_ms = cfg->cap_ms;
    if (repeat <= 32) { /* later ones are at the cap for every base but 0, which is 0 anyhow */
        uint64_t grown_ms = (uint64_t)cfg->base_ms << (repeat - 1);
        if (grown_ms < top_ms) top_ms = grown_ms;
    } else if (cfg->base_ms == 0) {
        top_ms = 0;
    }
    return random % (top_ms + 1);
}
