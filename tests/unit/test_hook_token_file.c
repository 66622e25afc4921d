#include "tests/unit/hook_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct hook_watcher watcher;
static char path[] = "/tmp/sync-tokens-test-XXXXXX";

static void write_file(const char *to, const char *text)
{
    FILE *f = fopen(to, "w");
    cr_assert_not_null(f);
    cr_assert_geq(fputs(text, f), 0);
    cr_assert_eq(fclose(f), 0);
}

static void set_up(void)
{
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    watcher_init(&watcher);
}

static void tear_down(void)
{
    (void)unlink(path);
}

TestSuite(hook_token_file, .init = set_up, .fini = tear_down);

static struct hook_runner *with(const char *text)
{
    struct hook_config hook = {.path = SHIPPED("token-file"), .config = path, .timeout_ms = 20000};
    write_file(path, text);
    return runner_of(&watcher, &hook, 1);
}

static void assert_outcome(struct hook_runner *r, const char *token, enum hook_outcome want)
{
    struct hook_result result = ask_token(r, &watcher, token);
    cr_assert_eq(result.outcome, want, "%s: %s", token, result.text);
    hook_result_deinit(&result);
}

Test(hook_token_file, a_line_says_who_may_do_what_where)
{
    struct hook_runner *r =
        with("# comment\n\n  aaa ann x,sh* read-write\nbbb bob * read-only\nccc cid shop-2 read-write\n");
    assert_outcome(r, "ccc", HOOK_REFUSED);
    assert_outcome(r, "aa", HOOK_REFUSED);
    assert_outcome(r, "aaaa", HOOK_REFUSED);
    assert_outcome(r, "", HOOK_REFUSED);
    assert_outcome(r, "#", HOOK_REFUSED);
    for (int write = 0; write < 2; write++) {
        struct hook_result in = ask_token(r, &watcher, write ? "aaa" : "bbb");
        cr_assert_eq(in.outcome, HOOK_APPROVED, "%s", in.text);
        cr_assert_str_eq(in.identity->user_id, write ? "ann" : "bob");
        cr_assert_gt(in.identity->recheck_ms, 0, "a revoked user loses an open connection");
        struct asked *a = asked_new(&watcher, HOOK_AUTHORIZE);
        hook_identity_unref(a->call.input.identity);
        a->call.input.identity = in.identity;
        a->call.input.operation = SYNC_APPLY_CHANGES;
        cr_assert_eq(ask(r, a).outcome, write ? HOOK_APPROVED : HOOK_REFUSED);
    }
    cr_assert(hook_runner_close(r, 10000));
}

Test(hook_token_file, a_changed_file_is_read_again_and_a_broken_one_changes_nothing)
{
    char next[64];
    (void)snprintf(next, sizeof next, "%s.next", path);
    struct hook_runner *r = with("aaa ann * read-write\n");
    assert_outcome(r, "aaa", HOOK_APPROVED);
    write_file(next, "bbb bob * read-write\n");
    cr_assert_eq(rename(next, path), 0);
    assert_outcome(r, "aaa", HOOK_REFUSED);
    assert_outcome(r, "bbb", HOOK_APPROVED);
    write_file(next, "bbb bob * read-write\nccc cid\n");
    cr_assert_eq(rename(next, path), 0);
    assert_outcome(r, "bbb", HOOK_APPROVED);
    watcher_wait_log(&watcher, ":2: not four words");
    cr_assert_eq(unlink(path), 0);
    assert_outcome(r, "bbb", HOOK_APPROVED);
    watcher_wait_log(&watcher, "No such file");
    cr_assert(hook_runner_close(r, 10000));
}

Test(hook_token_file, a_file_that_is_wrong_from_the_start_is_an_error)
{
    static const char *const texts[] = {"a b c", "a b c read-wrote", "a b c read-only x"};
    struct hook_runner_config config = HOOK_RUNNER_DEFAULT;
    config.env = watcher_environment(&watcher);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct hook_config hook = {.path = SHIPPED("token-file"), .config = path};
        struct hook_runner *r;
        struct err_ctx ec = {""};
        write_file(path, texts[i]);
        cr_assert_eq(hook_runner_open(&config, &hook, 1, &r, &ec), SYNC_ECONFIG, "%s", texts[i]);
        cr_assert_not_null(strstr(ec.text, ":1: "), "%s", ec.text);
    }
}

Test(hook_token_file, the_audit_log_writes_a_line_for_what_was_taken)
{
    char line[256] = "";
    struct hook_config hook = {.path = SHIPPED("audit-log"), .config = path};
    struct hook_runner *r = runner_of(&watcher, &hook, 1);
    struct asked *a = asked_new(&watcher, HOOK_AFTER_APPLY_CHANGES);
    a->call.input.batch = a->batch = batch_of("[" CHANGE_SET(HLC_A0, DELETE("[1]", HLC_A0), "") "]");
    a->call.input.result.applied = 1;
    asked_submit(r, a);
    watcher_wait_destroyed(&watcher, 1);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(fgets(line, sizeof line, f));
    fclose(f);
    cr_assert_not_null(strstr(line, " shop ann sets=1 applied=1 rejected=0\n"), "%s", line);
    cr_assert(hook_runner_close(r, 10000));
}
