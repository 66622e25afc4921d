/* fact_key.h -- a fact's key made from the fact itself.
 *
 * A message's reader makes keys as it goes (change_set_read.c). A fact that is read back from the arrival log
 * has none, and where the record under its own key is damaged this is what finds its place again: the same
 * bytes that the reader made.
 *
 * Threads: one at a time. */
#ifndef CORE_FACT_KEY_H
#define CORE_FACT_KEY_H

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/fact.h"
#include "core/json.h"

struct fact_keys {
    struct json_reader *json;
    struct buf text, key; /* the JSON under way, with its padding; the key made last */
};

/* Errors: SYNC_ENOMEM. */
enum sync_err fact_keys_init(struct fact_keys *k, struct err_ctx *ec);
void fact_keys_deinit(struct fact_keys *k); /* all-zero ones too */

/* Sets key, table_key_len and row_key_len, which borrow from k until the next call. Errors: SYNC_EBADMSG when
 * a primary key is none, SYNC_ENOMEM, SYNC_ELIMIT. */
enum sync_err fact_keys_make(struct fact_keys *k, struct fact *f, struct err_ctx *ec);

#endif
