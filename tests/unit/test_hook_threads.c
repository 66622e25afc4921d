/* Many threads ask while hooks are reloaded, in this process and in a helper: every call is answered once, by
 * an old hook or a new one, and everything is shut down in the end. A plain program: it also runs under
 * ThreadSanitizer. */
#include "tests/unit/hook_fixture.h"

#include <stdio.h>
#include <stdlib.h>

enum { ASKERS = 3, CALLS = 300, RELOADS = 12 };

static struct hook_watcher watcher;
static struct hook_runner *runner;
static atomic_uint approved, refused, reloads;

static void check(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

static void *ask_much(void *arg)
{
    uint64_t key = (uint64_t)(uintptr_t)arg;
    for (int i = 0; i < CALLS; i++) {
        bool apply = i % 3 == 0;
        struct asked *a = asked_new(&watcher, apply ? HOOK_BEFORE_APPLY_CHANGES : HOOK_AUTHORIZE);
        a->call.key = key;
        if (apply)
            a->call.input.batch = a->batch =
                batch_of("[" CHANGE_SET(HLC_A0, CELL("[1]", "a", "1", HLC_A0), "") "]");
        struct asked *notice = asked_new(&watcher, HOOK_CLIENT_DISCONNECT);
        asked_submit(runner, notice);
        struct hook_result result = ask(runner, a);
        check(result.outcome != HOOK_UNAVAILABLE, result.text);
        atomic_fetch_add(result.outcome == HOOK_APPROVED ? &approved : &refused, 1);
        hook_result_deinit(&result);
    }
    return NULL;
}

static void on_reloaded(void *arg, enum sync_err rc, const char *text)
{
    (void)arg;
    check(rc == SYNC_OK, text);
    atomic_fetch_add(&reloads, 1);
    struct hook_environment env = watcher_environment(&watcher);
    char line[32];
    snprintf(line, sizeof line, "reload-%u.", atomic_load(&reloads));
    env.log(&watcher, "test", SYNC_LOG_INFO, line);
}

static void list(struct hook_config hooks[3], int round)
{
    hooks[0] =
        (struct hook_config){.path = HOOK("hook_reloads"), .config = "count=calls", .timeout_ms = 60000};
    hooks[1] =
        (struct hook_config){.path = HOOK("hook_serial"),
                             .config = round % 2 == 0 ? "authorize=ok shutdown=gone" : "authorize=refuse",
                             .timeout_ms = 60000};
    hooks[2] = (struct hook_config){.path = HOOK("hook_scripted"),
                                    .config = "before=column:a",
                                    .timeout_ms = 60000,
                                    .isolation = HOOK_IN_HELPER};
}

int main(void)
{
    struct hook_config hooks[3];
    pthread_t threads[ASKERS];
    struct err_ctx ec;
    watcher_init(&watcher);
    list(hooks, 0);
    runner = runner_of(&watcher, hooks, 3);
    for (uintptr_t i = 0; i < ASKERS; i++)
        check(pthread_create(&threads[i], NULL, ask_much, (void *)(i / 2 + 1)) == 0, "pthread_create");
    for (int i = 1; i <= RELOADS; i++) {
        char line[32];
        list(hooks, i);
        check(hook_runner_reload(runner, hooks, 3, 0, on_reloaded, NULL, &ec) == SYNC_OK, "reload");
        snprintf(line, sizeof line, "reload-%d.", i);
        watcher_wait_log(&watcher, line);
    }
    for (int i = 0; i < ASKERS; i++) check(pthread_join(threads[i], NULL) == 0, "pthread_join");
    check(atomic_load(&approved) + atomic_load(&refused) == ASKERS * CALLS, "each call is answered");
    check(hook_runner_close(runner, 60000), "close");
    watcher_wait_destroyed(&watcher, 2 * ASKERS * CALLS);
    check(watcher_logged(&watcher, "gone"), "old hooks are shut down");
    return 0;
}
