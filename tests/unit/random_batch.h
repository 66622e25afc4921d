/* random_batch.h -- batches by seed, made so that their facts meet.
 *
 * Few tables, rows, columns and clock values at a time, which move on slowly with `epoch`, so that rows are
 * written, overwritten, deleted and left behind. Facts of one key and HLC are copies of one another. Names
 * and values come short, too long for a key and too long for the log. */
#ifndef TESTS_RANDOM_BATCH_H
#define TESTS_RANDOM_BATCH_H

#include "core/facts/batch.h"

#include <stdint.h>

/* server_site: some facts claim to be the server's own. Free it with batch_deinit(). */
struct batch random_batch(uint64_t *seed, uint64_t epoch, const struct site_id *server_site);

#endif
