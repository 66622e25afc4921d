/* object_key.h -- the one rule for keys, written down at the head of object_store.h.
 *
 * Pure. */
#ifndef STORAGE_OBJECTS_OBJECT_KEY_H
#define STORAGE_OBJECTS_OBJECT_KEY_H

#include "core/base/err.h"
#include "core/base/slice.h"

/* Errors: SYNC_EBADMSG, SYNC_ELIMIT. */
enum sync_err object_key_check(struct slice key, struct err_ctx *ec);

/* Is text UTF-8 without zero bytes? `what` names it in the message. Errors: SYNC_EBADMSG. */
enum sync_err object_key_check_utf8(struct slice text, const char *what, struct err_ctx *ec);

#endif
