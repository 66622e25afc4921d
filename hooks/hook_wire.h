/* hook_wire.h -- what the server and a helper process say to each other about one hook.
 *
 * Frames over a socketpair: length of the rest (u32), type (u8), id of the call (u32), body. Both ends are of
 * one build and one machine, so numbers are in its byte order. The server still checks whatever a helper
 * sends: the hook in there may have written over anything.
 *
 * Pure, but for hook_wire_send() and hook_wire_receive(). */
#ifndef HOOKS_HOOK_WIRE_H
#define HOOKS_HOOK_WIRE_H

#include "hooks/hook_local.h"

enum {
    WIRE_FRAME_MAX = 256 << 20, /* a message of 100 MiB, and the decisions about it */
    WIRE_HEAD = 9,
    WIRE_FD = 3, /* of the helper: its end of the socketpair */
};

enum wire_type {
    WIRE_OPEN,  /* server, first: name, path, configuration string */
    WIRE_HELLO, /* helper: the hook is open; is it serial, which functions has it */
    WIRE_SORRY, /* helper: it is not; the text says why */
    WIRE_CALL,  /* server */
    WIRE_REPLY, /* helper */
    WIRE_LOG,   /* helper */
    WIRE_COUNT, /* helper */
};

/* Reads a body; past its end everything is zero and `bad` is set. */
struct wire_in {
    const char *at;
    size_t left;
    bool bad;
};

uint32_t wire_get_u32(struct wire_in *in);
uint64_t wire_get_u64(struct wire_in *in);
struct slice wire_get_text(struct wire_in *in); /* a slice of the body */

void wire_put_u32(struct buf *out, uint32_t n);
void wire_put_u64(struct buf *out, uint64_t n);
void wire_put_text(struct buf *out, struct slice text);

/* Starts a frame in an empty buffer; wire_end() writes its length. */
void wire_begin(struct buf *out, enum wire_type type, uint32_t id);
void wire_end(struct buf *out);

/* A call as one hook gets to see it. `hook` is the name whose metadata goes along. */
void wire_put_call(struct buf *out, const struct hook_turn *turn, const char *hook);

/* A call read back: everything is a slice of the body or lives in here. */
struct wire_call {
    struct hook_input in;
    struct hook_turn turn;
    struct hook_sets sets;
    struct batch batch;
    struct hook_header *headers;
    struct hook_identity *identity;
};

/* The body is followed by JSON_PADDING readable bytes. Errors: SYNC_EBADMSG, SYNC_ENOMEM. Deinit in any
 * case. */
enum sync_err wire_get_call(struct wire_in *in, const char *hook, struct wire_call *ret, struct err_ctx *ec);
void wire_call_deinit(struct wire_call *c);

/* What the hook returned, and what it wrote: text, grant, path, decisions. */
void wire_put_reply(struct buf *out, int got, const struct hook_turn *turn);

/* Fills the turn. The decisions are checked against its view. False: it is not a reply to this call. */
bool wire_get_reply(struct wire_in *in, struct hook_turn *turn, int *ret_got);

/* Sends all of the frame until until_ns on the monotonic clock. Errors: SYNC_EIO. */
enum sync_err hook_wire_send(int fd, struct slice frame, uint64_t until_ns, struct err_ctx *ec);

/* A frame that arrived. JSON_PADDING readable bytes follow its body. */
struct wire_frame {
    char *bytes; /* malloc'ed */
    uint32_t type, id;
    struct wire_in body;
};

/* Waits for the next frame until until_ns (UINT64_MAX: for ever). Errors: SYNC_ECANCELED when the other end
 * was closed, SYNC_EIO, SYNC_EBADMSG, SYNC_ENOMEM. */
enum sync_err hook_wire_receive(int fd, uint64_t until_ns, struct wire_frame *ret, struct err_ctx *ec);

#endif
