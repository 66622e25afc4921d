#include "server/net/auth.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>

struct digest {
    unsigned char bytes[SHA256_DIGEST_LENGTH];
};

struct auth {
    bool open; /* mode none: everyone comes in */
    size_t count;
    struct digest digests[];
};

static struct digest digest_of(struct slice token)
{
    struct digest d;
    (void)SHA256((const unsigned char *)token.bytes, token.len, d.bytes);
    return d;
}

struct auth *auth_new(const struct config_auth *config)
{
    size_t count = config->tokens.count;
    struct auth *a = calloc(1, sizeof *a + count * sizeof a->digests[0]);
    if (a == NULL) return NULL;
    a->open = config->mode == AUTH_MODE_NONE;
    a->count = count;
    for (size_t i = 0; i < count; i++) a->digests[i] = digest_of(config->tokens.items[i]);
    return a;
}

void auth_free(struct auth *a)
{
    free(a);
}

enum sync_err auth_check(const struct auth *a, struct slice token, struct err_ctx *ec)
{
    if (a->open) return SYNC_OK;
    if (token.len == 0) return err_set(ec, SYNC_EAUTH, "a token is required");
    struct digest given = digest_of(token);
    int found = 0;
    for (size_t i = 0; i < a->count; i++)
        found |= CRYPTO_memcmp(given.bytes, a->digests[i].bytes, sizeof given.bytes) == 0;
    return found ? SYNC_OK : err_set(ec, SYNC_EAUTH, "the token is not valid");
}
