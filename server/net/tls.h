/* tls.h -- TLS on the server's port: certificate and key, and who uses them.
 *
 * An identity is what the files held when it was made; it never changes, so all loops share it, as a part of
 * the settings (server/settings.h). Each loop's TLS context holds no certificate of its own: it asks for the
 * identity in force at each handshake, so a reload needs no new context and goes from one handshake to the
 * next. Connections that are open stay as they are.
 *
 * Threads: making one on the main thread; use on any. */
#ifndef SERVER_NET_TLS_H
#define SERVER_NET_TLS_H

#include "core/base/err.h"
#include "core/config/config.h"

#include <stdbool.h>

struct loop;
struct tls_identity;

static inline bool tls_is_on(const struct config *config)
{
    return config->tls.cert[0] != '\0';
}

/* Reads both files and checks that they belong together. NULL where TLS is off. Errors: SYNC_ECONFIG, with
 * the option, the file and what is wrong with it; SYNC_ENOMEM. */
enum sync_err tls_identity_load(const struct config_tls *config, struct tls_identity **ret,
                                struct err_ctx *ec);
void tls_identity_free(struct tls_identity *t); /* takes NULL */

/* Sets up a loop's context (an SSL_CTX): TLS 1.2 and 1.3, with the identity of the loop's settings. False: it
 * cannot be used. */
bool tls_set_up_context(void *ssl_ctx, struct loop *l);

/* The context that libwebsockets wants for connections that it would make itself, and never uses. Its own
 * would hold all certificates of the system, and with several loops the library loses it at the end. NULL
 * when memory is short. */
void *tls_idle_context_new(void);
void tls_idle_context_free(void *ssl_ctx); /* takes NULL */

#endif
