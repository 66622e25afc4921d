/* heartbeat.h -- when the next heartbeat is due, so that instances started together do not stay in step.
 *
 * Pure: randomness is an argument. */
#ifndef CORE_ELECTION_HEARTBEAT_H
#define CORE_ELECTION_HEARTBEAT_H

#include <stdint.h>

/* `interval_ms` from now, less up to `jitter_ms`: never later than the interval, which others rely on. At
 * least 1 ms from now. */
uint64_t heartbeat_within(uint64_t now_ms, uint32_t interval_ms, uint32_t jitter_ms, uint64_t random);

/* `interval_ms` from now, plus up to `jitter_ms`. */
uint64_t heartbeat_after(uint64_t now_ms, uint32_t interval_ms, uint32_t jitter_ms, uint64_t random);

#endif
