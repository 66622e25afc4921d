/* hook_identity.h -- somebody who was let in: what the hooks granted, kept with the connection.
 *
 * Constant once made, and counted: the connection holds one reference, each call about it another, so a call
 * that outlives the connection still has whom it is about. A recheck makes a new one.
 *
 * Threads: any. */
#ifndef HOOKS_HOOK_IDENTITY_H
#define HOOKS_HOOK_IDENTITY_H

#include "core/base/slice.h"
#include "core/facts/site_id.h"

#include "hooks/sync_hooks.h"

#include <stdatomic.h>
#include <stdint.h>

enum {
    HOOKS_MAX = 16, /* in one chain */
    HOOK_NAME_MAX = 63,
    HOOK_DATABASE_MAX = 255,
    HOOK_ADDRESS_MAX = 63,
};

/* Opaque bytes that one hook of the chain, found by its name, wants back in later calls. */
struct hook_metadata {
    char hook[HOOK_NAME_MAX + 1];
    uint32_t len;
    uint8_t bytes[SYNC_METADATA_BYTES];
};

struct hook_identity {
    atomic_uint refs;
    uint32_t transport;
    uint64_t connection;
    uint64_t expires_ms;
    uint64_t recheck_ms;
    struct site_id site;
    char database[HOOK_DATABASE_MAX + 1];
    char user_id[SYNC_USER_ID_TEXT];
    char remote_address[HOOK_ADDRESS_MAX + 1];
    uint32_t metadata_count;
    struct hook_metadata metadata[];
};

/* With one reference, zero but for room for metadata of `metadata_max` hooks. NULL when memory is short. */
struct hook_identity *hook_identity_new(uint32_t metadata_max);
struct hook_identity *hook_identity_ref(struct hook_identity *i);
void hook_identity_unref(struct hook_identity *i); /* NULL does nothing */

/* What this hook granted; empty when nothing. Borrowed. */
struct slice hook_identity_metadata(const struct hook_identity *i, const char *hook);

/* Copies a text that is known to fit. */
void hook_text_copy(char *ret, size_t ret_bytes, struct slice text);

#endif
