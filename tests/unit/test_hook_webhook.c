#include "tests/unit/hook_fixture.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* An endpoint on a loopback port that answers every request with `status` and `answer`, and keeps what it
 * got. */
static struct endpoint {
    int fd;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    int status;
    char answer[2048], asked[8192];
    unsigned requests, connections;
} endpoint;

static struct hook_watcher watcher;

/* Reads one request; false at the end of the connection. */
static bool read_request(int fd, char *text, size_t room)
{
    size_t len = 0, want = SIZE_MAX;
    while (len < want && len < room - 1) {
        ssize_t n = read(fd, text + len, room - 1 - len);
        if (n <= 0) return false;
        text[len += (size_t)n] = '\0';
        const char *body = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");
        if (body != NULL && length != NULL) want = (size_t)(body + 4 - text) + strtoul(length + 16, NULL, 10);
    }
    return true;
}

static void *serve(void *arg)
{
    struct endpoint *e = arg;
    char text[8192], reply[4096];
    int fd;
    while ((fd = accept(e->fd, NULL, NULL)) >= 0) {
        e->connections++;
        while (read_request(fd, text, sizeof text)) {
            pthread_mutex_lock(&e->lock);
            e->requests++;
            strcpy(e->asked, text);
            int n = snprintf(reply, sizeof reply, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s", e->status,
                             strlen(e->answer), e->answer);
            bool silent = e->status == 0;
            pthread_mutex_unlock(&e->lock);
            if (!silent && write(fd, reply, (size_t)n) != n) break;
        }
        (void)close(fd);
    }
    return NULL;
}

static void set_up(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    watcher_init(&watcher);
    pthread_mutex_init(&endpoint.lock, NULL);
    endpoint.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(endpoint.fd, (struct sockaddr *)&a, sizeof a), 0);
    cr_assert_eq(listen(endpoint.fd, 8), 0);
    cr_assert_eq(getsockname(endpoint.fd, (struct sockaddr *)&a, &len), 0);
    endpoint.port = ntohs(a.sin_port);
    cr_assert_eq(setenv("WEBHOOK_TEST_SECRET", "hush", 1), 0);
    cr_assert_eq(pthread_create(&endpoint.thread, NULL, serve, &endpoint), 0);
}

static void tear_down(void)
{
    (void)shutdown(endpoint.fd, SHUT_RDWR);
    (void)pthread_join(endpoint.thread, NULL);
    (void)close(endpoint.fd);
}

TestSuite(hook_webhook, .init = set_up, .fini = tear_down);

static struct hook_runner *with(const char *settings)
{
    char config[256];
    (void)snprintf(config, sizeof config, "url=http://127.0.0.1:%u/x bearer_env=WEBHOOK_TEST_SECRET %s",
                   endpoint.port, settings);
    struct hook_config hook = {.path = SHIPPED("webhook"), .config = config, .timeout_ms = 20000};
    return runner_of(&watcher, &hook, 1);
}

static void answer(int status, const char *text)
{
    pthread_mutex_lock(&endpoint.lock);
    endpoint.status = status;
    strcpy(endpoint.answer, text);
    pthread_mutex_unlock(&endpoint.lock);
}

static void end(struct hook_runner *r)
{
    cr_assert(hook_runner_close(r, 10000));
}

Test(hook_webhook, the_endpoint_lets_in_and_keeps_out)
{
    struct hook_runner *r = with("");
    answer(200, "{\"ok\":true,\"userId\":\"ann\",\"metadata\":\"m\",\"expiresMs\":5000}");
    struct hook_result result = ask_token(r, &watcher, "tok");
    cr_assert_eq(result.outcome, HOOK_APPROVED, "%s", result.text);
    cr_assert_str_eq(result.identity->user_id, "ann");
    cr_assert_eq(result.identity->expires_ms, 5000);
    cr_assert(slice_is(hook_identity_metadata(result.identity, "webhook"), "m"));
    cr_assert_not_null(strstr(endpoint.asked, "\"token\":\"tok\""), "%s", endpoint.asked);
    cr_assert_not_null(strstr(endpoint.asked, "Authorization: Bearer hush"));
    hook_result_deinit(&result);
    answer(200, "{\"ok\":false,\"text\":\"go away\"}");
    result = ask_token(r, &watcher, "tok");
    cr_assert_eq(result.outcome, HOOK_REFUSED);
    cr_assert_str_eq(result.text, "go away");
    cr_assert_eq(ask(r, asked_new(&watcher, HOOK_AUTHORIZE)).outcome, HOOK_REFUSED);
    cr_assert_not_null(strstr(endpoint.asked, "\"userId\":\"ann\""), "%s", endpoint.asked);
    cr_assert_eq(endpoint.connections, 1, "it is kept open");
    end(r);
}

Test(hook_webhook, whatever_is_no_clear_answer_refuses)
{
    static const struct {
        int status;
        const char *text;
    } cases[] = {{500, "{\"ok\":true}"}, {302, "{\"ok\":true}"},     {200, ""},
                 {200, "yes"},           {200, "{\"ok\":\"true\"}"}, {200, "{\"ok\":true,\"ok\":true}"}};
    struct hook_runner *r = with("cache_s=60");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        answer(cases[i].status, cases[i].text);
        cr_assert_eq(ask_token(r, &watcher, "t").outcome, HOOK_UNAVAILABLE, "%zu", i);
    }
    cr_assert_eq(endpoint.requests, 6, "none of these is kept, and none is asked twice");
    end(r);
    r = with("timeout_ms=50 retries=5");
    answer(0, "");
    cr_assert_eq(ask_token(r, &watcher, "t").outcome, HOOK_UNAVAILABLE);
    cr_assert_eq(endpoint.requests, 7, "a question that was sent is not sent again");
    end(r);
}

Test(hook_webhook, answers_are_kept_for_a_while)
{
    struct hook_runner *r = with("cache_s=3600");
    answer(200, "{\"ok\":true,\"userId\":\"ann\"}");
    for (int i = 0; i < 3; i++) {
        struct hook_result result = ask_token(r, &watcher, "one");
        cr_assert_eq(result.outcome, HOOK_APPROVED);
        hook_result_deinit(&result);
    }
    cr_assert_eq(endpoint.requests, 1);
    answer(200, "{\"ok\":false}");
    cr_assert_eq(ask_token(r, &watcher, "two").outcome, HOOK_REFUSED, "another token is another question");
    struct asked *a = asked_new(&watcher, HOOK_AUTHENTICATE);
    a->call.input.token = slice_str("one");
    a->call.input.recheck = true;
    cr_assert_eq(ask(r, a).outcome, HOOK_REFUSED, "a recheck always asks");
    end(r);
}

Test(hook_webhook, the_endpoint_decides_about_changes)
{
    struct hook_runner *r = with("calls=before_apply_changes");
    cr_assert_eq(ask(r, asked_new(&watcher, HOOK_AUTHORIZE)).outcome, HOOK_APPROVED, "is not asked");
    static const struct {
        const char *answer;
        enum hook_outcome want;
        size_t sets, facts;
        uint32_t rejected;
    } cases[] = {{"{\"ok\":true}", HOOK_APPROVED, 1, 2, 0},
                 {"{\"ok\":true,\"reject\":[{\"set\":0,\"reason\":\"no\"}]}", HOOK_APPROVED, 0, 0, 1},
                 {"{\"ok\":true,\"drop\":[{\"set\":0,\"change\":1}]}", HOOK_APPROVED, 1, 1, 0},
                 {"{\"ok\":true,\"replace\":[{\"set\":0,\"changeSet\":" CHANGE_SET(
                      HLC_A3, DELETE("[9]", HLC_A3), "") "}]}",
                  HOOK_APPROVED, 1, 1, 0},
                 {"{\"ok\":true,\"drop\":[{\"set\":0}]}", HOOK_UNAVAILABLE, 1, 2, 0},
                 {"{\"ok\":true,\"reject\":[{\"set\":-1}]}", HOOK_UNAVAILABLE, 1, 2, 0},
                 {"{\"ok\":true,\"replace\":[{\"set\":0}]}", HOOK_UNAVAILABLE, 1, 2, 0},
                 {"{\"ok\":false}", HOOK_REFUSED, 1, 2, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked *a = asked_new(&watcher, HOOK_BEFORE_APPLY_CHANGES);
        struct batch *b =
            batch_of("[" CHANGE_SET(HLC_A1,
                                    CELL("[1]", "a", "{\"x\":[123456789012345678901234567890,\"\\ud800\"]}",
                                         HLC_A0) "," DELETE("[2]", HLC_A1),
                                    "") "]");
        struct err_ctx ec;
        a->call.input.batch = b;
        answer(200, cases[i].answer);
        struct hook_result result = ask(r, a);
        cr_assert_eq(result.outcome, cases[i].want, "%s: %s", cases[i].answer, result.text);
        cr_assert_eq(result.sets.rejected_count, cases[i].rejected);
        if (result.outcome == HOOK_APPROVED) cr_assert_eq(hook_sets_settle(&result.sets, b, &ec), SYNC_OK);
        cr_assert_eq(b->set_count, cases[i].sets, "%s", cases[i].answer);
        cr_assert_eq(b->fact_count, cases[i].facts, "%s", cases[i].answer);
        hook_result_deinit(&result);
        batch_free(b);
    }
    cr_assert_not_null(strstr(endpoint.asked, "\"table\":\"t\""), "%s", endpoint.asked);
    end(r);
}
