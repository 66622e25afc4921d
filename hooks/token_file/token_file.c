/* token_file.c -- a hook: tokens in a file, a line for each.
 *
 *     # token        user   databases        rights
 *     s3cr3t-of-ann  ann    shop,team-*      read-write
 *     s3cr3t-of-bob  bob    *                read-only
 *
 * Databases are a list of shell patterns. The configuration string is the file's path. The file is looked at
 * with each authentication and read again when it has changed; one that cannot be read, or has a wrong line,
 * changes nothing and is logged. Open connections are checked again every RECHECK_MS, so a token that was
 * taken out of the file loses them. Tokens are kept and compared as SHA-256 digests, all of them each
 * time. */
#include "hooks/sync_hooks.h"

#include <errno.h>
#include <fnmatch.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { LINE_MAX_BYTES = 4096, ENTRIES_MAX = 100000, RECHECK_MS = 60000 };

struct entry {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char user[SYNC_USER_ID_TEXT];
    char *databases; /* patterns with commas between them */
    int may_write;
};

struct list {
    struct entry *entries;
    size_t count;
};

struct tokens {
    const struct sync_host *host;
    pthread_mutex_t lock; /* of the two below */
    struct list list;
    struct stat seen; /* the file as it was looked at last */
    char path[];
};

static void list_free(struct list *l)
{
    for (size_t i = 0; i < l->count; i++) free(l->entries[i].databases);
    free(l->entries);
    *l = (struct list){0};
}

/* Adds what a line says. NULL, or what is wrong with it. */
static const char *add_line(struct list *l, char *line)
{
    char *rest, *token = strtok_r(line, " \t\r\n", &rest);
    if (token == NULL || token[0] == '#') return NULL;
    char *user = strtok_r(NULL, " \t\r\n", &rest), *databases = strtok_r(NULL, " \t\r\n", &rest);
    char *rights = strtok_r(NULL, " \t\r\n", &rest);
    if (rights == NULL || strtok_r(NULL, " \t\r\n", &rest) != NULL)
        return "not four words: token, user, databases, rights";
    int may_write = strcmp(rights, "read-write") == 0;
    if (!may_write && strcmp(rights, "read-only") != 0) return "rights are read-write or read-only";
    if (strlen(user) >= SYNC_USER_ID_TEXT) return "the user's name is too long";
    if (l->count == ENTRIES_MAX) return "too many lines";
    if ((l->count & (l->count - 1)) == 0) { /* room doubles at each power of two */
        struct entry *entries = realloc(l->entries, (l->count == 0 ? 1 : l->count * 2) * sizeof *entries);
        if (entries == NULL) return "no memory";
        l->entries = entries;
    }
    struct entry *e = &l->entries[l->count];
    memset(e, 0, sizeof *e);
    SHA256((const unsigned char *)token, strlen(token), e->digest);
    strcpy(e->user, user);
    e->may_write = may_write;
    e->databases = strdup(databases);
    if (e->databases == NULL) return "no memory";
    l->count++;
    return NULL;
}

/* Reads the file; 0, and a text, when it cannot be used. */
static int read_file(const char *path, struct list *ret, struct stat *ret_seen, char text[SYNC_ANSWER_TEXT])
{
    struct list l = {0};
    char line[LINE_MAX_BYTES];
    const char *wrong = NULL;
    unsigned number = 0;
    FILE *f = fopen(path, "re");
    if (f == NULL || fstat(fileno(f), ret_seen) != 0) {
        snprintf(text, SYNC_ANSWER_TEXT, "%.150s: %s", path, strerror(errno));
        if (f != NULL) fclose(f);
        return 0;
    }
    while (wrong == NULL && fgets(line, sizeof line, f) != NULL) {
        number++;
        wrong = strlen(line) == sizeof line - 1 ? "the line is too long" : add_line(&l, line);
    }
    if (wrong == NULL && ferror(f)) wrong = "it cannot be read";
    fclose(f);
    OPENSSL_cleanse(line, sizeof line);
    if (wrong != NULL) {
        snprintf(text, SYNC_ANSWER_TEXT, "%.150s:%u: %s", path, number, wrong);
        list_free(&l);
        return 0;
    }
    *ret = l;
    return 1;
}

/* Called with the lock. 0 when the list before stays. */
static int renew(struct tokens *t, char text[SYNC_ANSWER_TEXT])
{
    struct list fresh;
    struct stat seen;
    if (!read_file(t->path, &fresh, &seen, text)) return 0;
    list_free(&t->list);
    t->list = fresh;
    t->seen = seen;
    return 1;
}

static void look(struct tokens *t)
{
    struct stat now;
    char text[SYNC_ANSWER_TEXT];
    if (stat(t->path, &now) == 0 && now.st_ino == t->seen.st_ino && now.st_dev == t->seen.st_dev &&
        now.st_size == t->seen.st_size && now.st_mtim.tv_sec == t->seen.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == t->seen.st_mtim.tv_nsec)
        return;
    if (!renew(t, text)) t->host->log(t->host, SYNC_LOG_ERROR, text);
}

static int tokens_open(const struct sync_host *host, const char *config, void **ret,
                       struct sync_answer *answer)
{
    struct tokens *t = calloc(1, sizeof *t + strlen(config) + 1);
    if (t == NULL) return SYNC_HOOK_FAILED;
    strcpy(t->path, config);
    t->host = host;
    pthread_mutex_init(&t->lock, NULL);
    if (!renew(t, answer->text)) {
        pthread_mutex_destroy(&t->lock);
        free(t);
        return SYNC_HOOK_FAILED;
    }
    *ret = t;
    return SYNC_HOOK_OK;
}

static void tokens_shutdown(void *state)
{
    struct tokens *t = state;
    list_free(&t->list);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static int tokens_reload(void *state, struct sync_answer *answer)
{
    struct tokens *t = state;
    pthread_mutex_lock(&t->lock);
    int good = renew(t, answer->text);
    pthread_mutex_unlock(&t->lock);
    return good ? SYNC_HOOK_OK : SYNC_HOOK_FAILED;
}

static int covers(const char *patterns, struct sync_text database)
{
    char name[256], pattern[LINE_MAX_BYTES];
    if (database.len >= sizeof name) return 0;
    memcpy(name, database.bytes, database.len);
    name[database.len] = '\0';
    for (const char *at = patterns; *at != '\0';) {
        size_t len = strcspn(at, ",");
        memcpy(pattern, at, len); /* a part of a line, which fits */
        pattern[len] = '\0';
        if (fnmatch(pattern, name, 0) == 0) return 1;
        at += len + (at[len] == ',');
    }
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int tokens_authenticate(void *state, const struct sync_request *request, struct sync_grant *grant,
                               struct sync_answer *answer)
{
    struct tokens *t = state;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    const struct entry *found = NULL;
    SHA256((const unsigned char *)request->token.bytes, request->token.len, digest);
    pthread_mutex_lock(&t->lock);
    look(t);
    for (size_t i = 0; i < t->list.count; i++)
        if (CRYPTO_memcmp(digest, t->list.entries[i].digest, sizeof digest) == 0) found = &t->list.entries[i];
    int covered = found != NULL && covers(found->databases, request->database);
    if (covered) {
        strcpy(grant->user_id, found->user);
        grant->metadata[0] = found->may_write ? 'w' : 'r';
        grant->metadata_len = 1;
        grant->recheck_ms = now_ms() + RECHECK_MS;
    }
    pthread_mutex_unlock(&t->lock);
    if (covered) return SYNC_HOOK_OK;
    t->host->count(t->host, "refused", 1);
    snprintf(answer->text, sizeof answer->text, "%s",
             found == NULL ? "the token is not valid" : "the token is not for this database");
    return SYNC_HOOK_REFUSED;
}

static int tokens_authorize(void *state, const struct sync_identity *who, const struct sync_operation *what,
                            struct sync_answer *answer)
{
    (void)state;
    if (what->kind != SYNC_APPLY_CHANGES || sync_text_is(who->metadata, "w")) return SYNC_HOOK_OK;
    snprintf(answer->text, sizeof answer->text, "this token may only read");
    return SYNC_HOOK_REFUSED;
}

SYNC_HOOKS_EXPORT const struct sync_hooks sync_hooks = {
    SYNC_HOOKS_HEAD,
    .flags = SYNC_HOOKS_THREAD_SAFE,
    .open = tokens_open,
    .shutdown = tokens_shutdown,
    .reload = tokens_reload,
    .authenticate = tokens_authenticate,
    .authorize = tokens_authorize,
};
