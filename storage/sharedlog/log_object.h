/* log_object.h -- one object of the shared log, or a segment that replaces a row of them: the bytes.
 *
 *     head   magic (8), bytes of the head (4), CRC32C of what follows in the head (4),
 *            flags (1), writer (16), run (8), wall_ms (8), partition (4), first and last number (8, 8),
 *            host (text),
 *            of a segment: count (4), and so many runs of servers, in the order in which they wrote:
 *                run (8), flags (1)
 *            count (4), and so many rows of the index, by database name, `after` and `last`:
 *                database (text), server site (16), flags (1), wall_ms (8), after, last, pruned (14 each),
 *                entries (4), offset behind the head (8), bytes (8), CRC32C of them (4),
 *                of a segment: which of the runs wrote it (4)
 *     then the sections, each framed entries (moved.h) in the order of their stamps
 *
 * A text is a length byte and so many bytes, 1 to 255 (a host: 0 to 255). Integers are big-endian. The last
 * byte of the magic is the format: 1 an object, 2 a segment.
 *
 * A segment keeps which runs wrote what it replaces, and how each of them began and ended: whether a server
 * went without closing after a database's newest section decides what a restore may count on.
 *
 * Sections stand one behind the other in the order of the index, so a database's are read in one range.
 *
 * The decoder reads untrusted bytes: it refuses whatever the encoder would not have written, and what it
 * accepts encodes to the same bytes again.
 *
 * Pure. Threads: any. */
#ifndef STORAGE_SHAREDLOG_LOG_OBJECT_H
#define STORAGE_SHAREDLOG_LOG_OBJECT_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/facts/hlc.h"
#include "core/facts/site_id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOG_WRITER_BYTES = 16,
    LOG_RUN_BYTES = 8,
    LOG_HOST_MAX = 255,
    LOG_HEAD_PREFIX = 8 + 4 + 4, /* enough to know how long the head is */
    LOG_HEAD_BYTES_MAX = 64 << 20,
    LOG_RUNS_MAX = 100000, /* in one segment: a server that starts every hour for eleven years */
};

enum {
    LOG_OPENED = 1, /* the first that this run of the server wrote */
    LOG_CLOSED = 2, /* the last: everything that the server ever accepted is in the log */
    LOG_OBJECT_DURABLE =
        4, /* the server acknowledges only what is in the log; of a segment: all of them did */
};

/* One start of a server, as far as it wrote what stands here. */
struct log_run {
    uint8_t id[LOG_RUN_BYTES];
    unsigned flags; /* LOG_OPENED: its beginning is here; LOG_CLOSED: its end is, and it was a clean one */
};

struct log_head {
    bool is_segment;
    unsigned flags; /* of a segment: LOG_OPENED of its first, LOG_CLOSED of its last */
    uint8_t
        writer[LOG_WRITER_BYTES]; /* the server: follows from its data directory; of a segment: its last */
    uint8_t run[LOG_RUN_BYTES];   /* random, of one start of it */
    uint64_t wall_ms;             /* of the writer's clock; of a segment: its last object's */
    uint32_t partition;
    uint64_t first, last; /* numbers that this replaces; of an object both its own */
    struct slice host;
    const struct log_run *runs; /* of an object: the one that wrote it. Written of a segment only */
    size_t run_count;           /* at least 1 */
};

enum { LOG_SECTION_CUT = 1 }; /* more was waiting: the next section of the database goes on */

struct log_section {
    struct slice database;
    struct site_id server_site;
    unsigned flags;
    uint64_t wall_ms;    /* when it was gathered, by the writer's clock */
    struct stamp after;  /* holds what was accepted behind this stamp ... */
    struct stamp last;   /* ... up to this one, and is still current; the stamps may have no entry */
    struct stamp pruned; /* highest that retention had removed */
    uint32_t entries;
    uint64_t offset, bytes; /* offset from the head's end */
    uint32_t crc;
    uint32_t run; /* index into the head's runs; 0 in an object */
};

/* The order of the index. */
int log_section_cmp(const struct log_section *a, const struct log_section *b);

/* How long the head will be. */
size_t log_object_head_size(const struct log_head *h, const struct log_section *sections, size_t count);

/* Appends the head; the sections' bytes belong behind it. They are in order and one behind the other. The
 * caller asks buf_check(). */
void log_object_put_head(const struct log_head *h, const struct log_section *sections, size_t count,
                         struct buf *ret);

/* The head's bytes, from at least LOG_HEAD_PREFIX of the object. Errors: SYNC_EFORMAT. */
enum sync_err log_object_head_bytes(struct slice prefix, uint32_t *ret, struct err_ctx *ec);

/* The head, exactly its bytes. What it returns borrows from them, the array lives in `arena`.
 * Errors: SYNC_EFORMAT, SYNC_ENOMEM. */
enum sync_err log_object_get_head(struct slice bytes, struct arena *arena, struct log_head *ret,
                                  struct log_section **ret_sections, size_t *ret_count, struct err_ctx *ec);

/* How many bytes follow the head. */
uint64_t log_object_data_bytes(const struct log_section *sections, size_t count);

/* The first section of the database, and how many it has: they stand together. 0: none. */
size_t log_object_find(const struct log_section *sections, size_t count, struct slice database,
                       const struct log_section **ret);

/* Is `bytes` what the index says of the section? Errors: SYNC_EFORMAT. */
enum sync_err log_section_check(const struct log_section *s, struct slice bytes, struct err_ctx *ec);

#endif
