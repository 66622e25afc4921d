/* sql_value.h -- SQL values as they travel in JSON, and what makes two of them the same (protocol 1 and 3).
 *
 * A value is checked where it arrives, because one bad value makes every client refuse the message it travels
 * in: `__bin` must hold base64, `__bigint` an integer. It is never rewritten; its text goes onward as it
 * came.
 *
 * The server has no schema, so the identity of a primary key is made from the values alone. Each value
 * becomes a type tag and a canonical form, and the whole is prefix-free, so that no two different keys meet:
 *
 *     null                    01
 *     a whole number          02 decimal digits 00      5, 5.0, true, {"__bigint":"5"} are the same number
 *     any other number        03 8 bytes of the double
 *     text                    04 UTF-8 00               a lone surrogate counts as U+FFFD
 *     blob                    05 bytes 00               {"__bin":..}, and {"0":n,"1":n,..}, its old spelling
 *     other object, array     06 canonical JSON 00      members sorted, the last of equal keys counts
 *     end of the key          00
 *
 * 00 within text, bytes or JSON is written 00 FF; what follows an end mark is never FF. A JSON number is read
 * as a double first, as every JavaScript peer does.
 *
 * Pure. */
#ifndef CORE_FACTS_SQL_VALUE_H
#define CORE_FACTS_SQL_VALUE_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/json/json.h"

/* Takes one value: *ret_text is its JSON text. With `key` its identity is appended there; `arena` is for
 * what that needs meanwhile. Errors: SYNC_EBADMSG, SYNC_ENOMEM. */
enum sync_err sql_value_take(const struct json_value *v, struct arena *arena, struct buf *key,
                             struct slice *ret_text, struct err_ctx *ec);

/* Takes an array of values (pk, priorRow); the identity, with its end mark, if `key` is given. Errors name
 * the element. */
enum sync_err sql_values_take(const struct json_value *v, struct arena *arena, struct buf *key,
                              struct slice *ret_text, struct err_ctx *ec);

/* Appends a name or text to a key: 00 becomes 00 FF, and 00 ends it. */
void key_put_text(struct buf *key, struct slice text);

/* Appends the identity of a JSON number. `text` is followed by something that is no part of a number. */
void key_put_number(struct buf *key, struct slice text);

#endif
