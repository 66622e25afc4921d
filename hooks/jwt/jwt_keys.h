/* jwt_keys.h -- the settings of the JWT hook, and its keys. Constant once read. */
#ifndef HOOKS_JWT_KEYS_H
#define HOOKS_JWT_KEYS_H

#include <jwt.h>
#include <stddef.h>

enum { JWT_KEYS_MAX = 32, JWT_NAME_MAX = 127, JWT_KEY_BYTES_MAX = 16384, JWT_SECRET_BYTES_MIN = 32 };

struct jwt_key {
    jwt_alg_t alg;
    char kid[JWT_NAME_MAX + 1]; /* "": for tokens without one */
    unsigned char *bytes;       /* PEM of a public key, or an HMAC secret */
    size_t len;
};

struct jwt_settings {
    struct jwt_key keys[JWT_KEYS_MAX];
    size_t key_count;
    char issuer[JWT_NAME_MAX + 1], audience[JWT_NAME_MAX + 1]; /* "": not looked at */
    char user[JWT_NAME_MAX + 1], databases[JWT_NAME_MAX + 1];  /* names of claims */
    char site[JWT_NAME_MAX + 1], access[JWT_NAME_MAX + 1];
    long leeway_s, recheck_s;
    int any_database; /* a token without the claim is good for all */
};

/* Reads a configuration string. NULL, or what is wrong, written to `text`. */
const char *jwt_settings_read(const char *config, struct jwt_settings *ret, char *text, size_t text_bytes);
void jwt_settings_free(struct jwt_settings *s);

#endif
