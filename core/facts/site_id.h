/* site_id.h -- the 16 bytes that name one replica.
 *
 * On the wire: base64url without padding, exactly 22 characters (protocol section 1). Plain data, copied
 * by value. */
#ifndef CORE_FACTS_SITE_ID_H
#define CORE_FACTS_SITE_ID_H

#include "core/base/err.h"
#include "core/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { SITE_ID_BYTES = 16, SITE_ID_TEXT = 22 };

struct site_id {
    uint8_t bytes[SITE_ID_BYTES];
};

static inline int site_id_cmp(const struct site_id *a, const struct site_id *b)
{
    return memcmp(a->bytes, b->bytes, SITE_ID_BYTES);
}

static inline bool site_id_eq(const struct site_id *a, const struct site_id *b)
{
    return site_id_cmp(a, b) == 0;
}

/* Errors: SYNC_EBADMSG unless text is 22 characters of base64url; *ret is then untouched. */
enum sync_err site_id_parse(struct slice text, struct site_id *ret, struct err_ctx *ec);

/* Writes SITE_ID_TEXT characters and a terminating zero. */
void site_id_format(const struct site_id *s, char ret[SITE_ID_TEXT + 1]);

#endif
