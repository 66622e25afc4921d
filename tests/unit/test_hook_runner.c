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

static struct hook_runner *two(const char *first, const char *second)
{
    struct hook_config hooks[2] = {{.path = HOOK("hook_scripted"), .config = first, .timeout_ms = 10000},
                                   {.path = HOOK("hook_serial"), .config = second, .timeout_ms = 10000}};
    watcher_init(&watcher);
    return runner_of(&watcher, hooks, 2);
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

/* The functions that answer, and the word each obeys. */
static const struct {
    enum hook_op op;
    const char *word;
} answering[] = {{HOOK_VALID_DATABASE_ID, "valid"},     {HOOK_AUTHENTICATE, "authenticate"},
                 {HOOK_AUTHORIZE, "authorize"},         {HOOK_CLIENT_CONNECT, "client_connect"},
                 {HOOK_BEFORE_APPLY_CHANGES, "before"}, {HOOK_STORAGE_PATH, "path"}};

static void each_outcome(enum hook_isolation isolation)
{
    for (size_t i = 0; i < sizeof answering / sizeof answering[0]; i++) {
        static const struct {
            const char *action;
            enum hook_outcome want;
        } actions[] = {{"ok", HOOK_APPROVED},  {"refuse", HOOK_REFUSED},   {"silent", HOOK_REFUSED},
                       {"long", HOOK_REFUSED}, {"fail", HOOK_UNAVAILABLE}, {"rubbish", HOOK_UNAVAILABLE}};
        struct hook_config hooks[6];
        char configs[6][64];
        watcher_init(&watcher);
        for (size_t k = 0; k < 6; k++) {
            (void)snprintf(configs[k], sizeof configs[k], "%s=%s", answering[i].word, actions[k].action);
            hooks[k] = (struct hook_config){.path = HOOK("hook_scripted"),
                                            .config = configs[k],
                                            .isolation = isolation,
                                            .timeout_ms = 10000};
            struct hook_runner *r = runner_of(&watcher, &hooks[k], 1);
            cr_assert(hook_runner_has(r, answering[i].op));
            struct hook_result result = ask_op(r, answering[i].op);
            cr_assert_eq(result.outcome, actions[k].want, "%s: %s", configs[k], result.text);
            cr_assert_eq(result.text[0] == '\0', actions[k].want == HOOK_APPROVED, "%s", configs[k]);
            cr_assert_eq(result.hook[0] == '\0', actions[k].want == HOOK_APPROVED, "%s", configs[k]);
            if (strcmp(actions[k].action, "refuse") == 0)
                cr_assert_eq(strncmp(result.text, "no ", 3), 0, "the hook's own text: %s", result.text);
            if (strcmp(actions[k].action, "long") == 0)
                cr_assert_eq(strlen(result.text), SYNC_ANSWER_TEXT - 1);
            cr_assert_eq(result.identity != NULL,
                         answering[i].op == HOOK_AUTHENTICATE && actions[k].want == HOOK_APPROVED);
            hook_result_deinit(&result);
            end(r);
        }
    }
}

Test(hook_runner, every_function_may_approve_refuse_fail_or_return_rubbish)
{
    each_outcome(HOOK_IN_PROCESS);
}

Test(hook_runner, a_helper_process_gives_the_same_outcomes)
{
    each_outcome(HOOK_IN_HELPER);
}

Test(hook_runner, without_hooks_everything_is_approved)
{
    watcher_init(&watcher);
    struct hook_runner *r = runner_of(&watcher, NULL, 0);
    cr_assert_not(hook_runner_has(r, HOOK_AUTHENTICATE));
    struct hook_result result = ask_op(r, HOOK_AUTHORIZE);
    cr_assert_eq(result.outcome, HOOK_APPROVED);
    hook_result_deinit(&result);
    end(r);
}

static void grant_travels(enum hook_isolation isolation)
{
    struct hook_config hooks[2] = {{.path = HOOK("hook_scripted"),
                                    .config = "user=a expires=500 recheck=90 tell=none",
                                    .isolation = isolation},
                                   {.path = HOOK("hook_scripted"),
                                    .config = "user=b expires=900 recheck=80 tell=all",
                                    .isolation = isolation}};
    watcher_init(&watcher);
    struct hook_runner *r = runner_of(&watcher, hooks, 2);
    struct hook_result result = ask_token(r, &watcher, "secret");
    struct hook_identity *i = result.identity;
    cr_assert_str_eq(i->user_id, "ab", "the second saw what the first said");
    cr_assert_eq(i->expires_ms, 500, "the earliest");
    cr_assert_eq(i->recheck_ms, 80);
    cr_assert_eq(i->metadata_count, 2);
    cr_assert(slice_is(hook_identity_metadata(i, "hook_scripted"), "secret/a"));
    cr_assert(slice_is(hook_identity_metadata(i, "hook_scripted#2"), "secret/b"), "each has its own");

    struct asked *a = asked_new(&watcher, HOOK_AUTHORIZE);
    hook_identity_unref(a->call.input.identity);
    a->call.input.identity = i;
    a->call.input.operation = SYNC_APPLY_CHANGES;
    a->call.input.change_count = 12;
    a->call.input.has_since = true;
    a->call.input.since.wall_ms = 77;
    struct hook_result told = ask(r, a);
    cr_assert_str_eq(told.text, "ab secret/b shop 1 12 1 77");
    cr_assert_str_eq(told.hook, "hook_scripted#2");
    hook_result_deinit(&told);
    end(r);
}

Test(hook_runner, what_was_granted_is_there_in_later_calls)
{
    grant_travels(HOOK_IN_PROCESS);
}

Test(hook_runner, what_was_granted_travels_to_helper_processes)
{
    grant_travels(HOOK_IN_HELPER);
}

Test(hook_runner, authenticate_finds_headers_without_regard_to_case)
{
    static const struct hook_header headers[] = {{{"X-Other", 7}, {"no", 2}}, {{"X-USER", 6}, {"eve", 3}}};
    struct hook_runner *r = one(HOOK("hook_scripted"), "");
    struct asked *a = asked_new(&watcher, HOOK_AUTHENTICATE);
    a->call.input.headers = headers;
    a->call.input.header_count = 2;
    struct hook_result result = ask(r, a);
    cr_assert_str_eq(result.identity->user_id, "eve");
    hook_result_deinit(&result);
    end(r);
}

Test(hook_runner, grants_that_are_rubbish_let_nobody_in)
{
    static const char *const configs[] = {"grant=endless", "grant=latin", "grant=metadata"};
    for (int helper = 0; helper < 2; helper++)
        for (size_t i = 0; i < 3; i++) {
            struct hook_config hook = {.path = HOOK("hook_scripted"),
                                       .config = configs[i],
                                       .isolation = helper ? HOOK_IN_HELPER : HOOK_IN_PROCESS};
            watcher_init(&watcher);
            struct hook_runner *r = runner_of(&watcher, &hook, 1);
            struct hook_result result = ask_token(r, &watcher, "t");
            cr_assert_eq(result.outcome, HOOK_UNAVAILABLE, "%s", configs[i]);
            cr_assert_null(result.identity);
            watcher_wait_log(&watcher, "authenticate failed");
            end(r);
        }
}

Test(hook_runner, the_first_refusal_wins_and_ends_the_chain)
{
    struct hook_runner *r = two("authorize=refuse", "log=asked");
    struct hook_result result = ask_op(r, HOOK_AUTHORIZE);
    cr_assert_eq(result.outcome, HOOK_REFUSED);
    cr_assert_str_eq(result.hook, "hook_scripted");
    cr_assert_not(watcher_logged(&watcher, "hook_serial 2 asked\nhook_serial 2 asked"),
                  "only open was called");
    end(r);
    r = two("log=asked", "authorize=refuse");
    result = ask_op(r, HOOK_AUTHORIZE);
    cr_assert_eq(result.outcome, HOOK_REFUSED);
    cr_assert_str_eq(result.hook, "hook_serial", "an approval before does not help");
    end(r);
    r = two("authorize=fail", "authorize=refuse");
    result = ask_op(r, HOOK_AUTHORIZE);
    cr_assert_eq(result.outcome, HOOK_UNAVAILABLE);
    end(r);
}

static void assert_sets(struct hook_result *result, struct batch *b, size_t sets, size_t facts)
{
    struct err_ctx ec = {""};
    cr_assert_eq(result->outcome, HOOK_APPROVED, "%s", result->text);
    cr_assert_eq(hook_sets_settle(&result->sets, b, &ec), SYNC_OK);
    cr_assert_eq(b->set_count, sets);
    cr_assert_eq(b->fact_count, facts);
}

static void decide(enum hook_isolation isolation)
{
    static const struct {
        const char *first, *second;
        size_t sets, facts;
        uint32_t rejected;
        uint64_t dropped;
    } cases[] = {
        {"before=ok", "before=ok", 1, 2, 0, 0},
        {"before=table:t", "before=ok", 0, 0, 1, 0},
        {"before=table:other", "before=ok", 1, 2, 0, 0},
        {"before=ok", "before=table:t", 0, 0, 1, 0},
        {"before=table:t", "before=table:t", 0, 0, 1, 0}, /* the second sees it no more */
        {"before=column:a", "before=column:b", 1, 0, 0, 2},
        {"before=column:a", "before=table:t", 0, 0, 1, 1},
        {"before=drop:t", "before=table:t", 1, 0, 0, 2}, /* nothing of t is left to be rejected */
        {"before=twice", "before=ok", 0, 0, 1, 0},
        {"before=json:" CHANGE_SET(HLC_A3, DELETE("[~9~]", HLC_A3), ""), "before=ok", 1, 1, 0, 0},
        {"before=json:" CHANGE_SET(HLC_A3, DELETE("[~9~]", HLC_A3), ""), "before=table:t", 0, 0, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hook_config hooks[2] = {
            {.path = HOOK("hook_scripted"), .config = cases[i].first, .isolation = isolation},
            {.path = HOOK("hook_serial"), .config = cases[i].second, .isolation = isolation}};
        watcher_init(&watcher);
        struct hook_runner *r = runner_of(&watcher, hooks, 2);
        struct asked *a = asked_new(&watcher, HOOK_BEFORE_APPLY_CHANGES);
        struct batch *b = batch_of(SHOP);
        a->call.input.batch = b;
        struct hook_result result = ask(r, a);
        cr_assert_eq(result.sets.rejected_count, cases[i].rejected, "%zu", i);
        cr_assert_eq(result.sets.dropped_count, cases[i].dropped, "%zu", i);
        assert_sets(&result, b, cases[i].sets, cases[i].facts);
        if (cases[i].rejected == 1 && strstr(cases[i].first, "twice") == NULL) {
            cr_assert(slice_is(result.sets.rejected[0].code, "TABLE"));
            cr_assert(slice_is(result.sets.rejected[0].table, "t"));
        }
        hook_result_deinit(&result);
        batch_free(b);
        end(r);
    }
}

Test(hook_runner, each_hook_sees_the_changes_that_the_one_before_approved)
{
    decide(HOOK_IN_PROCESS);
}

Test(hook_runner, decisions_come_back_from_helper_processes)
{
    decide(HOOK_IN_HELPER);
}

static struct hook_result ask_both(enum hook_isolation isolation, const char *first, const char *second)
{
    struct hook_config hooks[2] = {
        {.path = HOOK("hook_scripted"), .config = first, .isolation = isolation, .timeout_ms = 10000},
        {.path = HOOK("hook_serial"), .config = second, .isolation = isolation, .timeout_ms = 10000}};
    watcher_init(&watcher);
    struct hook_runner *r = runner_of(&watcher, hooks, 2);
    struct asked *a = asked_new(&watcher, HOOK_AUTHORIZE);
    a->call.input.then_before_apply = true;
    a->call.input.operation = SYNC_APPLY_CHANGES;
    a->call.input.batch = a->batch = batch_of(SHOP);
    struct hook_result result = ask(r, a);
    end(r);
    return result;
}

static void both_in_one_call(enum hook_isolation isolation)
{
    struct hook_result result = ask_both(isolation, "trace=yes before=table:t", "trace=yes");
    cr_assert_eq(result.outcome, HOOK_APPROVED, "%s", result.text);
    cr_assert_eq(result.sets.rejected_count, 1);
    hook_result_deinit(&result);
    const char *may = strstr(watcher.log, "hook_serial 2 authorize\n");
    const char *which = strstr(watcher.log, "hook_scripted 2 before\n");
    cr_assert(may != NULL && which != NULL, "%s", watcher.log);
    if (isolation == HOOK_IN_PROCESS) cr_assert(may < which, "all authorize before any looks at changes");

    result = ask_both(isolation, "trace=yes", "authorize=refuse");
    cr_assert_eq(result.outcome, HOOK_REFUSED);
    cr_assert_str_eq(result.text, "no authorize");
    cr_assert_not(watcher_logged(&watcher, "hook_scripted 2 before"), "nobody looks at them");

    result = ask_both(isolation, "", "before=refuse");
    cr_assert_eq(result.outcome, HOOK_REFUSED);
    cr_assert_str_eq(result.text, "no before");
    result = ask_both(isolation, "before=fail", "");
    cr_assert_eq(result.outcome, HOOK_UNAVAILABLE);
}

Test(hook_runner, a_batch_is_authorized_and_judged_in_one_call)
{
    both_in_one_call(HOOK_IN_PROCESS);
    both_in_one_call(HOOK_IN_HELPER);
}

Test(hook_runner, decisions_that_are_rubbish_refuse_the_request)
{
    static const char *const configs[] = {"before=wild", "before=json:{}", "before=endless"};
    for (int helper = 0; helper < 2; helper++)
        for (size_t i = 0; i < 3; i++) {
            struct hook_config hook = {.path = HOOK("hook_scripted"),
                                       .config = configs[i],
                                       .isolation = helper ? HOOK_IN_HELPER : HOOK_IN_PROCESS};
            watcher_init(&watcher);
            struct hook_runner *r = runner_of(&watcher, &hook, 1);
            struct hook_result result = ask_op(r, HOOK_BEFORE_APPLY_CHANGES);
            cr_assert_eq(result.outcome, HOOK_UNAVAILABLE, "%s", configs[i]);
            cr_assert_eq(result.sets.count, 0);
            watcher_wait_log(&watcher, "before_apply_changes failed");
            end(r);
        }
}

Test(hook_runner, storage_paths_are_checked)
{
    static const struct {
        const char *under;
        enum hook_outcome want;
    } cases[] = {{"", HOOK_APPROVED},        {"a/b", HOOK_APPROVED},        {"a//b", HOOK_UNAVAILABLE},
                 {"/a", HOOK_UNAVAILABLE},   {"a/..", HOOK_UNAVAILABLE},    {".", HOOK_UNAVAILABLE},
                 {"a\tb", HOOK_UNAVAILABLE}, {"endless", HOOK_UNAVAILABLE}, {"..a", HOOK_APPROVED}};
    for (int helper = 0; helper < 2; helper++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            char config[64], want[64] = "";
            (void)snprintf(config, sizeof config, "under=%s", cases[i].under);
            struct hook_config hook = {.path = HOOK("hook_scripted"),
                                       .config = config,
                                       .isolation = helper ? HOOK_IN_HELPER : HOOK_IN_PROCESS};
            watcher_init(&watcher);
            struct hook_runner *r = runner_of(&watcher, &hook, 1);
            struct hook_result result = ask_op(r, HOOK_STORAGE_PATH);
            cr_assert_eq(result.outcome, cases[i].want, "%s", config);
            if (cases[i].want == HOOK_APPROVED && cases[i].under[0] != '\0')
                (void)snprintf(want, sizeof want, "%s/shop", cases[i].under);
            if (cases[i].want == HOOK_APPROVED) cr_assert_str_eq(result.path, want);
            end(r);
        }
}

Test(hook_runner, notices_arrive_with_what_happened)
{
    for (int helper = 0; helper < 2; helper++) {
        struct hook_config hook = {.path = HOOK("hook_scripted"),
                                   .config = "count=noticed",
                                   .isolation = helper ? HOOK_IN_HELPER : HOOK_IN_PROCESS};
        watcher_init(&watcher);
        struct hook_runner *r = runner_of(&watcher, &hook, 1);
        struct asked *a = asked_new(&watcher, HOOK_AFTER_APPLY_CHANGES);
        a->call.input.batch = a->batch = batch_of(SHOP);
        a->call.input.result.applied = 2;
        a->call.input.rejected_count = 3;
        asked_submit(r, a);
        asked_submit(r, asked_new(&watcher, HOOK_CLIENT_DISCONNECT));
        watcher_wait_log(&watcher, "hook_scripted 2 after ann sets=1 applied=2 rejected=3");
        watcher_wait_destroyed(&watcher, 2);
        end(r);
    }
}

static void events_arrive(enum hook_isolation isolation)
{
    struct hook_config hook = {.path = HOOK("hook_scripted"), .config = "", .isolation = isolation};
    struct hook_config deaf = {.path = HOOK("hook_older"), .config = "", .isolation = isolation};
    watcher_init(&watcher);
    struct hook_runner *r = runner_of(&watcher, (struct hook_config[]){deaf, hook}, 2);
    cr_assert(hook_runner_has(r, HOOK_COORDINATOR_EVENT));
    for (uint64_t epoch = 7; epoch < 20; epoch++) {
        struct asked *a = asked_new(&watcher, HOOK_COORDINATOR_EVENT);
        a->call.key = 1;
        a->call.input.event = (struct hook_event){.name = slice_str("leader:changed"),
                                                  .namespace_name = slice_str("default"),
                                                  .election = slice_str("global"),
                                                  .leader_id = slice_str(epoch == 7 ? "" : "gcs-1"),
                                                  .epoch = epoch};
        asked_submit(r, a);
    }
    watcher_wait_destroyed(&watcher, 13);
    watcher_wait_log(&watcher, "|gcs-1|19"); /* what a helper logs may come after its reply */
    end(r);
    const char *at = watcher.log;
    for (uint64_t epoch = 7; epoch < 20; epoch++) {
        char want[128];
        (void)snprintf(want, sizeof want, "hook_scripted 2 event leader:changed|default|global|%s|%d\n",
                       epoch == 7 ? "" : "gcs-1", (int)epoch);
        at = strstr(at, want);
        cr_assert_not_null(at, "in their order: %s in %s", want, watcher.log);
    }
    cr_assert_not(watcher_logged(&watcher, "hook_older 2 event"), "made before there were events");
}

Test(hook_runner, events_of_the_coordinator_arrive_in_their_order)
{
    events_arrive(HOOK_IN_PROCESS);
}

Test(hook_runner, events_of_the_coordinator_travel_to_helper_processes)
{
    events_arrive(HOOK_IN_HELPER);
}

static uint64_t counted;

static void read_counter(void *arg, const struct hook *h)
{
    for (unsigned i = 0; i < h->counter_count; i++)
        if (strcmp(h->counters[i].name, arg) == 0) counted = h->counters[i].value;
}

Test(hook_runner, counters_and_log_lines_carry_the_name_of_the_hook)
{
    for (int helper = 0; helper < 2; helper++) {
        struct hook_config hook = {.path = HOOK("hook_scripted"),
                                   .config = "count=seen_1 log=hello",
                                   .isolation = helper ? HOOK_IN_HELPER : HOOK_IN_PROCESS};
        watcher_init(&watcher);
        struct hook_runner *r = runner_of(&watcher, &hook, 1);
        for (int i = 0; i < 5; i++) (void)ask_op(r, HOOK_AUTHORIZE);
        counted = 0;
        hook_runner_each(r, read_counter, (void *)(uintptr_t) "seen_1");
        cr_assert_geq(counted, 5);
        watcher_wait_log(&watcher, "hook_scripted 2 hello");
        end(r);
    }
}

/* A pipe that blocked calls wait on. */
static void make_pipe(int ends[2], char config[64], const char *word)
{
    cr_assert_eq(pipe(ends), 0);
    (void)snprintf(config, 64, "%s=block fd=%d shutdown=bye", word, ends[0]);
}

Test(hook_runner, calls_of_one_key_are_answered_in_their_order)
{
    struct hook_runner *r = one(HOOK("hook_scripted"), "");
    struct asked *calls[40];
    for (uint64_t i = 0; i < 40; i++) {
        calls[i] = asked_new(&watcher, HOOK_AUTHORIZE);
        calls[i]->call.key = 5;
        calls[i]->tag = i;
        asked_submit(r, calls[i]);
    }
    for (int i = 0; i < 40; i++) {
        asked_wait(calls[i]);
        hook_call_release(&calls[i]->call);
    }
    for (uint64_t i = 0; i < 40; i++) cr_assert_eq(watcher.order[i], i);
    end(r);
}

Test(hook_runner, a_hook_that_does_not_load_or_open_is_an_error)
{
    static const struct {
        struct hook_config hook;
        const char *text;
    } cases[] = {
        {{.path = HOOK("not_there")}, "No such file"},
        {{.path = HOOK("hook_newer"), .isolation = HOOK_IN_HELPER}, "ABI 7"},
        {{.path = HOOK("hook_scripted"), .config = "open=refuse"}, "did not open: no open"},
        {{.path = HOOK("hook_scripted"), .config = "open=refuse", .isolation = HOOK_IN_HELPER}, "no open"},
        {{.path = HOOK("hook_scripted"), .config = "open=crash", .isolation = HOOK_IN_HELPER},
         "the helper ended before"}};
    struct hook_runner_config config = HOOK_RUNNER_DEFAULT;
    watcher_init(&watcher);
    config.env = watcher_environment(&watcher);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hook_config hooks[2] = {{.path = HOOK("hook_scripted"), .config = "shutdown=bye"},
                                       cases[i].hook};
        struct hook_runner *r;
        struct err_ctx ec = {""};
        cr_assert_neq(hook_runner_open(&config, hooks, 2, &r, &ec), SYNC_OK);
        cr_assert_not_null(strstr(ec.text, cases[i].text), "%s", ec.text);
    }
    cr_assert(watcher_logged(&watcher, "bye"), "those before it are shut down");
}

static void on_reloaded(void *arg, enum sync_err rc, const char *text)
{
    char line[512];
    struct hook_environment env = watcher_environment(arg);
    (void)snprintf(line, sizeof line, "reload rc=%d %s", (int)rc, text);
    env.log(arg, "test", SYNC_LOG_INFO, line);
}

static void reload(struct hook_runner *r, const char *path, const char *config, const char *wait_for)
{
    struct hook_config hook = {.path = path, .config = config, .timeout_ms = 10000};
    struct err_ctx ec;
    cr_assert_eq(hook_runner_reload(r, &hook, 1, 0, on_reloaded, &watcher, &ec), SYNC_OK);
    watcher_wait_log(&watcher, wait_for);
    pthread_mutex_lock(&watcher.lock);
    watcher.log_len = 0;
    watcher.log[0] = '\0';
    pthread_mutex_unlock(&watcher.lock);
}

Test(hook_runner, a_reload_replaces_the_hook_and_shuts_the_old_one_down)
{
    struct hook_runner *r = one(HOOK("hook_scripted"), "authorize=refuse shutdown=old-gone");
    cr_assert_eq(ask_op(r, HOOK_AUTHORIZE).outcome, HOOK_REFUSED);
    reload(r, HOOK("hook_scripted"), "authorize=ok", "old-gone");
    cr_assert_eq(ask_op(r, HOOK_AUTHORIZE).outcome, HOOK_APPROVED);
    reload(r, HOOK("hook_newer"), "", "ABI 7");
    cr_assert_eq(ask_op(r, HOOK_AUTHORIZE).outcome, HOOK_APPROVED, "the one before stays");
    end(r);
}

Test(hook_runner, a_call_in_flight_finishes_on_the_old_hook)
{
    int ends[2];
    char config[64];
    make_pipe(ends, config, "authorize");
    struct hook_runner *r = one(HOOK("hook_scripted"), config);
    struct asked *a = asked_new(&watcher, HOOK_AUTHORIZE);
    asked_submit(r, a);
    watcher_wait_log(&watcher, "blocked");
    reload(r, HOOK("hook_scripted"), "authorize=refuse", "rc=0");
    cr_assert_eq(ask_op(r, HOOK_AUTHORIZE).outcome, HOOK_REFUSED, "others are on the new one");
    cr_assert_not(a->answered);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    asked_wait(a);
    cr_assert_eq(a->call.result.outcome, HOOK_APPROVED);
    watcher_wait_log(&watcher, "bye");
    hook_call_release(&a->call);
    end(r);
}

Test(hook_runner, an_unchanged_hook_is_asked_to_reload_itself)
{
    struct hook_runner *r = one(HOOK("hook_reloads"), "shutdown=bye");
    reload(r, HOOK("hook_reloads"), "shutdown=bye", "rc=0");
    counted = 0;
    hook_runner_each(r, read_counter, (void *)(uintptr_t) "reloads");
    cr_assert_eq(counted, 1);
    cr_assert_not(watcher_logged(&watcher, "bye"));
    reload(r, HOOK("hook_reloads"), "shutdown=bye reload=refuse", "bye");
    reload(r, HOOK("hook_reloads"), "shutdown=bye reload=refuse", "no reload; it goes on as it was");
    cr_assert_eq(ask_op(r, HOOK_AUTHORIZE).outcome, HOOK_APPROVED);
    end(r);
}

Test(hook_runner, the_example_of_the_documentation_does_what_it_says)
{
    struct hook_runner *r = one(HOOK("hook_example"), "");
    for (int ann = 0; ann < 2; ann++) {
        struct asked *a = asked_new(&watcher, HOOK_AUTHORIZE);
        hook_identity_unref(a->call.input.identity);
        a->call.input.identity = identity_of(ann ? "ann" : "bob");
        a->call.input.operation = SYNC_APPLY_CHANGES;
        struct hook_result result = ask(r, a);
        cr_assert_eq(result.outcome, ann ? HOOK_REFUSED : HOOK_APPROVED);
        cr_assert_str_eq(result.text, ann ? "ann may only read" : "");
    }
    struct asked *a = asked_new(&watcher, HOOK_BEFORE_APPLY_CHANGES);
    a->call.input.batch = a->batch =
        batch_of("[" CHANGE_SET(HLC_A0, DELETE("[1]", HLC_A0),
                                "") ",{\"siteId\":\"" SITE_A "\",\"transactionId\":\"x\",\"hlc\":\"" HLC_A1
                                    "\",\"changes\":[{\"type\":\"delete\",\"schema\":\"main\",\"table\":"
                                    "\"ledger\",\"pk\":[1],\"hlc\":\"" HLC_A1 "\"}]}]");
    struct hook_result result = ask(r, a);
    cr_assert_eq(result.outcome, HOOK_APPROVED);
    cr_assert_eq(result.sets.count, 1);
    cr_assert_eq(result.sets.rejected_count, 1);
    cr_assert(slice_is(result.sets.rejected[0].code, "LEDGER"));
    hook_result_deinit(&result);
    end(r);
}

Test(hook_runner, a_hook_may_be_written_in_cpp)
{
    struct hook_runner *r = one(HOOK("hook_cpp"), "");
    struct hook_result result = ask_op(r, HOOK_CLIENT_CONNECT);
    cr_assert_eq(result.outcome, HOOK_REFUSED);
    cr_assert_str_eq(result.text, "closed");
    cr_assert_not(hook_runner_has(r, HOOK_AUTHORIZE));
    end(r);
}
