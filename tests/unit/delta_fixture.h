/* delta_fixture.h -- deltas read to their end and printed, for tests.
 *
 * A reply is read back with core's own reader of ChangeSets, each set is checked for what the protocol says
 * of all of them, and printed: a line "set TRANSACTION OPSEQ", then its facts as model_print() prints them
 * with a stamp of zero, changes first. What is wrong ends the test. */
#ifndef TESTS_DELTA_FIXTURE_H
#define TESTS_DELTA_FIXTURE_H

#include "storage/views/delta_reader.h"

/* since NULL: none. The asker's site id begins with that byte. */
struct delta_request delta_request_of(const char *database, char asker, const struct hlc *since);

/* Appends the sets of a reply, but for the one at its end that only carries the watermark. */
void delta_print(struct buf *out, const struct buf *reply, const struct delta_status *status);

/* Reads a page in pieces and appends it to out. `then`, if any, is called after each piece. */
struct delta_status delta_read_page(struct shard *sh, const struct delta_request *q, size_t piece_bytes,
                                    struct buf *out, void (*then)(void *arg), void *arg);

#endif
