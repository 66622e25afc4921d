/* claim.h -- what a client says of itself: all that `authenticate` may look at.
 *
 * Filled in by the connection, then constant, and counted: the connection keeps one reference as long as it
 * may have to be authenticated again, each call about it another.
 *
 * Threads: filling in on the connection's loop; counting on any. */
#ifndef SERVER_NET_CLAIM_H
#define SERVER_NET_CLAIM_H

#include "core/base/arena.h"
#include "core/config/config.h"
#include "hooks/hook_call.h"

#include <libwebsockets.h>
#include <stdatomic.h>
#include <stdbool.h>

struct claim {
    atomic_uint refs;
    uint32_t transport;  /* SYNC_TRANSPORT_HTTP .. */
    uint64_t connection; /* the key of its calls */
    struct slice database, token, site_text;
    struct site_id site;
    bool has_site;
    char address[HOOK_ADDRESS_MAX + 1];
    struct hook_header *headers;
    size_t header_count;
    struct arena arena;
};

/* What the request's head says, the headers too where `keeps_headers`. NULL when memory is short, or when
 * they are over the limit (claim_headers_fit). */
struct claim *claim_new(struct lws *wsi, const struct config_hooks *config, uint32_t transport,
                        uint64_t connection, bool keeps_headers);
struct claim *claim_ref(struct claim *c);
void claim_unref(struct claim *c); /* takes NULL */

/* Copies the texts. False when memory is short. */
bool claim_complete(struct claim *c, struct slice database, struct slice token, struct slice site_text,
                    const struct site_id *site);

/* Are the headers that hooks may ask for within limits.hookHeaderBytes? */
bool claim_headers_fit(struct lws *wsi, const struct config_hooks *config);

/* Somebody without a name: whom no hook has authenticated. With one reference; NULL when memory is short. */
struct hook_identity *claim_identity(const struct claim *c);

#endif
