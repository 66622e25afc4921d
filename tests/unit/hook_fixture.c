#include "tests/unit/hook_fixture.h"

#include "core/json/json.h"
#include "core/protocol/change_set.h"

#include <stdio.h>
#include <stdlib.h>

static void must(bool good, const char *what, const char *more)
{
    if (good) return;
    fprintf(stderr, "failed: %s: %s\n", what, more);
    abort();
}

void watcher_init(struct hook_watcher *w)
{
    *w = (struct hook_watcher){0};
    pthread_mutex_init(&w->lock, NULL);
    hook_cond_init(&w->changed);
}

static void on_log(void *arg, const char *hook, int level, const char *text)
{
    struct hook_watcher *w = arg;
    pthread_mutex_lock(&w->lock);
    size_t room = sizeof w->log - w->log_len;
    int n = snprintf(w->log + w->log_len, room, "%s %d %s\n", hook, level, text);
    if (n > 0) w->log_len += (size_t)n < room ? (size_t)n : room - 1;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

struct hook_environment watcher_environment(struct hook_watcher *w)
{
    return (struct hook_environment){.log_arg = w, .log = on_log, .helper_path = HOOK_HELPER};
}

bool watcher_logged(struct hook_watcher *w, const char *text)
{
    pthread_mutex_lock(&w->lock);
    bool found = strstr(w->log, text) != NULL;
    pthread_mutex_unlock(&w->lock);
    return found;
}

static uint64_t latest(void)
{
    return hook_now_ns() + ASK_MS_MAX * (uint64_t)1000000;
}

void watcher_wait_log(struct hook_watcher *w, const char *text)
{
    uint64_t until_ns = latest();
    pthread_mutex_lock(&w->lock);
    while (strstr(w->log, text) == NULL && hook_now_ns() < until_ns)
        hook_cond_wait(&w->changed, &w->lock, until_ns);
    must(strstr(w->log, text) != NULL, "not logged", text);
    pthread_mutex_unlock(&w->lock);
}

void watcher_wait_destroyed(struct hook_watcher *w, uint32_t count)
{
    uint64_t until_ns = latest();
    pthread_mutex_lock(&w->lock);
    while (w->destroyed < count && hook_now_ns() < until_ns) hook_cond_wait(&w->changed, &w->lock, until_ns);
    must(w->destroyed >= count, "calls", "not destroyed");
    pthread_mutex_unlock(&w->lock);
}

struct hook_runner *runner_of(struct hook_watcher *w, const struct hook_config *hooks, size_t count)
{
    struct hook_runner_config config = HOOK_RUNNER_DEFAULT;
    struct hook_runner *r = NULL;
    struct err_ctx ec = {""};
    config.threads = 4;
    config.stuck_max = 2;
    config.env = watcher_environment(w);
    must(hook_runner_open(&config, hooks, count, &r, &ec) == SYNC_OK, "open", ec.text);
    return r;
}

static void posted(struct hook_call *c)
{
    struct asked *a = (struct asked *)c;
    struct hook_watcher *w = a->watcher;
    pthread_mutex_lock(&w->lock);
    a->answered = true;
    if (w->answered < 64) w->order[w->answered] = a->tag;
    w->answered++;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void destroyed(struct hook_call *c)
{
    struct asked *a = (struct asked *)c;
    struct hook_watcher *w = a->watcher;
    hook_result_deinit(&c->result);
    hook_identity_unref(c->input.identity);
    batch_free(a->batch);
    free(a);
    pthread_mutex_lock(&w->lock);
    w->destroyed++;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

struct asked *asked_new(struct hook_watcher *w, enum hook_op op)
{
    struct asked *a = calloc(1, sizeof *a);
    must(a != NULL, "calloc", "");
    a->watcher = w;
    a->call.input.op = op;
    a->call.input.database = slice_str("shop");
    a->call.post = hook_op_is_notice(op) ? NULL : posted;
    a->call.destroy = destroyed;
    if (op != HOOK_AUTHENTICATE && op != HOOK_VALID_DATABASE_ID && op != HOOK_STORAGE_PATH &&
        op != HOOK_COORDINATOR_EVENT)
        a->call.input.identity = identity_of("ann");
    return a;
}

void asked_submit(struct hook_runner *r, struct asked *a)
{
    hook_runner_submit(r, &a->call);
}

void asked_wait(struct asked *a)
{
    struct hook_watcher *w = a->watcher;
    uint64_t until_ns = latest();
    pthread_mutex_lock(&w->lock);
    while (!a->answered && hook_now_ns() < until_ns) hook_cond_wait(&w->changed, &w->lock, until_ns);
    must(a->answered, "a call", "not answered");
    pthread_mutex_unlock(&w->lock);
}

struct hook_result ask(struct hook_runner *r, struct asked *a)
{
    asked_submit(r, a);
    asked_wait(a);
    struct hook_result result = a->call.result;
    a->call.result = (struct hook_result){0};
    hook_call_release(&a->call);
    return result;
}

struct hook_result ask_token(struct hook_runner *r, struct hook_watcher *w, const char *token)
{
    struct asked *a = asked_new(w, HOOK_AUTHENTICATE);
    a->call.input.token = slice_str(token);
    return ask(r, a);
}

struct batch *batch_of(const char *json)
{
    size_t len = strlen(json);
    struct batch *b = calloc(1, sizeof *b);
    struct err_ctx ec = {""};
    b->text = calloc(1, len + JSON_PADDING);
    memcpy(b->text, json, len);
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    struct json_value root = json_open(r, b->text, len);
    must(change_sets_take(&root, b, &ec) == SYNC_OK, json, ec.text);
    must(json_close(r, &ec) == SYNC_OK, json, ec.text);
    json_reader_free(r);
    return b;
}

void batch_free(struct batch *b)
{
    if (b == NULL) return;
    batch_deinit(b);
    free(b);
}

struct hook_identity *identity_of(const char *user)
{
    struct hook_identity *i = hook_identity_new(1);
    must(i != NULL, "identity", user);
    hook_text_copy(i->user_id, sizeof i->user_id, slice_str(user));
    hook_text_copy(i->database, sizeof i->database, slice_str("shop"));
    i->connection = 7;
    return i;
}
