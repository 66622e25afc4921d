/* fence.h -- keeps the writes of a leader that is no more from landing behind its successor's.
 *
 * A leader that asked "may I lead" and was then stopped writes late. So every object that tasks write carries
 * the epoch of its last writer, and is written by: read it, ask fence_admits(), replace exactly what was read
 * (if the ETag matches; create if absent). Then the epochs of one object never go back:
 *   - a writer of epoch n that read epoch m > n is turned away here,
 *   - one that read m <= n, while somebody of m' > n wrote in between, holds an ETag that no longer matches.
 * Objects whose key holds the epoch need no fence: an old leader writes beside the new one's, not over it.
 *
 * Pure. */
#ifndef CORE_ELECTION_FENCE_H
#define CORE_ELECTION_FENCE_H

#include <stdbool.h>
#include <stdint.h>

/* May a writer of `epoch` replace what a writer of `stored_epoch` left? stored_epoch 0: there is nothing
 * yet. */
static inline bool fence_admits(uint64_t stored_epoch, uint64_t epoch)
{
    return epoch > 0 && stored_epoch <= epoch;
}

#endif
