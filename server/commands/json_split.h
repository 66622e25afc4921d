/* json_split.h -- takes a long JSON object apart as it comes in: the elements of one of its members, each by
 * itself, so that the whole never has to be in memory.
 *
 *     {"databaseId":"app","chunks":[ {...}, {...} ]}     the elements of "chunks" that are objects
 *
 * It only follows strings and brackets. Whether an element is JSON is for whoever reads it to say.
 *
 * Pure. Threads: one at a time. */
#ifndef SERVER_COMMANDS_JSON_SPLIT_H
#define SERVER_COMMANDS_JSON_SPLIT_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"

#include <stdbool.h>
#include <stddef.h>

enum { JSON_SPLIT_TEXT_MAX = 255 };

struct json_split {
    const char *list; /* the member whose elements are wanted */
    const char *name; /* a member with a short text that is wanted, too */
    /* One element, JSON_PADDING readable bytes behind it. Anything but SYNC_OK ends it. */
    enum sync_err (*element)(void *arg, struct slice text, struct err_ctx *ec);
    void *arg;

    struct buf text; /* of the element; its ceiling is that of an element */
    char named[JSON_SPLIT_TEXT_MAX + 1];
    size_t named_len;
    bool has_named, has_list;
    /* private */
    char key[32], value[JSON_SPLIT_TEXT_MAX + 1];
    size_t key_len, value_len;
    unsigned depth;
    bool in_string, escaped, is_value, in_list, in_element, ended;
};

/* bytes_max: of an element. */
void json_split_init(struct json_split *s, const char *list, const char *name, size_t bytes_max,
                     enum sync_err (*element)(void *arg, struct slice text, struct err_ctx *ec), void *arg);
void json_split_deinit(struct json_split *s);

/* The next bytes. Errors: SYNC_EBADMSG, SYNC_ELIMIT (an element is too long), SYNC_ENOMEM, element()'s. */
enum sync_err json_split_put(struct json_split *s, struct slice bytes, struct err_ctx *ec);

/* There are no more. SYNC_EBADMSG when the object has not ended, or had no such list. */
enum sync_err json_split_end(const struct json_split *s, struct err_ctx *ec);

#endif
