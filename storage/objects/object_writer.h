/* object_writer.h -- an object of any size written as a stream, in constant memory.
 *
 * Bytes collect in a part; a full part goes up on one of the writer's threads while the next one fills. So
 * making the bytes and sending them overlap, and memory is (threads + 1) * part_bytes. What fits into one
 * part is put in one request. Nothing is visible under the key before object_writer_finish(); it replaces
 * what is there.
 *
 * Threads: a writer is its owner's, one call at a time. */
#ifndef STORAGE_OBJECTS_OBJECT_WRITER_H
#define STORAGE_OBJECTS_OBJECT_WRITER_H

#include "storage/objects/object_store.h"

enum { OBJECT_WRITER_THREADS_MAX = 16 };

struct object_writer_config {
    size_t part_bytes; /* OBJECT_PART_BYTES_MIN to _MAX; OBJECT_PARTS_MAX of them are the largest object */
    uint32_t threads;  /* that send parts; 0: the owner's own does, and waits */
    struct object_call call; /* for each request */
};

/* The time lets a part through a line of 30 KiB a second, and a service put a large object together. */
#define OBJECT_WRITER_CONFIG_DEFAULT                                                                         \
    {                                                                                                        \
        .part_bytes = (size_t)8 << 20, .threads = 2, .call = {.timeout_ms = 300000 }                         \
    }

struct object_writer;

/* Asks nothing of the store yet. Errors: SYNC_ENOMEM, SYNC_ELIMIT (the part size). */
enum sync_err object_writer_open(struct object_store *s, struct slice key,
                                 const struct object_writer_config *cfg, struct object_writer **ret,
                                 struct err_ctx *ec);

/* Takes a copy of the bytes; waits while all parts are on their way. An error, which may be that of an
 * earlier part, is final: every later call returns it. */
enum sync_err object_writer_put(struct object_writer *w, struct slice bytes, struct err_ctx *ec);

/* Makes the object of everything put. SYNC_EBUSY may be tried again. ret_version may be NULL. */
enum sync_err object_writer_finish(struct object_writer *w, struct object_version *ret_version,
                                   struct err_ctx *ec);

/* Frees the writer, and drops what was sent unless it was finished; should that fail, object_upload_sweep()
 * does it some day. NULL does nothing. */
void object_writer_close(struct object_writer *w);

#endif
