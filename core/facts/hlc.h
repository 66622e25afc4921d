/* hlc.h -- hybrid logical clock: the timestamp that orders facts across replicas.
 *
 * Order is (wall_ms, counter, site, op_seq), most significant first. The 30-byte encoding is big-endian in
 * that same order, so memcmp() of two encodings agrees with hlc_cmp() of two values; storage keys depend on
 * it. On the wire the 30 bytes travel as 40 characters of standard base64 (protocol section 1).
 *
 * Pure: no allocation, no locks, no system clock (callers pass now_ms). */
#ifndef CORE_FACTS_HLC_H
#define CORE_FACTS_HLC_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/facts/site_id.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    HLC_ENCODED_SIZE = 8 + 2 + SITE_ID_BYTES + 4,
    HLC_TEXT = 40,            /* 30 bytes in base64: no padding needed */
    HLC_DRIFT_MS_MAX = 60000, /* how far ahead of the server's wall clock a fact may be */
    TRANSACTION_ID_MAX = 20 + 1 + 5 + 1 + SITE_ID_TEXT, /* "WALL:COUNTER:SITE" */
};

struct hlc {
    uint64_t wall_ms; /* since 1970-01-01, UTC */
    uint16_t counter; /* orders what happened in one millisecond */
    struct site_id site;
    uint32_t op_seq; /* position within the transaction, from 0 */
};

/* Arrival stamp: an HLC that the server made, without the server's site id, which the database's record
 * holds. Orders what a database accepted (protocol section 8.1). {0, 0, 0} is before every stamp. */
struct stamp {
    uint64_t wall_ms;
    uint16_t counter;
    uint32_t op_seq; /* index of the fact within its batch */
};

int hlc_cmp(const struct hlc *a, const struct hlc *b);
bool hlc_eq(const struct hlc *a, const struct hlc *b);

/* Do both belong to one transaction, that is, agree in all but op_seq? */
bool hlc_same_transaction(const struct hlc *a, const struct hlc *b);

void hlc_encode(const struct hlc *h, uint8_t ret[HLC_ENCODED_SIZE]);
void hlc_decode(const uint8_t bytes[HLC_ENCODED_SIZE], struct hlc *ret); /* every 30 bytes are an HLC */

/* Errors: SYNC_EBADMSG unless text is 40 characters of standard base64; *ret is then untouched. */
enum sync_err hlc_parse(struct slice text, struct hlc *ret, struct err_ctx *ec);
void hlc_format(const struct hlc *h, char ret[HLC_TEXT]); /* not zero terminated */

/* "WALL:COUNTER:SITE" (protocol section 1), zero terminated. Returns its length. */
size_t hlc_format_transaction(const struct hlc *h, char ret[TRANSACTION_ID_MAX + 1]);

/* Errors: SYNC_EDRIFT when h is more than HLC_DRIFT_MS_MAX ahead of now_ms. */
enum sync_err hlc_check_drift(const struct hlc *h, uint64_t now_ms, struct err_ctx *ec);

int stamp_cmp(const struct stamp *a, const struct stamp *b);

/* The stamp of the next batch: one tick above the higher of `last` and (wall_ms, counter), with op_seq 0.
 * It looks at no clock: stamps are a function of what arrived, in which order. A counter over 65535 moves
 * the wall by one and restarts at 0. */
struct stamp stamp_next(const struct stamp *last, const struct hlc *highest_arrived);

/* The stamp as the HLC that clients see, with the database's server site id. */
struct hlc stamp_to_hlc(const struct stamp *s, const struct site_id *server_site);

/* The highest stamp that a client with this watermark already has: the greatest stamp whose HLC, with the
 * server's site id, is <= watermark. True when there is one, false when everything is news to the client. */
bool stamp_floor(const struct hlc *watermark, const struct site_id *server_site, struct stamp *ret);

#endif
