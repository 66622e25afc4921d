/* log_pack.h -- gathers sections, database by database, and makes an object of the shared log of them.
 *
 * Threads: one at a time. */
#ifndef STORAGE_SHAREDLOG_LOG_PACK_H
#define STORAGE_SHAREDLOG_LOG_PACK_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "storage/records/moved.h"
#include "storage/sharedlog/log_object.h"

struct log_pack {
    struct arena arena;           /* the databases' names */
    struct log_section *sections; /* in the order of adding; offset: where in `data` */
    size_t count, capacity;
    struct buf data;
    bool open; /* the last section is being written */
    uint64_t entries;
};

void log_pack_init(struct log_pack *p, size_t bytes_max); /* bytes_max: beyond it it fails, SYNC_ELIMIT */
void log_pack_deinit(struct log_pack *p);
void log_pack_clear(struct log_pack *p); /* keeps the memory */

/* About how long the object would be now. */
size_t log_pack_bytes(const struct log_pack *p);

/* A section: begin, entries in the order of their stamps, then end, or drop as if it had never begun. */
enum sync_err log_pack_begin(struct log_pack *p, struct slice database, const struct site_id *server_site,
                             const struct stamp *after, const struct stamp *pruned, uint64_t wall_ms,
                             struct err_ctx *ec);
enum sync_err log_pack_put(struct log_pack *p, const struct moved_entry *e, struct err_ctx *ec);
void log_pack_end(struct log_pack *p, const struct stamp *last, bool cut);
void log_pack_drop(struct log_pack *p);

/* Appends the object to ret. The sections are then in order. */
enum sync_err log_pack_finish(struct log_pack *p, const struct log_head *h, struct buf *ret,
                              struct err_ctx *ec);

#endif
