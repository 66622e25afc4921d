/* view.h -- the reading side: one database at one point in time.
 *
 * A view is a LevelDB snapshot and the database's record as of then. Cursors read from it in key order and
 * can be opened again where an earlier one ended, so a long answer is made in pieces: between two pieces
 * only the view is kept (a number to LevelDB, no buffer), and memory per slow reader is bounded.
 *
 * Facts that a cursor returns borrow its bytes until the next call on that cursor.
 *
 * Threads: any, also while the shard's own thread writes; a view and its cursors belong to one thread at a
 * time. */
#ifndef STORAGE_VIEWS_VIEW_H
#define STORAGE_VIEWS_VIEW_H

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/facts/fact.h"
#include "core/facts/hlc.h"
#include "storage/shard/shard.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct database_info {
    bool exists; /* written to before; if not, the rest tells how it will begin */
    struct site_id server_site;
    struct stamp last;   /* of the newest batch, op_seq that of its last fact; zero: none yet */
    struct stamp pruned; /* highest stamp that the retention sweep removed; zero: none */
    bool asks;           /* sites that connect are asked for what was lost here (protocol section 8.6) */
};

struct view;

/* Errors: SYNC_ESTORE, SYNC_EFORMAT, SYNC_ENOMEM; SYNC_EBUSY for a database that is being restored or is
 * leaving this disk: not all of it is here. A database never written to is no error. */
enum sync_err view_open(struct shard *sh, struct slice database, struct view **ret, struct err_ctx *ec);
void view_close(struct view *v); /* takes NULL; its cursors are closed before */
const struct database_info *view_database(const struct view *v);

/* The arrival log: current facts in the order in which they were accepted. */
struct log_cursor;
struct log_entry {
    struct stamp stamp;
    struct fact fact;    /* its key is empty: who reads the log hands facts on, and does not look them up */
    uint64_t created_ms; /* of a delete: the server's wall clock when it was accepted; else 0 */
};

/* Starts behind `after`; NULL: at the first entry. */
enum sync_err log_cursor_open(struct view *v, const struct stamp *after, struct log_cursor **ret,
                              struct err_ctx *ec);
/* *ret_found is false, and *ret untouched, at the end. */
enum sync_err log_cursor_next(struct log_cursor *c, struct log_entry *ret, bool *ret_found,
                              struct err_ctx *ec);
void log_cursor_close(struct log_cursor *c); /* takes NULL */

/* Cells, tombstones and migrations: each kind a row of facts in its own order.
 *
 *     FACT_CELL       table by table, row by row
 *     FACT_DELETE     table by table; all rows that were deleted
 *     FACT_MIGRATION  by HLC
 *
 * All of a table and all of a row stand together. Tables, and rows within one, come in an order that is
 * always the same and is not that of slice_cmp() of their keys. */
struct fact_cursor;
struct stored_entry {
    struct fact fact;
    struct stamp stamp;
    uint64_t created_ms;   /* of a tombstone: the server's wall clock when it was accepted */
    struct slice position; /* where to open a cursor that goes on behind this entry */
};

/* `after`: a position that an earlier cursor of this type gave; empty: the first. */
enum sync_err fact_cursor_open(struct view *v, enum fact_type type, struct slice after,
                               struct fact_cursor **ret, struct err_ctx *ec);
enum sync_err fact_cursor_next(struct fact_cursor *c, struct stored_entry *ret, bool *ret_found,
                               struct err_ctx *ec);
/* Cells and tombstones: jumps over what is left of the table with this key. */
void fact_cursor_skip_table(struct fact_cursor *c, struct slice table_key);
void fact_cursor_close(struct fact_cursor *c); /* takes NULL */

/* About how many cells a table has, from LevelDB's own size estimates: for progress displays only. Exact
 * where it is below `exact_max`. */
enum sync_err view_estimate_cells(struct view *v, struct slice table_key, uint64_t exact_max, uint64_t *ret,
                                  struct err_ctx *ec);

/* Has the table any cell, or any tombstone (type)? */
enum sync_err view_has_table(struct view *v, enum fact_type type, struct slice table_key, bool *ret,
                             struct err_ctx *ec);

/* Retention: tombstones made before created_before_ms with stamps up to floor, looking at no more than
 * scan_max of them behind `after`. The candidates and *ret_after live in arena; *ret_after is empty when the
 * end was reached. */
struct prune_candidate;
enum sync_err prune_scan(struct view *v, struct slice after, uint64_t created_before_ms,
                         const struct stamp *floor, size_t scan_max, struct arena *arena,
                         struct prune_candidate **ret, size_t *ret_count, struct slice *ret_after,
                         struct err_ctx *ec);

/* Has this site been asked for what it has (shard/shard_import.h)? */
enum sync_err view_site_was_asked(struct view *v, const struct site_id *site, bool *ret, struct err_ctx *ec);

/* Walks the databases of a shard by name: copies the name behind `after` into ret. *ret_found is false at the
 * end. One that is being restored or is leaving is not among them. */
enum { DATABASE_ID_MAX = 255 };
enum sync_err shard_next_database(struct shard *sh, struct slice after, char ret[DATABASE_ID_MAX],
                                  size_t *ret_len, bool *ret_found, struct err_ctx *ec);
/* The same, of those that are being restored or are leaving, and of no others. */
enum sync_err shard_next_unfinished(struct shard *sh, struct slice after, char ret[DATABASE_ID_MAX],
                                    size_t *ret_len, bool *ret_found, struct err_ctx *ec);

#endif
