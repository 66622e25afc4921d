#include "hooks/hook_process.h"

#include "hooks/hook.h"
#include "hooks/hook_thread.h"
#include "hooks/hook_wire.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HELPER_LIVED_MS = 10000 }; /* a helper that lived as long is followed by the next at once */

/* A call that waits for its reply, on the stack of the thread that makes it. */
struct waiting {
    struct waiting *next;
    uint32_t id;
    struct hook_turn *turn;
    int got;
    bool ended;
};

struct hook_process {
    const struct hook *hook;
    struct hook_events events;
    bool serial;
    uint32_t ops;
    pthread_t tender;
    bool tending;

    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t changed;
    int fd; /* while up */
    pid_t pid;
    bool up;
    bool sending; /* a thread is writing to fd */
    bool ending;  /* no new helper */
    bool ended;   /* the last one is gone */
    uint32_t id_next;
    struct waiting *waiting;
    char last_words[96]; /* why the helper before ended */
};

bool hook_process_is_serial(const struct hook_process *p)
{
    return p->serial;
}

uint32_t hook_process_ops(const struct hook_process *p)
{
    return p->ops;
}

/* ---- starting a helper */

static enum sync_err spawn(const char *path, int end, pid_t *ret, struct err_ctx *ec)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    char *argv[] = {(char *)(uintptr_t)path, NULL}; /* posix_spawn() does not write to it */
    sigemptyset(&none);
    sigfillset(&all);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawn_file_actions_adddup2(&files, end, WIRE_FD);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setsigdefault(&attr, &all);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int failed = posix_spawn(ret, path, &files, &attr, argv, environ);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&files);
    return failed == 0 ? SYNC_OK : err_set(ec, SYNC_EIO, "start %s: %s", path, strerror(failed));
}

static enum sync_err greet(const struct hook *h, int fd, bool *ret_serial, uint32_t *ret_ops,
                           struct err_ctx *ec)
{
    uint64_t until_ns = hook_now_ns() + HELPER_START_MS_MAX * (uint64_t)1000000;
    struct buf out = buf_make(WIRE_FRAME_MAX);
    struct wire_frame f = {0};
    wire_begin(&out, WIRE_OPEN, 0);
    wire_put_text(&out, slice_str(h->name));
    wire_put_text(&out, slice_str(h->path));
    wire_put_text(&out, slice_str(h->config));
    wire_end(&out);
    enum sync_err rc = buf_check(&out, ec);
    if (rc == SYNC_OK) rc = hook_wire_send(fd, buf_slice(&out), until_ns, ec);
    buf_deinit(&out);
    while (rc == SYNC_OK) {
        rc = hook_wire_receive(fd, until_ns, &f, ec);
        if (rc != SYNC_OK) break;
        if (f.type == WIRE_HELLO || f.type == WIRE_SORRY) break;
        free(f.bytes); /* what the hook logs or counts while it opens is not waited for */
        f.bytes = NULL;
    }
    if (rc != SYNC_OK)
        return err_set(ec, SYNC_EIO, "hook %s: the helper ended before the hook was open", h->path);
    if (f.type == WIRE_SORRY) {
        struct slice why = wire_get_text(&f.body);
        rc = err_set(ec, SYNC_ECONFIG, "%.*s", SLICE_ARG(why));
    } else {
        *ret_serial = wire_get_u32(&f.body) != 0;
        *ret_ops = wire_get_u32(&f.body);
    }
    free(f.bytes);
    return rc;
}

static void reap(pid_t pid, char *ret, size_t ret_bytes)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFSIGNALED(status))
        (void)snprintf(ret, ret_bytes, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        (void)snprintf(ret, ret_bytes, "exit code %d", WEXITSTATUS(status));
}

/* Starts a helper and waits until the hook is open in it. */
static enum sync_err start(struct hook_process *p, struct err_ctx *ec)
{
    const struct hook *h = p->hook;
    int ends[2];
    pid_t pid;
    bool serial = true;
    uint32_t ops = 0;
    if (h->env.helper_path == NULL)
        return err_set(ec, SYNC_ECONFIG, "hook %s: there is no helper program for isolation: process",
                       h->path);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return err_set(ec, SYNC_EIO, "socketpair: %s", strerror(errno));
    enum sync_err rc = spawn(h->env.helper_path, ends[1], &pid, ec);
    (void)close(ends[1]);
    if (rc != SYNC_OK) {
        (void)close(ends[0]);
        return rc;
    }
    rc = greet(h, ends[0], &serial, &ops, ec);
    if (rc != SYNC_OK) {
        char words[sizeof p->last_words];
        (void)kill(pid, SIGKILL);
        reap(pid, words, sizeof words);
        (void)close(ends[0]);
        return rc;
    }
    pthread_mutex_lock(&p->lock);
    p->serial = serial; /* read by others only after the first start; the next ones cannot change it */
    if (p->ops == 0) p->ops = ops;
    p->fd = ends[0];
    p->pid = pid;
    p->up = true;
    if (p->ending) (void)shutdown(p->fd, SHUT_WR); /* it was told to end meanwhile */
    pthread_mutex_unlock(&p->lock);
    return SYNC_OK;
}

/* ---- the tender: the thread that reads what the helper says */

static struct waiting *unlink_waiting(struct hook_process *p, uint32_t id)
{
    for (struct waiting **at = &p->waiting; *at != NULL; at = &(*at)->next) {
        struct waiting *w = *at;
        if (w->id != id) continue;
        *at = w->next;
        return w;
    }
    return NULL;
}

static bool take_reply(struct hook_process *p, struct wire_frame *f)
{
    bool good = true;
    pthread_mutex_lock(&p->lock);
    struct waiting *w = unlink_waiting(p, f->id);
    if (w != NULL) { /* else it gave up, and the helper is being killed */
        good = wire_get_reply(&f->body, w->turn, &w->got);
        if (!good) w->got = SYNC_HOOK_FAILED;
        w->ended = true;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return good;
}

/* A text of the helper's, with an end mark. */
static void text_of(struct wire_in *in, char *ret, size_t ret_bytes)
{
    struct slice text = wire_get_text(in);
    if (text.len >= ret_bytes) text.len = ret_bytes - 1;
    hook_text_copy(ret, ret_bytes, text);
}

/* False: it is not what a helper says. */
static bool take_frame(struct hook_process *p, struct wire_frame *f)
{
    char text[1024];
    switch (f->type) {
    case WIRE_REPLY: return take_reply(p, f);
    case WIRE_LOG: {
        int level = (int)wire_get_u32(&f->body);
        text_of(&f->body, text, sizeof text);
        if (level < SYNC_LOG_ERROR || level > SYNC_LOG_DEBUG) return false;
        p->events.log(p->events.arg, p->hook->name, level, text);
        return true;
    }
    case WIRE_COUNT: {
        uint64_t n = wire_get_u64(&f->body);
        text_of(&f->body, text, HOOK_NAME_MAX + 1);
        p->events.count(p->events.arg, p->hook->name, text, n);
        return true;
    }
    default: return false;
    }
}

static void fail_all(struct hook_process *p)
{
    for (struct waiting *w = p->waiting; w != NULL; w = w->next) {
        w->got = SYNC_HOOK_FAILED;
        (void)snprintf(w->turn->text, sizeof w->turn->text, "its process ended");
        w->ended = true;
    }
    p->waiting = NULL;
    pthread_cond_broadcast(&p->changed);
}

/* The helper is gone, or is to be. */
static void bury(struct hook_process *p)
{
    pthread_mutex_lock(&p->lock);
    p->up = false;
    (void)kill(p->pid, SIGKILL);
    (void)shutdown(p->fd, SHUT_RDWR); /* ends a send that waits */
    fail_all(p);
    while (p->sending) hook_cond_wait(&p->changed, &p->lock, UINT64_MAX);
    (void)close(p->fd);
    p->fd = -1;
    bool wanted = p->ending;
    pthread_mutex_unlock(&p->lock);
    reap(p->pid, p->last_words, sizeof p->last_words);
    if (!wanted)
        hook_log(p->hook, SYNC_LOG_ERROR, "its process ended with %s; it is started again", p->last_words);
}

/* Waits until the next helper may be started. False: there is to be none. */
static bool pause_start(struct hook_process *p, uint32_t wait_ms)
{
    uint64_t until_ns = hook_now_ns() + wait_ms * (uint64_t)1000000;
    pthread_mutex_lock(&p->lock);
    while (!p->ending && hook_now_ns() < until_ns) hook_cond_wait(&p->changed, &p->lock, until_ns);
    bool go_on = !p->ending;
    pthread_mutex_unlock(&p->lock);
    return go_on;
}

/* Starts helpers until one is up. False: there is to be none. */
static bool start_again(struct hook_process *p, uint32_t *pause_ms)
{
    struct err_ctx ec;
    while (pause_start(p, *pause_ms)) {
        *pause_ms = *pause_ms == 0 ? HELPER_PAUSE_MS_MIN : *pause_ms * 2;
        if (*pause_ms > HELPER_PAUSE_MS_MAX) *pause_ms = HELPER_PAUSE_MS_MAX;
        if (start(p, &ec) == SYNC_OK) return true;
        hook_log(p->hook, SYNC_LOG_ERROR, "its process could not be started: %s; next try in %u ms", ec.text,
                 *pause_ms);
    }
    return false;
}

static void *tend(void *arg)
{
    struct hook_process *p = arg;
    uint32_t pause_ms = 0;
    bool up = true;
    while (up) {
        uint64_t began_ns = hook_now_ns();
        struct wire_frame f;
        struct err_ctx ec;
        bool good = true;
        while (good && hook_wire_receive(p->fd, UINT64_MAX, &f, &ec) == SYNC_OK) {
            good = take_frame(p, &f);
            free(f.bytes);
        }
        if (!good) hook_log(p->hook, SYNC_LOG_ERROR, "its process sent what no helper sends");
        bury(p);
        if (hook_now_ns() - began_ns > HELPER_LIVED_MS * (uint64_t)1000000) pause_ms = 0;
        up = start_again(p, &pause_ms);
    }
    pthread_mutex_lock(&p->lock);
    p->ended = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- calls */

static int failed(struct hook_turn *turn, const char *why)
{
    (void)snprintf(turn->text, sizeof turn->text, "%s", why);
    return SYNC_HOOK_FAILED;
}

/* Writes the frame, one thread at a time. With the lock, which is given up meanwhile. */
static bool send_frame(struct hook_process *p, struct slice frame, uint64_t deadline_ns)
{
    struct err_ctx ec;
    while (p->up && p->sending && hook_now_ns() < deadline_ns)
        hook_cond_wait(&p->changed, &p->lock, deadline_ns);
    if (!p->up || p->sending) return false;
    int fd = p->fd;
    p->sending = true;
    pthread_mutex_unlock(&p->lock);
    enum sync_err rc = hook_wire_send(fd, frame, deadline_ns, &ec);
    pthread_mutex_lock(&p->lock);
    p->sending = false;
    pthread_cond_broadcast(&p->changed);
    return rc == SYNC_OK;
}

static int exchange(struct hook_process *p, struct hook_turn *turn, struct buf *frame, uint64_t deadline_ns)
{
    struct waiting w = {.turn = turn};
    pthread_mutex_lock(&p->lock);
    if (!p->up) {
        pthread_mutex_unlock(&p->lock);
        return failed(turn, "its process is being started");
    }
    w.id = ++p->id_next;
    memcpy(frame->bytes + WIRE_HEAD - sizeof w.id, &w.id, sizeof w.id);
    w.next = p->waiting;
    p->waiting = &w;
    if (send_frame(p, buf_slice(frame), deadline_ns))
        while (!w.ended && hook_now_ns() < deadline_ns) hook_cond_wait(&p->changed, &p->lock, deadline_ns);
    if (!w.ended) { /* past the deadline, or it takes nothing: it hangs */
        (void)unlink_waiting(p, w.id);
        w.got = failed(turn, "its process did not answer in time and is ended");
        hook_actions_deinit(&turn->actions);
        if (p->up) (void)kill(p->pid, SIGKILL);
    }
    pthread_mutex_unlock(&p->lock);
    return w.got;
}

int hook_process_call(struct hook_process *p, struct hook_turn *turn, uint64_t deadline_ns)
{
    struct buf frame = buf_make(WIRE_FRAME_MAX);
    wire_begin(&frame, WIRE_CALL, 0);
    wire_put_call(&frame, turn, p->hook->name);
    wire_end(&frame);
    int got = frame.failed != SYNC_OK ? failed(turn, "no memory for a message to its process")
                                      : exchange(p, turn, &frame, deadline_ns);
    buf_deinit(&frame);
    return got;
}

/* ---- the whole */

enum sync_err hook_process_open(const struct hook *h, const struct hook_events *events,
                                struct hook_process **ret, struct err_ctx *ec)
{
    struct hook_process *p = calloc(1, sizeof *p);
    if (p == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for hook %s", h->path);
    p->hook = h;
    p->events = *events;
    p->fd = -1;
    (void)pthread_mutex_init(&p->lock, NULL);
    hook_cond_init(&p->changed);
    enum sync_err rc = start(p, ec);
    if (rc == SYNC_OK) {
        rc = hook_thread_start(&p->tender, "hook-tender", tend, p, ec);
        p->tending = rc == SYNC_OK;
        if (!p->tending) bury(p);
    }
    if (rc != SYNC_OK) {
        hook_process_close(p);
        return rc;
    }
    *ret = p;
    return SYNC_OK;
}

void hook_process_close(struct hook_process *p)
{
    if (p == NULL) return;
    uint64_t until_ns = hook_now_ns() + p->hook->timeout_ms * (uint64_t)1000000;
    if (p->tending) {
        pthread_mutex_lock(&p->lock);
        p->ending = true;
        if (p->up) (void)shutdown(p->fd, SHUT_WR); /* the helper shuts its hook down and ends */
        pthread_cond_broadcast(&p->changed);
        while (!p->ended && hook_now_ns() < until_ns) hook_cond_wait(&p->changed, &p->lock, until_ns);
        if (!p->ended && p->up) (void)kill(p->pid, SIGKILL);
        pthread_mutex_unlock(&p->lock);
        (void)pthread_join(p->tender, NULL);
    }
    (void)pthread_cond_destroy(&p->changed);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}
