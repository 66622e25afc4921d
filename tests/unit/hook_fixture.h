/* hook_fixture.h -- a runner over hooks of tests/hooks, asked one question at a time, and what they
 * logged. */
#ifndef TESTS_HOOK_FIXTURE_H
#define TESTS_HOOK_FIXTURE_H

#include "hooks/hook_runner.h"
#include "hooks/hook_thread.h"

#include "tests/unit/change_set_texts.h"

#include <stdbool.h>

#define HOOK(name)    HOOK_DIR "/" name ".so"
#define SHIPPED(name) HOOK_SHIPPED_DIR "/" name ".so"

enum { ASK_MS_MAX = 20000 }; /* a question that is not answered by then fails the test */

/* What the hooks of a test wrote into the log, and what tests wait for. */
struct hook_watcher {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char log[1 << 16];
    size_t log_len;
    uint32_t answered;
    uint32_t destroyed;
    uint64_t order[64]; /* `tag`s of answered calls */
};

/* A call, and who waits for it. */
struct asked {
    struct hook_call call; /* first */
    struct hook_watcher *watcher;
    uint64_t tag;
    bool answered;
    struct batch *batch; /* given back when the call is destroyed */
};

void watcher_init(struct hook_watcher *w);
struct hook_environment watcher_environment(struct hook_watcher *w);
bool watcher_logged(struct hook_watcher *w, const char *text);
void watcher_wait_log(struct hook_watcher *w, const char *text); /* exits the program when it does not come */
void watcher_wait_destroyed(struct hook_watcher *w, uint32_t count);

/* A runner over `count` hooks; exits the program when it does not open. */
struct hook_runner *runner_of(struct hook_watcher *w, const struct hook_config *hooks, size_t count);

struct asked *asked_new(struct hook_watcher *w, enum hook_op op);
void asked_submit(struct hook_runner *r, struct asked *a);
void asked_wait(struct asked *a);

/* Submits and waits. The result is the caller's to deinit. */
struct hook_result ask(struct hook_runner *r, struct asked *a);

/* The result of authenticating with a token. */
struct hook_result ask_token(struct hook_runner *r, struct hook_watcher *w, const char *token);

/* A batch of its own, of ChangeSets in JSON. */
struct batch *batch_of(const char *json);
void batch_free(struct batch *b);

/* An identity by the name of `user`. */
struct hook_identity *identity_of(const char *user);

#endif
