/* change_set.h -- ChangeSets in JSON: read with every check of protocol section 1, and written.
 *
 * Reading is all or nothing: the first thing wrong refuses the whole array and is named by its place
 * ("[3].changes[17].pk[0]: __bin is not a string of standard base64"). */
#ifndef CORE_PROTOCOL_CHANGE_SET_H
#define CORE_PROTOCOL_CHANGE_SET_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/facts/batch.h"
#include "core/json/json.h"

enum { BATCH_FACTS_MAX = 4 << 20 }; /* in one message; a message of 100 MiB has fewer than a million */

/* Takes an array of ChangeSets into a batch, in place of the sets it had, if any: of a member given twice the
 * last one counts, here as in JavaScript. On failure the batch is half filled: batch_deinit() it. Facts are
 * slices of the reader's text, which must live as long as the batch. Errors: SYNC_EBADMSG, SYNC_ELIMIT,
 * SYNC_ENOMEM. */
enum sync_err change_sets_take(const struct json_value *v, struct batch *ret, struct err_ctx *ec);

/* Takes one Change or Migration object by itself. The fact is made of slices of the reader's text and of what
 * is added to the arena. Errors: SYNC_EBADMSG, SYNC_ENOMEM. */
enum sync_err fact_take(const struct json_value *v, struct arena *arena, struct fact *ret,
                        struct err_ctx *ec);

/* Appends one Change or Migration object. */
void fact_put(struct buf *out, const struct fact *f);

void json_put_site(struct buf *out, const struct site_id *site); /* quoted */
void json_put_hlc(struct buf *out, const struct hlc *h);         /* quoted */

/* Appends the batch's ChangeSets, without brackets around them, for a push: each as it was sent. */
void batch_put(struct buf *out, const struct batch *b);

#endif
