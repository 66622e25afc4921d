/* site_ask.h -- asks a site for what it has of a database whose end may have been lost (protocol
 * section 8.6).
 *
 *     request_changes {siteId: server}           -> apply_changes without requestId, up to 1,000 facts
 *     request_changes {siteId, sinceHLC: highest of that answer}   -> the next, and so on
 *
 * A site that has nothing (more) is silent, so silence for ASK_PATIENCE_MS ends it: only then the site counts
 * as asked. One that goes before is asked again when it comes back. Asking twice is harmless.
 *
 * Pure: time is an argument, texts go to the caller. */
#ifndef CORE_PROTOCOL_SITE_ASK_H
#define CORE_PROTOCOL_SITE_ASK_H

#include "core/base/buf.h"
#include "core/facts/hlc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ASK_PATIENCE_MS = 30000 };

/* Plain data; all zero: the site is not being asked. */
struct site_ask {
    bool active;
    bool was_asked;     /* an answer that comes after all makes it active again */
    struct hlc highest; /* of the answers; zero: none yet */
    uint64_t answers;   /* that are not durable yet */
    uint64_t deadline_ms;
};

/* Appends the first question. */
void site_ask_begin(struct site_ask *a, const struct site_id *server, uint64_t now_ms, struct buf *out);

/* A batch without requestId came; `highest` of its HLCs. */
void site_ask_answered(struct site_ask *a, size_t fact_count, const struct hlc *highest);

/* A batch without requestId is durable, or was refused. True: the next question was appended. */
bool site_ask_applied(struct site_ask *a, size_t fact_count, bool durable, const struct site_id *server,
                      uint64_t now_ms, struct buf *out);

/* When site_ask_is_over() is to be called; UINT64_MAX: never. */
uint64_t site_ask_deadline_ms(const struct site_ask *a);
/* True, once, when nothing has come for long enough: the site has been asked. */
bool site_ask_is_over(struct site_ask *a, uint64_t now_ms);

#endif
