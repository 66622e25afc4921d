#include "storage/objects/credentials.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 1 << 20, NAME_MAX_BYTES = 512 };

struct credentials {
    pthread_mutex_t lock; /* guards keys and seen */
    struct credentials_keys keys;
    bool from_file;
    struct stat seen; /* of the file that the keys were read from */
    char file[NAME_MAX_BYTES];
    char profile[128];
    char source[NAME_MAX_BYTES + 160];
};

void credentials_wipe(struct credentials_keys *keys)
{
    OPENSSL_cleanse(keys, sizeof *keys);
}

/* ---- the profile file */

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t') text++;
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL) len--;
    text[len] = '\0';
    return text;
}

/* Keys go into HTTP headers: what is not visible ASCII is not a key, and must not get there. */
static bool copy_text(char *ret, size_t room, const char *text)
{
    size_t len = strlen(text);
    if (len >= room) return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~') return false;
    memcpy(ret, text, len + 1);
    return true;
}

/* One line of the right profile. False when a value cannot be one. */
static bool take_setting(char *line, struct credentials_keys *keys)
{
    char *equals = strchr(line, '=');
    if (equals == NULL) return true;
    *equals = '\0';
    const char *name = trim(line), *value = trim(equals + 1);
    if (strcmp(name, "aws_access_key_id") == 0)
        return copy_text(keys->access_key_id, sizeof keys->access_key_id, value);
    if (strcmp(name, "aws_secret_access_key") == 0)
        return copy_text(keys->secret_access_key, sizeof keys->secret_access_key, value);
    if (strcmp(name, "aws_session_token") == 0)
        return copy_text(keys->session_token, sizeof keys->session_token, value);
    return true;
}

/* Is line "[NAME]" (or, as in ~/.aws/config, "[profile NAME]") of this profile? */
static bool opens_profile(char *line, const char *profile)
{
    char *end = strchr(line, ']');
    if (end == NULL) return false;
    *end = '\0';
    char *name = trim(line + 1);
    if (strncmp(name, "profile ", 8) == 0) name = trim(name + 8);
    return strcmp(name, profile) == 0;
}

/* Cuts text, a copy, into its lines. */
static bool parse_in_place(char *text, const char *profile, struct credentials_keys *ret)
{
    bool inside = false;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        line = trim(line);
        if (line[0] == '#' || line[0] == ';') continue;
        if (line[0] == '[')
            inside = opens_profile(line, profile);
        else if (inside && !take_setting(line, ret))
            return false;
    }
    return ret->access_key_id[0] != '\0' && ret->secret_access_key[0] != '\0';
}

bool credentials_parse(const char *text, const char *profile, struct credentials_keys *ret)
{
    struct credentials_keys keys = {0};
    size_t bytes = strlen(text) + 1;
    char *copy = strdup(text);
    bool good = copy != NULL && parse_in_place(copy, profile, &keys);
    if (copy != NULL) OPENSSL_cleanse(copy, bytes);
    free(copy);
    if (good) *ret = keys;
    credentials_wipe(&keys);
    return good;
}

/* The file's text, zero terminated, to be wiped and freed; NULL when it cannot be read. */
static char *read_file(const char *path, struct stat *ret_st, size_t *ret_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    char *text = NULL;
    if (fstat(fd, ret_st) == 0 && S_ISREG(ret_st->st_mode) && ret_st->st_size < FILE_BYTES_MAX) {
        size_t size = (size_t)ret_st->st_size;
        text = malloc(size + 1);
        ssize_t n = text == NULL ? -1 : read(fd, text, size);
        if (n < 0) {
            free(text);
            text = NULL;
        } else {
            text[n] = '\0';
            *ret_bytes = (size_t)n;
        }
    }
    (void)close(fd);
    return text;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Reads the file again if it changed. True when c->keys are from it. With the lock held. */
static bool read_if_changed(struct credentials *c)
{
    struct stat st;
    size_t bytes = 0;
    if (stat(c->file, &st) != 0) return false;
    if (same_file(&st, &c->seen)) return true;
    char *text = read_file(c->file, &st, &bytes);
    if (text == NULL) return false;
    bool good = credentials_parse(text, c->profile, &c->keys); /* leaves the last good ones otherwise */
    if (good) c->seen = st;
    OPENSSL_cleanse(text, bytes);
    free(text);
    return good;
}

/* ---- where from */

static const char *system_environment(const char *name)
{
    return getenv(name);
}

static bool has_text(const char *s)
{
    return s != NULL && s[0] != '\0';
}

static enum sync_err take_keys(struct credentials *c, const char *source, const char *id, const char *secret,
                               const char *token, struct err_ctx *ec)
{
    if (!has_text(secret))
        return err_set(ec, SYNC_ECONFIG, "S3 access key without its secret, from %s", source);
    if (!copy_text(c->keys.access_key_id, sizeof c->keys.access_key_id, id) ||
        !copy_text(c->keys.secret_access_key, sizeof c->keys.secret_access_key, secret) ||
        !copy_text(c->keys.session_token, sizeof c->keys.session_token, has_text(token) ? token : ""))
        return err_set(ec, SYNC_ECONFIG, "S3 keys too long, or with spaces in them, from %s", source);
    (void)snprintf(c->source, sizeof c->source, "%s", source);
    return SYNC_OK;
}

static enum sync_err take_profile(struct credentials *c, const struct credentials_config *cfg,
                                  const char *(*environment)(const char *), struct err_ctx *ec)
{
    const char *file = has_text(cfg->file) ? cfg->file : environment("AWS_SHARED_CREDENTIALS_FILE");
    const char *profile = has_text(cfg->profile) ? cfg->profile : environment("AWS_PROFILE");
    const char *home = environment("HOME");
    int n = has_text(file)
                ? snprintf(c->file, sizeof c->file, "%s", file)
                : snprintf(c->file, sizeof c->file, "%s/.aws/credentials", has_text(home) ? home : "");
    int p = snprintf(c->profile, sizeof c->profile, "%s", has_text(profile) ? profile : "default");
    if (n < 0 || (size_t)n >= sizeof c->file || p < 0 || (size_t)p >= sizeof c->profile)
        return err_set(ec, SYNC_ECONFIG, "name of the AWS profile file or of the profile is too long");
    (void)snprintf(c->source, sizeof c->source, "%s, profile %s", c->file, c->profile);
    c->from_file = true;
    if (!read_if_changed(c))
        return err_set(ec, SYNC_ECONFIG,
                       "no S3 keys: S3_ACCESS_KEY_ID and AWS_ACCESS_KEY_ID are not set, and %.100s has no "
                       "readable profile %.40s",
                       c->file, c->profile);
    return SYNC_OK;
}

enum sync_err credentials_new(const struct credentials_config *cfg, struct credentials **ret,
                              struct err_ctx *ec)
{
    const char *(*environment)(const char *) =
        cfg->environment == NULL ? system_environment : cfg->environment;
    struct credentials *c = calloc(1, sizeof *c);
    enum sync_err rc;
    if (c == NULL) return err_set(ec, SYNC_ENOMEM, "S3 keys");
    (void)pthread_mutex_init(&c->lock, NULL);
    const char *from_environment = environment("AWS_ACCESS_KEY_ID");
    if (has_text(cfg->access_key_id))
        rc = take_keys(c, "the settings", cfg->access_key_id, cfg->secret_access_key, cfg->session_token, ec);
    else if (has_text(from_environment))
        rc = take_keys(c, "the environment", from_environment, environment("AWS_SECRET_ACCESS_KEY"),
                       environment("AWS_SESSION_TOKEN"), ec);
    else
        rc = take_profile(c, cfg, environment, ec);
    if (rc != SYNC_OK) {
        credentials_free(c);
        return rc;
    }
    *ret = c;
    return SYNC_OK;
}

void credentials_free(struct credentials *c)
{
    if (c == NULL) return;
    (void)pthread_mutex_destroy(&c->lock);
    credentials_wipe(&c->keys);
    free(c);
}

void credentials_get(struct credentials *c, struct credentials_keys *ret)
{
    pthread_mutex_lock(&c->lock);
    if (c->from_file) (void)read_if_changed(c); /* otherwise the last good ones go on */
    *ret = c->keys;
    pthread_mutex_unlock(&c->lock);
}

const char *credentials_source(const struct credentials *c)
{
    return c->source;
}
