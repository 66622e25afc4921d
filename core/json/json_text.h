/* json_text.h -- the inside of a JSON string: what stands between its quotes.
 *
 * Text travels through the server in its escaped form; it is resolved only where two spellings of one name
 * must meet (names, identities). An escaped lone surrogate (\ud800) is legal JSON that UTF-8 cannot hold; it
 * becomes U+FFFD here, and travels onward as it came (protocol section 3).
 *
 * Pure. Input is valid UTF-8 without control characters, which json.h has checked. */
#ifndef CORE_JSON_JSON_TEXT_H
#define CORE_JSON_JSON_TEXT_H

#include "core/base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct buf;

#ifdef __cplusplus
extern "C" {
#endif

/* Length of a string's inside that starts at text and is known to end in a quote. */
size_t json_text_len(const char *text);

/* Are all escapes well formed? *ret_lone (may be NULL): is there a surrogate without its other half? */
bool json_text_check(struct slice inside, bool *ret_lone);

/* Appends the text with its escapes resolved, as UTF-8. `inside` has passed json_text_check(). */
void json_text_resolve(struct slice inside, struct buf *out);

/* The same into an arena; a text without escapes is not copied. False when memory is short. */
bool json_text_resolve_in(struct slice inside, struct arena *arena, struct slice *ret);

/* For a text that is compared with short known ones (member names, ids): its escapes resolved into `room`, or
 * the text as it is where it has none or the result does not fit. Needs no memory. */
struct slice json_text_short(struct slice inside, char *room, size_t room_bytes);

/* Appends UTF-8 text as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD, so whatever
 * a client sent can be named in an answer. */
void json_put_text(struct buf *out, struct slice text);

/* Appends a JSON value as it came, but on one line: line breaks between tokens become blanks, since answers
 * go out as lines too (NDJSON). Inside strings JSON allows none. */
void json_put_raw(struct buf *out, struct slice value);

#ifdef __cplusplus
}
#endif

#endif
