/* sync-hook-host: the helper process in which a hook runs that must not take the server down with it. Started
 * by the server, with its end of a socketpair as descriptor WIRE_FD; not to be started by hand.
 *
 * The main thread reads; threads of their own make the calls, one for a serial hook. When the server closes
 * its end, or ends, the hook is shut down and the helper ends; if the hook does not let it, an alarm does. */
#include "hooks/hook_local.h"
#include "hooks/hook_thread.h"
#include "hooks/hook_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CALL_THREADS = 8, SHUTDOWN_S_MAX = 10 };

struct pending {
    struct pending *next;
    struct wire_frame frame;
};

struct helper {
    struct hook_local hook;
    pthread_mutex_t lock; /* of the list */
    pthread_cond_t changed;
    struct pending *first, **end;
    bool closed;
    pthread_mutex_t send_lock;
};

static void send_frame(struct helper *h, struct buf *out)
{
    struct err_ctx ec;
    wire_end(out);
    if (out->failed != SYNC_OK) _exit(3); /* no memory for a reply: the server takes it for a crash */
    pthread_mutex_lock(&h->send_lock);
    enum sync_err rc = hook_wire_send(WIRE_FD, buf_slice(out), UINT64_MAX, &ec);
    pthread_mutex_unlock(&h->send_lock);
    buf_deinit(out);
    if (rc != SYNC_OK) _exit(0); /* the server is gone */
}

static void on_log(void *arg, const char *hook, int level, const char *text)
{
    struct buf out = buf_make(WIRE_FRAME_MAX);
    (void)hook; /* the server knows */
    wire_begin(&out, WIRE_LOG, 0);
    wire_put_u32(&out, (uint32_t)level);
    wire_put_text(&out, slice_str(text));
    send_frame(arg, &out);
}

static void on_count(void *arg, const char *hook, const char *name, uint64_t n)
{
    struct buf out = buf_make(WIRE_FRAME_MAX);
    (void)hook;
    wire_begin(&out, WIRE_COUNT, 0);
    wire_put_u64(&out, n);
    wire_put_text(&out, slice_str(name));
    send_frame(arg, &out);
}

static void make_call(struct helper *h, struct pending *p)
{
    struct wire_call call;
    struct err_ctx ec;
    struct buf out = buf_make(WIRE_FRAME_MAX);
    int got = SYNC_HOOK_FAILED;
    if (wire_get_call(&p->frame.body, h->hook.name, &call, &ec) == SYNC_OK)
        got = hook_local_call(&h->hook, &call.turn);
    else
        (void)snprintf(call.turn.text, sizeof call.turn.text, "its process could not read the call: %.150s",
                       ec.text);
    wire_begin(&out, WIRE_REPLY, p->frame.id);
    wire_put_reply(&out, got, &call.turn);
    send_frame(h, &out);
    wire_call_deinit(&call);
    free(p->frame.bytes);
    free(p);
}

static void *work(void *arg)
{
    struct helper *h = arg;
    pthread_mutex_lock(&h->lock);
    for (;;) {
        while (h->first == NULL && !h->closed) hook_cond_wait(&h->changed, &h->lock, UINT64_MAX);
        struct pending *p = h->first;
        if (p == NULL) break;
        h->first = p->next;
        if (h->first == NULL) h->end = &h->first;
        pthread_mutex_unlock(&h->lock);
        make_call(h, p);
        pthread_mutex_lock(&h->lock);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static bool put(struct helper *h, const struct wire_frame *f)
{
    struct pending *p = malloc(sizeof *p);
    if (p == NULL) return false;
    *p = (struct pending){.frame = *f};
    pthread_mutex_lock(&h->lock);
    *h->end = p;
    h->end = &p->next;
    pthread_cond_signal(&h->changed);
    pthread_mutex_unlock(&h->lock);
    return true;
}

/* A zero terminated copy. */
static char *text_of(struct slice s)
{
    char *text = malloc(s.len + 1);
    if (text == NULL) _exit(3);
    hook_text_copy(text, s.len + 1, s);
    return text;
}

static enum sync_err open_hook(struct helper *h, struct err_ctx *ec)
{
    struct wire_frame f;
    struct hook_events events = {.arg = h, .log = on_log, .count = on_count};
    enum sync_err rc = hook_wire_receive(WIRE_FD, UINT64_MAX, &f, ec);
    if (rc != SYNC_OK || f.type != WIRE_OPEN) return err_set(ec, SYNC_EBADMSG, "no server is there");
    char *name = text_of(wire_get_text(&f.body)), *path = text_of(wire_get_text(&f.body));
    char *config = text_of(wire_get_text(&f.body));
    rc = hook_local_open(&h->hook, name, path, config, &events, ec);
    free(name);
    free(path);
    free(config);
    free(f.bytes);
    return rc;
}

static void say_hello(struct helper *h, enum sync_err rc, const struct err_ctx *ec)
{
    struct buf out = buf_make(WIRE_FRAME_MAX);
    wire_begin(&out, rc == SYNC_OK ? WIRE_HELLO : WIRE_SORRY, 0);
    if (rc == SYNC_OK) {
        wire_put_u32(&out, hook_local_is_serial(&h->hook));
        wire_put_u32(&out, hook_local_ops(&h->hook));
    } else {
        wire_put_text(&out, slice_str(ec->text));
    }
    send_frame(h, &out);
}

/* Until the server closes its end. */
static void serve(struct helper *h)
{
    struct wire_frame f;
    struct err_ctx ec;
    while (hook_wire_receive(WIRE_FD, UINT64_MAX, &f, &ec) == SYNC_OK)
        if (f.type != WIRE_CALL || !put(h, &f)) _exit(3);
}

int main(void)
{
    static struct helper h; /* a thread that is stuck in the hook may look at it to the end */
    pthread_t threads[CALL_THREADS];
    size_t thread_count = 0;
    struct err_ctx ec = {""};
    h.end = &h.first;
    (void)pthread_mutex_init(&h.lock, NULL);
    (void)pthread_mutex_init(&h.send_lock, NULL);
    hook_cond_init(&h.changed);
    enum sync_err rc = open_hook(&h, &ec);
    size_t wanted = rc == SYNC_OK && !hook_local_is_serial(&h.hook) ? CALL_THREADS : 1;
    while (rc == SYNC_OK && thread_count < wanted) {
        rc = hook_thread_start(&threads[thread_count], "hook", work, &h, &ec);
        if (rc == SYNC_OK) thread_count++;
    }
    say_hello(&h, rc, &ec);
    if (rc == SYNC_OK) serve(&h);
    (void)alarm(SHUTDOWN_S_MAX);
    pthread_mutex_lock(&h.lock);
    h.closed = true;
    pthread_cond_broadcast(&h.changed);
    pthread_mutex_unlock(&h.lock);
    for (size_t i = 0; i < thread_count; i++) (void)pthread_join(threads[i], NULL);
    hook_local_close(&h.hook);
    return rc == SYNC_OK ? 0 : 1;
}
