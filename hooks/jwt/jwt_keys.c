#include "hooks/jwt/jwt_keys.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *read_key_file(const char *path, struct jwt_key *k)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) return strerror(errno);
    k->len = fread(k->bytes, 1, JWT_KEY_BYTES_MAX, f);
    int failed = ferror(f) || !feof(f);
    fclose(f);
    return failed ? "it cannot be read, or is too long for a key" : NULL;
}

static const char *read_key_env(const char *name, struct jwt_key *k)
{
    const char *value = getenv(name);
    if (value == NULL) return "there is no such environment variable";
    if (strlen(value) > JWT_KEY_BYTES_MAX) return "it is too long for a key";
    k->len = strlen(value);
    memcpy(k->bytes, value, k->len);
    return NULL;
}

/* A secret that is a public key, or short enough to be guessed, lets anybody in. */
static const char *check_key(struct jwt_key *k)
{
    int pem = memmem(k->bytes, k->len, "-----BEGIN", 10) != NULL;
    if (k->alg != JWT_ALG_HS256) return pem ? NULL : "it is not in PEM";
    while (k->len > 0 && (k->bytes[k->len - 1] == '\n' || k->bytes[k->len - 1] == '\r')) k->len--;
    if (pem) return "a PEM key is no secret for HS256";
    return k->len < JWT_SECRET_BYTES_MIN ? "a secret for HS256 has at least 32 bytes" : NULL;
}

/* ALG[/KID]:file:PATH or ALG[/KID]:env:NAME */
static const char *read_key(char *value, struct jwt_settings *s)
{
    if (s->key_count == JWT_KEYS_MAX) return "too many keys";
    struct jwt_key *k = &s->keys[s->key_count];
    char *source = strchr(value, ':'), *name = source == NULL ? NULL : strchr(source + 1, ':');
    if (name == NULL) return "not ALG[/KID]:file:PATH or ALG[/KID]:env:NAME";
    *source++ = *name++ = '\0';
    char *kid = strchr(value, '/');
    if (kid != NULL) {
        *kid++ = '\0';
        if (strlen(kid) > JWT_NAME_MAX) return "the kid is too long";
        strcpy(k->kid, kid);
    }
    k->alg = jwt_str_alg(value);
    if (k->alg != JWT_ALG_HS256 && k->alg != JWT_ALG_RS256 && k->alg != JWT_ALG_ES256)
        return "the algorithm is HS256, RS256 or ES256";
    k->bytes = calloc(1, JWT_KEY_BYTES_MAX + 1);
    if (k->bytes == NULL) return "no memory";
    s->key_count++;
    const char *wrong = strcmp(source, "file") == 0  ? read_key_file(name, k)
                        : strcmp(source, "env") == 0 ? read_key_env(name, k)
                                                     : "a key comes from file: or env:";
    return wrong != NULL ? wrong : check_key(k);
}

static const char *read_text(char *ret, const char *value)
{
    if (strlen(value) > JWT_NAME_MAX) return "it is too long";
    strcpy(ret, value);
    return NULL;
}

static const char *read_seconds(long *ret, const char *value)
{
    char *end;
    errno = 0;
    long n = strtol(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || n < 0 || n > 86400L * 365)
        return "not a number of seconds";
    *ret = n;
    return NULL;
}

static const char *read_word(const char *name, char *value, struct jwt_settings *s)
{
    if (strcmp(name, "key") == 0) return read_key(value, s);
    if (strcmp(name, "issuer") == 0) return read_text(s->issuer, value);
    if (strcmp(name, "audience") == 0) return read_text(s->audience, value);
    if (strcmp(name, "user_claim") == 0) return read_text(s->user, value);
    if (strcmp(name, "databases_claim") == 0) return read_text(s->databases, value);
    if (strcmp(name, "site_claim") == 0) return read_text(s->site, value);
    if (strcmp(name, "access_claim") == 0) return read_text(s->access, value);
    if (strcmp(name, "leeway_s") == 0) return read_seconds(&s->leeway_s, value);
    if (strcmp(name, "recheck_s") == 0) return read_seconds(&s->recheck_s, value);
    if (strcmp(name, "any_database") == 0) {
        s->any_database = strcmp(value, "yes") == 0;
        return s->any_database || strcmp(value, "no") == 0 ? NULL : "yes or no";
    }
    return "there is no such setting";
}

const char *jwt_settings_read(const char *config, struct jwt_settings *ret, char *text, size_t text_bytes)
{
    struct jwt_settings s = {
        .user = "sub", .databases = "databases", .site = "site_id", .access = "access", .leeway_s = 60};
    const char *wrong = NULL;
    char *copy = strdup(config), *rest = NULL;
    if (copy == NULL) return "no memory";
    for (char *word = strtok_r(copy, " \t\n", &rest); word != NULL && wrong == NULL;
         word = strtok_r(NULL, " \t\n", &rest)) {
        char *value = strchr(word, '=');
        if (value != NULL) *value++ = '\0';
        wrong = value == NULL ? "not NAME=VALUE" : read_word(word, value, &s);
        if (wrong != NULL) {
            snprintf(text, text_bytes, "%.40s: %s", word, wrong);
            wrong = text;
        }
    }
    free(copy);
    if (wrong == NULL && s.key_count == 0) wrong = "no key= is given";
    if (wrong != NULL)
        jwt_settings_free(&s);
    else
        *ret = s;
    return wrong;
}

void jwt_settings_free(struct jwt_settings *s)
{
    for (size_t i = 0; i < s->key_count; i++) {
        OPENSSL_cleanse(s->keys[i].bytes, JWT_KEY_BYTES_MAX);
        free(s->keys[i].bytes);
    }
    s->key_count = 0;
}
