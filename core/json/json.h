/* json.h -- reads one JSON text, forward and once, without building a tree.
 *
 * A small C face over simdjson's On-Demand reader. Values are looked at in the order of the text: open a
 * text, walk members and elements, take what is wanted as a slice of the text itself. Nothing is rewritten
 * or copied. Everything that is taken is checked in full: when each value of a text was walked or taken and
 * json_close() returned SYNC_OK, the whole text is known to be JSON (RFC 8259) in UTF-8.
 * Numbers may have any size, and escaped lone surrogates are legal, as they are to every JavaScript peer.
 *
 * Errors are sticky: after the first one every iteration ends and every value is empty, and json_check() or
 * json_close() tells what it was. So a reader of messages is a plain loop with one check behind it.
 *
 * Memory: a reader keeps an index of about 4 bytes for each byte of the longest text it has seen, and gives
 * it back when that text was over JSON_KEEP_BYTES. Threads: a reader, and all values of it, belong to one
 * thread at a time. */
#ifndef CORE_JSON_JSON_H
#define CORE_JSON_JSON_H

#include "core/base/err.h"
#include "core/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    JSON_PADDING = 64,         /* readable bytes that must follow a text, whatever they hold */
    JSON_KEEP_BYTES = 1 << 20, /* a reader keeps memory for texts up to this long */
    JSON_DEPTH_DEFAULT = 128,  /* nesting that a text may have */
};

enum json_type { JSON_INVALID, JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_BOOLEAN, JSON_NULL };

struct json_reader;

/* A value not yet looked at. Plain data, valid until its reader moves past it. */
struct json_value {
    struct json_reader *reader;
    uint64_t opaque[3];
};

/* A walk over the members of an object or the elements of an array. */
struct json_walk {
    struct json_reader *reader;
    uint64_t opaque[6];
    uint32_t depth;
    bool started;
    bool ended;
};

/* What json_take() found: the text of a value as it was given, without the blanks around it. */
struct json_raw {
    enum json_type type;
    struct slice text;
};

/* NULL when memory is short. depth_max: nesting a text may have, JSON_DEPTH_DEFAULT where in doubt. */
struct json_reader *json_reader_new(uint32_t depth_max);
void json_reader_free(struct json_reader *r);

/* Starts reading text[0..len), which stays the caller's, unchanged, until json_close(). At least JSON_PADDING
 * readable bytes follow it. Errors (of json_check): SYNC_EBADMSG for what is not JSON, not UTF-8 or not an
 * object or array at the top; SYNC_ENOMEM; SYNC_ELIMIT for over 4 GiB. */
struct json_value json_open(struct json_reader *r, const char *text, size_t len);

/* SYNC_OK until something failed; then what it was. May be asked at any time. */
enum sync_err json_check(const struct json_reader *r, struct err_ctx *ec);

/* Was what failed the text's nesting? */
bool json_is_too_deep(const struct json_reader *r);

/* Ends the reading: also checks that nothing but blanks follows the top value. */
enum sync_err json_close(struct json_reader *r, struct err_ctx *ec);

/* The type by the first character; JSON_INVALID after an error. Does not move. */
enum json_type json_type(const struct json_value *v);

/* Moves past the value, checks all of it, returns its text. After an error the text is empty. */
struct json_raw json_take(const struct json_value *v);

/* Moves past a string: its text without the quotes, escapes not resolved (json_text.h does). False, and not
 * moved, when the value is not a string. */
bool json_take_string(const struct json_value *v, struct slice *ret);

/* Walks. The value must have that type. A member's key comes without quotes, escapes not resolved. Each
 * value is looked at before the next step or not at all; what was not looked at is passed over unchecked, so
 * take it where it matters. A walk may be given up in the middle; the one around it goes on. */
struct json_walk json_members(const struct json_value *v);
bool json_next_member(struct json_walk *w, struct slice *ret_key, struct json_value *ret);
struct json_walk json_elements(const struct json_value *v);
bool json_next_element(struct json_walk *w, struct json_value *ret);

/* After the last step: the text of the whole object or array. Empty after an error. */
struct slice json_walk_text(struct json_walk *w);

#ifdef __cplusplus
}
#endif

#endif
