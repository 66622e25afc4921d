/* snapshot_writer.h -- the chunks of a snapshot (protocol section 7), one JSON object each.
 *
 * Entries of a column-versions or tombstone chunk are appended one by one between begin and end; how many
 * and how large a chunk gets is the caller's choice within SNAPSHOT_CHUNK_ENTRIES_MAX.
 *
 * Pure. */
#ifndef CORE_PROTOCOL_SNAPSHOT_WRITER_H
#define CORE_PROTOCOL_SNAPSHOT_WRITER_H

#include "core/base/buf.h"
#include "core/facts/fact.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SNAPSHOT_FORMAT = 1,
    SNAPSHOT_CHUNK_ENTRIES_MAX = 1000, /* the protocol's */
};

struct snapshot_header {
    struct slice snapshot_id; /* inside of a JSON string */
    struct site_id site;
    struct hlc hlc;
    uint64_t table_count, migration_count;
};

void snapshot_put_header(struct buf *out, const struct snapshot_header *h);
void snapshot_put_migration(struct buf *out, const struct fact *migration);
void snapshot_put_table_start(struct buf *out, const struct fact *any_of_table, uint64_t estimated_entries);
void snapshot_put_table_end(struct buf *out, struct slice schema, struct slice table, uint64_t entries);
void snapshot_put_footer(struct buf *out, struct slice snapshot_id, uint64_t tables, uint64_t entries,
                         uint64_t migrations);

/* A chunk with entries: begin, then entries, then end. */
void snapshot_begin_entries(struct buf *out, const struct fact *first);
void snapshot_put_cell(struct buf *out, const struct fact *cell, bool first);
void snapshot_put_tombstone(struct buf *out, const struct fact *del, uint64_t created_ms, bool first);
void snapshot_end_entries(struct buf *out);

#endif
