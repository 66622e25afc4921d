/* moved.h -- a fact on its way between machines: what the shared log holds, and what a restore brings back.
 *
 *     moved    stamp (14), logged record (record.h, never a pointer)
 *     framed   varint length of what follows, moved
 *
 * Everything that a database knows of a fact is in it: the prior value or row too, and of a delete when the
 * server that accepted it stored it, since retention goes by that. Integers are big-endian.
 *
 * Decoders read untrusted bytes: they refuse whatever the encoders would not have written, and what they
 * accept encodes to the same bytes again.
 *
 * Pure: no allocation but in the caller's buffer. Threads: any. */
#ifndef STORAGE_RECORDS_MOVED_H
#define STORAGE_RECORDS_MOVED_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/facts/fact.h"
#include "core/facts/hlc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct moved_entry {
    struct stamp stamp; /* when it was accepted, as its own server counted */
    struct fact fact; /* its key is empty: whoever looks it up makes one of its pk (core/facts/sql_value.h) */
    uint64_t created_ms; /* of a delete: the wall clock of the server that accepted it; else 0 */
};

/* `ret` takes exactly moved_size() bytes. */
size_t moved_size(const struct moved_entry *e);
void moved_put(const struct moved_entry *e, uint8_t *ret);

/* *ret borrows from `bytes`. Errors: SYNC_EFORMAT. */
enum sync_err moved_get(struct slice bytes, struct moved_entry *ret, struct err_ctx *ec);

/* Appends the entry with its length in front; the caller asks buf_check(). */
void moved_put_framed(const struct moved_entry *e, struct buf *ret);

/* Takes the first framed entry off *bytes. Errors: SYNC_EFORMAT, also when it is not there as a whole. */
enum sync_err moved_take_framed(struct slice *bytes, struct moved_entry *ret, struct err_ctx *ec);

/* How much the first framed entry takes, its length included; 0 when `bytes` does not hold a whole length
 * yet: at most MOVED_FRAME_BYTES of it are needed. Errors: SYNC_EFORMAT. */
enum { MOVED_FRAME_BYTES = 5 };
enum sync_err moved_frame_size(struct slice bytes, size_t *ret, struct err_ctx *ec);

#endif
