/* settings.h -- the configuration in force with what is made of it, replaced as a whole by a reload.
 *
 * Immutable once it is shared, and counted: the main thread holds the newest one, each loop the one that it
 * works with. A loop changes over in the done() of a job, when nothing else of it is under way, so between
 * two jobs everything that a loop reads belongs together, and whoever keeps nothing across a step needs no
 * lock.
 *
 * What only a restart can change has the same values in all of them.
 *
 * Threads: making one on the main thread; counting on any. */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include "core/base/err.h"
#include "core/config/config.h"
#include "core/protocol/session.h"
#include "server/net/auth.h"
#include "server/net/tls.h"

#include <stdatomic.h>

struct settings {
    _Atomic uint32_t refs;
    const struct config *config;
    struct session_config session;
    struct auth *auth;
    struct tls_identity *tls;    /* NULL: no TLS */
    struct loaded_config loaded; /* owns what config points to; all zero for the one of the start */
};

/* The settings of the start, by a configuration that outlives all others. Errors: SYNC_ENOMEM; SYNC_ECONFIG
 * for a certificate or key that cannot be used. */
enum sync_err settings_first(const struct config *config, struct settings **ret, struct err_ctx *ec);

/* The settings of a reload. Takes `loaded` on success. Errors likewise. */
enum sync_err settings_next(struct loaded_config *loaded, struct settings **ret, struct err_ctx *ec);

struct settings *settings_ref(struct settings *s);
void settings_unref(struct settings *s); /* takes NULL */

#endif
