#include "hooks/hook_wire.h"

#include "core/json/json.h"

#include "hooks/hook_thread.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Waits until the socket is ready. Errors: SYNC_EIO when time is over. */
static enum sync_err wait_ready(int fd, short events, uint64_t until_ns, struct err_ctx *ec)
{
    for (;;) {
        uint64_t now_ns = hook_now_ns();
        int wait_ms = -1;
        if (until_ns != UINT64_MAX) {
            if (now_ns >= until_ns) return err_set(ec, SYNC_EIO, "time is over");
            uint64_t left_ms = (until_ns - now_ns) / 1000000u + 1;
            wait_ms = left_ms > 60000 ? 60000 : (int)left_ms;
        }
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, wait_ms);
        if (n > 0) return SYNC_OK;
        if (n < 0 && errno != EINTR) return err_set(ec, SYNC_EIO, "poll: %s", strerror(errno));
    }
}

enum sync_err hook_wire_send(int fd, struct slice frame, uint64_t until_ns, struct err_ctx *ec)
{
    while (frame.len > 0) {
        ssize_t n = send(fd, frame.bytes, frame.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            frame = slice_of(frame.bytes + n, frame.len - (size_t)n);
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno != EAGAIN) return err_set(ec, SYNC_EIO, "send: %s", strerror(errno));
        enum sync_err rc = wait_ready(fd, POLLOUT, until_ns, ec);
        if (rc != SYNC_OK) return rc;
    }
    return SYNC_OK;
}

static enum sync_err receive(int fd, char *ret, size_t len, uint64_t until_ns, struct err_ctx *ec)
{
    while (len > 0) {
        ssize_t n = recv(fd, ret, len, MSG_DONTWAIT);
        if (n == 0) return err_set(ec, SYNC_ECANCELED, "the other end is closed");
        if (n > 0) {
            ret += n;
            len -= (size_t)n;
            continue;
        }
        if (errno == EINTR) continue;
        if (errno == ECONNRESET) return err_set(ec, SYNC_ECANCELED, "the other end is gone");
        if (errno != EAGAIN) return err_set(ec, SYNC_EIO, "receive: %s", strerror(errno));
        enum sync_err rc = wait_ready(fd, POLLIN, until_ns, ec);
        if (rc != SYNC_OK) return rc;
    }
    return SYNC_OK;
}

enum sync_err hook_wire_receive(int fd, uint64_t until_ns, struct wire_frame *ret, struct err_ctx *ec)
{
    char head[WIRE_HEAD];
    enum sync_err rc = receive(fd, head, sizeof head, until_ns, ec);
    if (rc != SYNC_OK) return rc;
    struct wire_in in = {.at = head, .left = sizeof head};
    uint32_t len = wire_get_u32(&in);
    if (len < WIRE_HEAD - sizeof len || len > WIRE_FRAME_MAX)
        return err_set(ec, SYNC_EBADMSG, "a frame of %u bytes", len);
    size_t body_len = len - (WIRE_HEAD - sizeof len);
    char *bytes = malloc(body_len + JSON_PADDING);
    if (bytes == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a frame of %u bytes", len);
    rc = receive(fd, bytes, body_len, until_ns, ec);
    if (rc != SYNC_OK) {
        free(bytes);
        return rc;
    }
    memset(bytes + body_len, 0, JSON_PADDING);
    uint8_t type = (uint8_t)head[sizeof len];
    in = (struct wire_in){.at = head + sizeof len + sizeof type, .left = sizeof(uint32_t)};
    *ret = (struct wire_frame){
        .bytes = bytes, .type = type, .id = wire_get_u32(&in), .body = {.at = bytes, .left = body_len}};
    return SYNC_OK;
}
