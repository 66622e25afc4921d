/* log_create.h -- one attempt to put an object under the next number of the shared log.
 *
 * A number is created once: whoever creates it has decided what comes next. After an attempt that brought no
 * answer to trust the object is read; where it is not there, the same bytes are to be put under the same
 * number again, so that a request which lands late does no harm.
 *
 * Threads: any; blocks. */
#ifndef STORAGE_SHAREDLOG_LOG_CREATE_H
#define STORAGE_SHAREDLOG_LOG_CREATE_H

#include "storage/objects/object_store.h"
#include "storage/sharedlog/log_object.h"

enum log_created {
    LOG_CREATED, /* the object holds exactly these bytes */
    LOG_TAKEN,   /* the number holds other bytes: *ret_rival says whose */
    LOG_LATER,   /* not there, as far as one can tell: the same bytes again. ec says why */
};

/* Who wrote what stands there. */
struct log_rival {
    uint8_t writer[LOG_WRITER_BYTES];
    uint8_t run[LOG_RUN_BYTES];
    uint64_t wall_ms;
    char host[LOG_HOST_MAX + 1];
};

void log_rival_of(const struct log_head *h, struct log_rival *ret);

/* Errors: SYNC_ECANCELED; SYNC_EFORMAT: what stands there is no log object; SYNC_ENOMEM. Failures of the
 * store are LOG_LATER. */
enum sync_err log_create(struct object_store *s, const struct object_call *call, uint32_t partition,
                         uint64_t number, struct slice bytes, enum log_created *ret,
                         struct log_rival *ret_rival, struct err_ctx *ec);

#endif
