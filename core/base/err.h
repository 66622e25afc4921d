/* err.h -- how a failure travels: a code to branch on, and a text for a person.
 *
 * The code decides what the server does (HTTP status, close code, retry); no code reads the text. The text
 * starts where the failure happened and grows a prefix at each level that knows more ("open data/shard-3:
 * format 9, this build reads up to 2"). Below server/ errors are returned, never logged.
 *
 * Threads: an err_ctx belongs to one caller, usually on its stack; two threads never share one. */
#ifndef CORE_BASE_ERR_H
#define CORE_BASE_ERR_H

#ifdef __cplusplus
extern "C" {
#endif

/* X(code, HTTP status, short name) */
#define SYNC_ERR_MAP(X)                                                                                      \
    X(OK, 200, "ok")                                                                                         \
    X(ENOMEM, 503, "out of memory")                                                                          \
    X(EBADMSG, 400, "malformed")   /* what a peer sent does not follow the protocol */                       \
    X(EDRIFT, 400, "clock drift")  /* an HLC is too far ahead of this server's wall clock */                 \
    X(ELIMIT, 413, "over a limit") /* a named limit would be passed */                                       \
    X(EAUTH, 401, "not authenticated")                                                                       \
    X(EFORBIDDEN, 403, "not authorized")                                                                     \
    X(ENOTFOUND, 404, "not found")                                                                           \
    X(EPRUNED, 410, "snapshot required") /* the watermark is older than what was pruned */                   \
    X(ESTORE, 503, "storage failure")    /* LevelDB or the disk below it; may go by itself */                \
    X(EFORMAT, 500, "unknown format")    /* stored bytes this build cannot read */                           \
    X(ECONFIG, 500, "configuration")                                                                         \
    X(EIO, 500, "input/output")   /* a file, socket or remote service */                                     \
    X(EBUSY, 503, "busy")         /* try again later */                                                      \
    X(ECANCELED, 503, "canceled") /* draining, or the asker is gone */

enum sync_err {
#define X(code, http, name) SYNC_##code,
    SYNC_ERR_MAP(X)
#undef X
};

enum { ERR_TEXT_MAX = 256 };

struct err_ctx {
    char text[ERR_TEXT_MAX]; /* zero terminated, cut when too long */
};

/* Replaces the text, returns `code`, so that a failing function can end in `return err_set(...)`. */
enum sync_err err_set(struct err_ctx *ec, enum sync_err code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " in front of the text. */
void err_wrap(struct err_ctx *ec, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts one step of a path in front: "[3]" before ".pk[0]: not a number" makes "[3].pk[0]: not a number". */
void err_place(struct err_ctx *ec, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Short name ("clock drift") and HTTP status of a code. */
const char *err_name(enum sync_err code);
int err_http_status(enum sync_err code);

#ifdef __cplusplus
}
#endif

#endif
