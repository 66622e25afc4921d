#include "storage/snapshots/gunzip.h"

#include "storage/snapshots/gzip_member.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum place { PLACE_HEAD, PLACE_MEMBER, PLACE_STREAM };

enum { GZIP_ONLY = 16 + MAX_WBITS };

struct gunzip {
    struct gunzip_sink sink;
    struct libdeflate_decompressor *blocks;
    z_stream stream;
    bool stream_open;
    enum place place;
    bool any;           /* a member has ended */
    size_t member_size; /* in PLACE_MEMBER */
    size_t held;        /* bytes of the head or the member that came */
    uint8_t member[MEMBER_BYTES_MAX];
    uint8_t text[MEMBER_TEXT_MAX];
};

static enum sync_err damaged(struct err_ctx *ec)
{
    return err_set(ec, SYNC_EFORMAT, "damaged snapshot: not gzip, or broken");
}

enum sync_err gunzip_new(struct gunzip_sink sink, struct gunzip **ret, struct err_ctx *ec)
{
    struct gunzip *g = malloc(sizeof *g);
    if (g == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to unpack gzip");
    memset(g, 0, offsetof(struct gunzip, member));
    g->sink = sink;
    g->blocks = libdeflate_alloc_decompressor();
    if (g->blocks == NULL) {
        gunzip_free(g);
        return err_set(ec, SYNC_ENOMEM, "no memory to unpack gzip");
    }
    *ret = g;
    return SYNC_OK;
}

void gunzip_free(struct gunzip *g)
{
    if (g == NULL) return;
    if (g->stream_open) (void)inflateEnd(&g->stream);
    libdeflate_free_decompressor(g->blocks);
    free(g);
}

static void member_ended(struct gunzip *g)
{
    g->place = PLACE_HEAD;
    g->held = 0;
    g->any = true;
}

/* ---- a member that is not one of ours */

static enum sync_err begin_stream(struct gunzip *g, struct err_ctx *ec)
{
    int result = g->stream_open ? inflateReset(&g->stream) : inflateInit2(&g->stream, GZIP_ONLY);
    if (result != Z_OK) return err_set(ec, SYNC_ENOMEM, "no memory to unpack gzip");
    g->stream_open = true;
    g->place = PLACE_STREAM;
    return SYNC_OK;
}

/* Takes bytes from the front of *bytes, until they or the member end. */
static enum sync_err put_stream(struct gunzip *g, struct slice *bytes, struct err_ctx *ec)
{
    z_stream *z = &g->stream;
    enum sync_err rc = SYNC_OK;
    z->next_in = (uint8_t *)(uintptr_t)bytes->bytes; /* zlib only reads it */
    z->avail_in = (uInt)bytes->len;
    do {
        z->next_out = g->text;
        z->avail_out = MEMBER_TEXT_MAX;
        int result = inflate(z, Z_NO_FLUSH);
        if (result == Z_BUF_ERROR) break; /* nothing more to be had of these bytes */
        if (result == Z_MEM_ERROR) return err_set(ec, SYNC_ENOMEM, "no memory to unpack gzip");
        if (result != Z_OK && result != Z_STREAM_END) return damaged(ec);
        size_t len = MEMBER_TEXT_MAX - z->avail_out;
        if (len > 0) rc = g->sink.put(g->sink.arg, slice_of((char *)g->text, len), ec);
        if (result == Z_STREAM_END) member_ended(g);
    } while (rc == SYNC_OK && g->place == PLACE_STREAM && (z->avail_in > 0 || z->avail_out == 0));
    *bytes = slice_of(bytes->bytes + (bytes->len - z->avail_in), z->avail_in);
    return rc;
}

/* ---- one of ours */

static enum sync_err unpack(struct gunzip *g, const uint8_t *member, struct err_ctx *ec)
{
    size_t len;
    if (!gzip_member_get(g->blocks, slice_of((const char *)member, g->member_size), g->text, &len))
        return damaged(ec);
    member_ended(g);
    return len > 0 ? g->sink.put(g->sink.arg, slice_of((char *)g->text, len), ec) : SYNC_OK;
}

/* Moves bytes from the front until `wanted` are held. */
static bool hold(struct gunzip *g, struct slice *bytes, size_t wanted)
{
    size_t missing = wanted - g->held, n = bytes->len < missing ? bytes->len : missing;
    memcpy(g->member + g->held, bytes->bytes, n);
    g->held += n;
    *bytes = slice_of(bytes->bytes + n, bytes->len - n);
    return g->held == wanted;
}

static enum sync_err on_head(struct gunzip *g, struct err_ctx *ec)
{
    g->member_size = gzip_member_bytes(g->member);
    if (g->member_size > 0) {
        g->place = PLACE_MEMBER;
        return SYNC_OK;
    }
    struct slice head = slice_of((char *)g->member, MEMBER_HEAD_BYTES);
    enum sync_err rc = begin_stream(g, ec);
    /* It cannot end before its head does: nothing of the head is left. */
    return rc == SYNC_OK ? put_stream(g, &head, ec) : rc;
}

/* A member that lies in the bytes as a whole needs no copy. */
static enum sync_err take_in_place(struct gunzip *g, struct slice *bytes, bool *ret_taken, struct err_ctx *ec)
{
    *ret_taken = false;
    if (g->held > 0 || bytes->len < MEMBER_HEAD_BYTES) return SYNC_OK;
    const uint8_t *member = (const uint8_t *)bytes->bytes;
    g->member_size = gzip_member_bytes(member);
    if (g->member_size == 0 || g->member_size > bytes->len) return SYNC_OK;
    *ret_taken = true;
    *bytes = slice_of(bytes->bytes + g->member_size, bytes->len - g->member_size);
    return unpack(g, member, ec);
}

enum sync_err gunzip_put(struct gunzip *g, struct slice bytes, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    while (bytes.len > 0 && rc == SYNC_OK) {
        bool taken = false;
        if (g->place == PLACE_HEAD) rc = take_in_place(g, &bytes, &taken, ec);
        if (taken || rc != SYNC_OK) continue;
        switch (g->place) {
        case PLACE_HEAD:
            if (hold(g, &bytes, MEMBER_HEAD_BYTES)) rc = on_head(g, ec);
            break;
        case PLACE_MEMBER:
            if (hold(g, &bytes, g->member_size)) rc = unpack(g, g->member, ec);
            break;
        case PLACE_STREAM: rc = put_stream(g, &bytes, ec); break;
        }
    }
    return rc;
}

enum sync_err gunzip_end(const struct gunzip *g, struct err_ctx *ec)
{
    if (g->any && g->place == PLACE_HEAD && g->held == 0) return SYNC_OK;
    return err_set(ec, SYNC_EFORMAT, "damaged snapshot: it is cut short");
}
