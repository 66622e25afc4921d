/* What of the runner has to do with time and with helper processes: hooks that block, hang or crash. */
#include "hooks/hook_runner.h"

#include "tests/unit/hook_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#define SHOP "[" CHANGE_SET(HLC_A1, CELL("[1]", "a", "10", HLC_A0) "," CELL("[1]", "b", "20", HLC_A1), "") "]"

static struct hook_watcher watcher;

static struct hook_runner *one(const char *library, const char *config)
{
    struct hook_config hook = {.path = library, .config = config, .timeout_ms = 10000};
    watcher_init(&watcher);
    return runner_of(&watcher, &hook, 1);
}

static void end(struct hook_runner *r)
{
    cr_assert(hook_runner_close(r, 10000));
}

static struct hook_result ask_op(struct hook_runner *r, enum hook_op op)
{
    struct asked *a = asked_new(&watcher, op);
    if (op == HOOK_BEFORE_APPLY_CHANGES) a->call.input.batch = a->batch = batch_of(SHOP);
    return ask(r, a);
}

/* A pipe that blocked calls wait on. */
static void make_pipe(int ends[2], char config[64], const char *word)
{
    cr_assert_eq(pipe(ends), 0);
    (void)snprintf(config, 64, "%s=block fd=%d shutdown=bye", word, ends[0]);
}

Test(hook_deadline, a_call_past_its_deadline_is_refused_and_its_late_answer_is_not_used)
{
    int ends[2];
    char config[64];
    make_pipe(ends, config, "authorize");
    struct hook_config hook = {.path = HOOK("hook_scripted"), .config = config, .timeout_ms = 30};
    watcher_init(&watcher);
    struct hook_runner *r = runner_of(&watcher, &hook, 1);
    struct hook_result result = ask_op(r, HOOK_AUTHORIZE);
    cr_assert_eq(result.outcome, HOOK_UNAVAILABLE);
    cr_assert_str_eq(result.hook, "hook_scripted");
    watcher_wait_log(&watcher, "authorize did not return within 30 ms");
    cr_assert_eq(hook_runner_stuck(r), 1);
    cr_assert_eq(watcher.destroyed, 0, "the hook still reads the call");
    result = ask_token(r, &watcher, "t");
    cr_assert_eq(result.outcome, HOOK_APPROVED, "others go on");
    hook_result_deinit(&result);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    watcher_wait_destroyed(&watcher, 2);
    watcher_wait_log(&watcher, "a call returned after its deadline");
    end(r);
    cr_assert(watcher_logged(&watcher, "hook_scripted 2 bye"), "shut down after its last call");
}

Test(hook_deadline, threads_lost_to_a_hook_are_bounded_and_come_back)
{
    int ends[2];
    char config[64];
    make_pipe(ends, config, "authorize");
    struct hook_config hook = {.path = HOOK("hook_scripted"), .config = config, .timeout_ms = 30};
    watcher_init(&watcher);
    struct hook_runner *r = runner_of(&watcher, &hook, 1);
    for (int i = 0; i < 6; i++) cr_assert_eq(ask_op(r, HOOK_AUTHORIZE).outcome, HOOK_UNAVAILABLE);
    cr_assert_eq(hook_runner_stuck(r), 2, "the bound of the fixture");
    watcher_wait_log(&watcher, "2 earlier calls have not returned");
    cr_assert_eq(write(ends[1], "xx", 2), 2);
    watcher_wait_destroyed(&watcher, 6);
    cr_assert_eq(hook_runner_stuck(r), 0);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    cr_assert_eq(ask_op(r, HOOK_AUTHORIZE).outcome, HOOK_APPROVED, "it is asked again");
    end(r);
}

Test(hook_deadline, a_serial_hook_that_is_stuck_refuses_at_once)
{
    int ends[2];
    char config[64];
    make_pipe(ends, config, "authorize");
    struct hook_config hook = {.path = HOOK("hook_serial"), .config = config, .timeout_ms = 50};
    watcher_init(&watcher);
    struct hook_runner *r = runner_of(&watcher, &hook, 1);
    struct asked *calls[4];
    for (int i = 0; i < 4; i++) asked_submit(r, calls[i] = asked_new(&watcher, HOOK_AUTHORIZE));
    for (int i = 0; i < 4; i++) {
        asked_wait(calls[i]);
        cr_assert_eq(calls[i]->call.result.outcome, HOOK_UNAVAILABLE);
        hook_call_release(&calls[i]->call);
    }
    cr_assert_eq(hook_runner_stuck(r), 1, "only one call was let in");
    cr_assert_eq(write(ends[1], "x", 1), 1);
    watcher_wait_destroyed(&watcher, 4);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    cr_assert_eq(ask_op(r, HOOK_AUTHORIZE).outcome, HOOK_APPROVED);
    end(r);
}

Test(hook_deadline, a_notice_that_blocks_delays_nobody)
{
    int ends[2];
    char config[64];
    make_pipe(ends, config, "after");
    struct hook_runner *r = one(HOOK("hook_scripted"), config);
    for (int i = 0; i < 6; i++) {
        struct asked *a = asked_new(&watcher, HOOK_AFTER_APPLY_CHANGES);
        a->call.input.batch = a->batch = batch_of(SHOP);
        asked_submit(r, a);
    }
    for (int i = 0; i < 20; i++) cr_assert_eq(ask_op(r, HOOK_AUTHORIZE).outcome, HOOK_APPROVED);
    cr_assert_eq(write(ends[1], "xxxxxx", 6), 6);
    watcher_wait_destroyed(&watcher, 26);
    end(r);
}

Test(hook_deadline, a_hook_that_never_returns_does_not_keep_the_server_from_ending)
{
    int ends[2];
    char config[64];
    make_pipe(ends, config, "authorize");
    struct hook_config hook = {.path = HOOK("hook_scripted"), .config = config, .timeout_ms = 30};
    watcher_init(&watcher);
    struct hook_runner *r = runner_of(&watcher, &hook, 1);
    cr_assert_eq(ask_op(r, HOOK_AUTHORIZE).outcome, HOOK_UNAVAILABLE);
    cr_assert_not(hook_runner_close(r, 20), "it is left behind");
    cr_assert_not(watcher_logged(&watcher, "bye"));
    cr_assert_eq(write(ends[1], "x", 1), 1);
    watcher_wait_log(&watcher, "bye"); /* and ends by itself when it comes back */
}

static struct hook_runner *in_helper(const char *config, uint32_t timeout_ms)
{
    struct hook_config hook = {.path = HOOK("hook_scripted"),
                               .config = config,
                               .timeout_ms = timeout_ms,
                               .isolation = HOOK_IN_HELPER};
    watcher_init(&watcher);
    return runner_of(&watcher, &hook, 1);
}

/* Asks until the helper is back: each question either meets one or is refused at once. */
static enum hook_outcome ask_until_up(struct hook_runner *r)
{
    uint64_t until_ns = hook_now_ns() + ASK_MS_MAX * (uint64_t)1000000;
    enum hook_outcome got;
    while ((got = ask_op(r, HOOK_AUTHORIZE).outcome) != HOOK_APPROVED && hook_now_ns() < until_ns) continue;
    return got;
}

Test(hook_deadline, a_helper_that_crashes_refuses_its_calls_and_is_started_again)
{
    struct hook_runner *r = in_helper("client_connect=crash", 10000);
    cr_assert_eq(ask_op(r, HOOK_AUTHORIZE).outcome, HOOK_APPROVED);
    cr_assert_eq(ask_op(r, HOOK_CLIENT_CONNECT).outcome, HOOK_UNAVAILABLE);
    watcher_wait_log(&watcher, "its process ended with exit code 9");
    cr_assert_eq(ask_until_up(r), HOOK_APPROVED);
    end(r);
}

Test(hook_deadline, a_helper_that_hangs_is_ended_with_all_calls_in_it)
{
    int ends[2];
    char config[64];
    make_pipe(ends, config, "client_connect");
    struct hook_runner *r = in_helper(config, 200);
    cr_assert_eq(ask_op(r, HOOK_CLIENT_CONNECT).outcome, HOOK_UNAVAILABLE);
    watcher_wait_log(&watcher, "its process ended with signal 9");
    cr_assert_eq(hook_runner_stuck(r), 0, "no thread of the server is lost");
    cr_assert_eq(ask_until_up(r), HOOK_APPROVED);
    end(r);
}

Test(hook_deadline, a_helper_shuts_its_hook_down)
{
    struct hook_runner *r = in_helper("shutdown=bye", 10000);
    end(r);
    cr_assert(watcher_logged(&watcher, "hook_scripted 2 bye"));
}

static void wait_blocked(unsigned count)
{
    unsigned found = 0;
    uint64_t until_ns = hook_now_ns() + ASK_MS_MAX * (uint64_t)1000000;
    pthread_mutex_lock(&watcher.lock);
    while (found < count && hook_now_ns() < until_ns) {
        found = 0;
        for (const char *at = watcher.log; (at = strstr(at, "2 blocked\n")) != NULL; at++) found++;
        if (found < count) hook_cond_wait(&watcher.changed, &watcher.lock, until_ns);
    }
    pthread_mutex_unlock(&watcher.lock);
    cr_assert_eq(found, count);
}

/* While calls are quick one thread makes them all; a hook that then blocks does not hold those behind it. */
Test(hook_deadline, calls_behind_one_that_blocks_get_another_thread)
{
    int ends[2];
    char config[64];
    make_pipe(ends, config, "authorize");
    struct hook_runner *r = one(HOOK("hook_scripted"), config);
    for (int i = 0; i < 50; i++) cr_assert_eq(ask_op(r, HOOK_CLIENT_CONNECT).outcome, HOOK_APPROVED);
    struct asked *blocked = asked_new(&watcher, HOOK_AUTHORIZE), *behind[20];
    asked_submit(r, blocked);
    for (int i = 0; i < 20; i++) asked_submit(r, behind[i] = asked_new(&watcher, HOOK_CLIENT_CONNECT));
    for (int i = 0; i < 20; i++) {
        asked_wait(behind[i]);
        cr_assert_eq(behind[i]->call.result.outcome, HOOK_APPROVED);
        hook_call_release(&behind[i]->call);
    }
    cr_assert_eq(watcher.answered, 70, "the one that blocks is not answered");
    cr_assert_eq(write(ends[1], "x", 1), 1);
    asked_wait(blocked);
    cr_assert_eq(blocked->call.result.outcome, HOOK_APPROVED);
    hook_call_release(&blocked->call);
    end(r);
}

Test(hook_deadline, calls_that_block_run_side_by_side)
{
    int ends[2];
    char config[64];
    make_pipe(ends, config, "authorize");
    struct hook_runner *r = one(HOOK("hook_scripted"), config);
    for (unsigned round = 1; round <= 4; round++) { /* also once calls are known to be slow */
        struct asked *calls[4];
        for (int i = 0; i < 4; i++) asked_submit(r, calls[i] = asked_new(&watcher, HOOK_AUTHORIZE));
        wait_blocked(4 * round); /* as many as there are threads */
        cr_assert_eq(write(ends[1], "xxxx", 4), 4);
        for (int i = 0; i < 4; i++) {
            asked_wait(calls[i]);
            hook_call_release(&calls[i]->call);
        }
    }
    end(r);
}
