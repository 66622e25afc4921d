/* left_note.h -- a database that has left this disk for the object store: how it was when it left.
 *
 * Written with the last step of its removal, and gone again with the last step of its restore. So it tells
 * a restore what it has to find: with less than that the object store has lost something, and with nothing
 * the database is not new. And where it finds all of it, nothing was lost however the servers ended that
 * wrote the log meanwhile, and the database keeps its server site id.
 *
 * Threads: any. */
#ifndef STORAGE_SHARD_LEFT_NOTE_H
#define STORAGE_SHARD_LEFT_NOTE_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/facts/hlc.h"
#include "core/facts/site_id.h"
#include "storage/shard/shard.h"
#include "storage/views/view.h"

#include <stdbool.h>

enum { LEFT_NOTE_BYTES = 1 + 14 + SITE_ID_BYTES };

struct left_note {
    struct stamp last; /* of its newest batch */
    struct site_id server_site;
};

void left_note_put(const struct left_note *n, uint8_t ret[LEFT_NOTE_BYTES]);
enum sync_err left_note_get(struct slice bytes, struct left_note *ret, struct err_ctx *ec);

/* Errors: SYNC_ESTORE, SYNC_EFORMAT, SYNC_ENOMEM. */
enum sync_err shard_left_note(struct shard *sh, struct slice database, bool *ret_found, struct left_note *ret,
                              struct err_ctx *ec);

/* Any one database that is not whole on this disk: it has left, or is on its way in or out. */
enum sync_err shard_any_elsewhere(struct shard *sh, char ret[DATABASE_ID_MAX], size_t *ret_len,
                                  bool *ret_found, struct err_ctx *ec);

#endif
