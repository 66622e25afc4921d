/* gunzip.h -- unpacks gzip as it comes in, of any number of members.
 *
 * Members of gzip_member.h are unpacked as whole blocks; any other gzip, as a tool or another program wrote
 * it, goes through a stream. Both checksums are looked at before gunzip_end() is content, but text is handed
 * out before that is known.
 *
 * The bytes are untrusted: memory is one member and its text, whatever they are.
 *
 * Threads: one at a time. */
#ifndef STORAGE_SNAPSHOTS_GUNZIP_H
#define STORAGE_SNAPSHOTS_GUNZIP_H

#include "core/base/err.h"
#include "core/base/slice.h"

/* Gets the text, in pieces. Anything but SYNC_OK ends the unpacking with that code. */
struct gunzip_sink {
    enum sync_err (*put)(void *arg, struct slice text, struct err_ctx *ec);
    void *arg;
};

struct gunzip;

/* Errors: SYNC_ENOMEM. */
enum sync_err gunzip_new(struct gunzip_sink sink, struct gunzip **ret, struct err_ctx *ec);
/* Errors: SYNC_EFORMAT (not gzip, or damaged), SYNC_ENOMEM, the sink's; all final. */
enum sync_err gunzip_put(struct gunzip *g, struct slice bytes, struct err_ctx *ec);
/* There are no more. Errors: SYNC_EFORMAT (cut short, or nothing came). */
enum sync_err gunzip_end(const struct gunzip *g, struct err_ctx *ec);
void gunzip_free(struct gunzip *g); /* takes NULL */

#endif
