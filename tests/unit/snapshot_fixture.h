/* snapshot_fixture.h -- snapshots read to their end, checked and printed, for tests.
 *
 * Every chunk must be JSON, of the known types, in the protocol's order, within its bounds, and the totals
 * must agree with what was sent; what is wrong ends the test. What came is kept as lines:
 *
 *     migration {"type":...}
 *     table main t 3              table-start, with the estimate
 *     cell main t [1] c 5 HLC     with the texts as they came, names without quotes
 *     tombstone main t [1] HLC CREATED [prior row]
 */
#ifndef TESTS_SNAPSHOT_FIXTURE_H
#define TESTS_SNAPSHOT_FIXTURE_H

#include "storage/views/snapshot_reader.h"

struct snapshot_seen {
    struct buf lines;
    char id[SNAPSHOT_ID_TEXT_MAX + 1]; /* of the header */
    struct site_id site;
    struct hlc hlc;
    uint64_t table_count, migration_count; /* as the header says */
    uint64_t tables, cells, tombstones, chunks;
    uint64_t total_entries; /* as the footer says */
    size_t chunk_bytes_max, chunk_entries_max;
};

/* `then`, if any, is called between two chunks. Free ret->lines with buf_deinit(). */
void snapshot_read(struct shard *sh, const char *database, const struct checkpoint *resume,
                   void (*then)(void *arg), void *arg, struct snapshot_seen *ret);

#endif
