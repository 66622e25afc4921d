/* credentials.h -- the keys that requests are signed with, and where they come from.
 *
 * The first of these that has a key id:
 *   1. the settings
 *   2. the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   3. the AWS profile file: the profile's aws_access_key_id, aws_secret_access_key, aws_session_token; the
 *      file is AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials, the profile AWS_PROFILE or "default"
 *
 * The file is looked at before every use and read again when it has changed, so that a tool which renews
 * short-lived keys in it needs no restart; while it cannot be read the last good keys go on. Settings and
 * environment do not change.
 *
 * Threads: any. */
#ifndef STORAGE_OBJECTS_CREDENTIALS_H
#define STORAGE_OBJECTS_CREDENTIALS_H

#include "core/base/err.h"

#include <stdbool.h>

enum { CREDENTIALS_KEY_ID_MAX = 128, CREDENTIALS_SECRET_MAX = 256, CREDENTIALS_TOKEN_MAX = 8192 };

struct credentials_config {
    const char *access_key_id; /* NULL or "": none in the settings; then the next two are not looked at */
    const char *secret_access_key;
    const char *session_token; /* NULL or "": none */
    const char *profile;       /* NULL or "": AWS_PROFILE, "default" */
    const char *file;          /* NULL or "": AWS_SHARED_CREDENTIALS_FILE, ~/.aws/credentials */
    const char *(*environment)(const char *name); /* NULL: getenv() */
};

/* One set of keys, a copy. Wipe it after use. */
struct credentials_keys {
    char access_key_id[CREDENTIALS_KEY_ID_MAX + 1];
    char secret_access_key[CREDENTIALS_SECRET_MAX + 1];
    char session_token[CREDENTIALS_TOKEN_MAX + 1]; /* "": none */
};

struct credentials;

/* Errors: SYNC_ECONFIG when there are no keys anywhere (the text says where was looked), or a key without its
 * secret; SYNC_ENOMEM. */
enum sync_err credentials_new(const struct credentials_config *cfg, struct credentials **ret,
                              struct err_ctx *ec);
void credentials_free(struct credentials *c); /* wipes them; NULL does nothing */

/* The keys as they are now. */
void credentials_get(struct credentials *c, struct credentials_keys *ret);

/* "the settings", "the environment", "/root/.aws/credentials, profile default": for messages. Borrowed. */
const char *credentials_source(const struct credentials *c);

/* The keys of one profile out of a profile file's text. False when it has no such profile or no keys in
 * it. */
bool credentials_parse(const char *text, const char *profile, struct credentials_keys *ret);

void credentials_wipe(struct credentials_keys *keys);

#endif
