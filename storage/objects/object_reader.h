/* object_reader.h -- an object of any size read as a stream, in constant memory: object_writer.h backwards.
 *
 * The object is fetched in pieces, by range. While the owner works on one, the reader's threads fetch the
 * next ones, so that reading and using overlap and several connections share the way. Each piece is a call of
 * its own, with its own time and repeats: a broken connection costs a piece, not the stream. All pieces are
 * of one version, or the reading ends with SYNC_EIO. Memory is (threads + 1) * piece_bytes. What fits into
 * one piece takes one request.
 *
 * Threads: a reader is its owner's, one call at a time. */
#ifndef STORAGE_OBJECTS_OBJECT_READER_H
#define STORAGE_OBJECTS_OBJECT_READER_H

#include "storage/objects/object_store.h"

enum { OBJECT_READER_THREADS_MAX = 16 };

struct object_reader_config {
    size_t piece_bytes;
    uint32_t threads;        /* that fetch ahead; 0: the owner's own does, and waits */
    struct object_call call; /* for each request */
};

#define OBJECT_READER_CONFIG_DEFAULT                                                                         \
    {                                                                                                        \
        .piece_bytes = (size_t)4 << 20, .threads = 2, .call = {.timeout_ms = 120000 }                        \
    }

struct object_reader;

/* Fetches the first piece. Errors: as object_get(). */
enum sync_err object_reader_open(struct object_store *s, struct slice key,
                                 const struct object_reader_config *cfg, struct object_reader **ret,
                                 struct err_ctx *ec);

/* The next bytes, good until the next call; empty at the end. An error is final. */
enum sync_err object_reader_next(struct object_reader *r, struct slice *ret, struct err_ctx *ec);

const struct object_info *object_reader_info(const struct object_reader *r);

void object_reader_close(struct object_reader *r); /* NULL does nothing */

#endif
