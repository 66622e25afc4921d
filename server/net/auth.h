/* auth.h -- the built-in check of tokens.
 *
 * Comparing takes the same time whatever the token: all digests of the list are compared, none of the tokens
 * themselves. Threads: any; constant after auth_new(). */
#ifndef SERVER_NET_AUTH_H
#define SERVER_NET_AUTH_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/config/config.h"

#include <stdbool.h>

struct auth;

struct auth *auth_new(const struct config_auth *config); /* NULL when memory is short */
void auth_free(struct auth *a);

/* Errors: SYNC_EAUTH. `token` may be empty. */
enum sync_err auth_check(const struct auth *a, struct slice token, struct err_ctx *ec);

#endif
