/* The server's side of the hooks, without a server: questions and events that no connection asks. */
#include "server/hook_gate.h"

#include "server/hook_event.h"
#include "tests/unit/hook_fixture.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct hook_watcher watcher;
static struct log_output output;
static struct hook_gate gate;
static struct sync_metrics metrics;

/* The watcher waits for lines that hooks log; here they come through the server's log. */
static void write_line(void *arg, const char *line, size_t len)
{
    struct hook_watcher *w = arg;
    pthread_mutex_lock(&w->lock);
    size_t room = sizeof w->log - 1 - w->log_len;
    if (len > room) len = room;
    memcpy(w->log + w->log_len, line, len);
    w->log_len += len;
    w->log[w->log_len] = '\0';
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static uint64_t some_time(void *arg)
{
    (void)arg;
    return 1000;
}

static void gate_of(const char *script, uint32_t timeout_ms)
{
    static struct config config; /* hooks are all that the gate looks at, and auth.mode */
    struct config_hook hook = {.path = HOOK("hook_scripted"), .config = script, .timeout_ms = timeout_ms};
    struct err_ctx ec = {""};
    watcher_init(&watcher);
    log_output_init(&output, (struct log_sink){.write = write_line, .now_ms = some_time, .arg = &watcher});
    config.hooks.chain = (struct config_hook_list){.items = &hook, .count = script == NULL ? 0 : 1};
    memset(&gate, 0, sizeof gate);
    cr_assert_eq(hook_gate_open(&gate, &config, logger_of(&output), &metrics, &ec), SYNC_OK, "%s", ec.text);
}

static void tell(uint64_t epoch)
{
    char leader[] = "gcs-a"; /* the texts are gone when the call returns */
    const struct hook_event ev = {.name = slice_str("coord:coordinator-promoted"),
                                  .namespace_name = slice_str("default"),
                                  .election = slice_str("global"),
                                  .leader_id = slice_str(leader),
                                  .epoch = epoch};
    hook_gate_coordinator_event(&gate, &ev);
    memset(leader, 'x', sizeof leader - 1);
}

Test(hook_gate, tells_events_of_the_coordinator)
{
    gate_of("", 10000);
    tell(7);
    tell(8);
    watcher_wait_log(&watcher, "event coord:coordinator-promoted|default|global|gcs-a|7");
    watcher_wait_log(&watcher, "event coord:coordinator-promoted|default|global|gcs-a|8");
    cr_assert(hook_gate_close(&gate));
    tell(9); /* nobody is there to be told */
    cr_assert_not(watcher_logged(&watcher, "|9"));
}

Test(hook_gate, without_hooks_events_go_nowhere)
{
    gate_of(NULL, 0);
    tell(1);
    cr_assert_null(hook_gate_runner(&gate));
    cr_assert(hook_gate_close(&gate));
}

/* Whoever tells is not delayed by a hook that does not return, and what waits behind it is told later. */
Test(hook_gate, an_event_waits_for_no_hook)
{
    char fifo[64], script[128];
    (void)snprintf(fifo, sizeof fifo, "/tmp/hook_gate_%d", (int)getpid());
    (void)unlink(fifo);
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    (void)snprintf(script, sizeof script, "event=block fifo=%s", fifo);
    gate_of(script, 60000);
    for (uint64_t epoch = 1; epoch <= 100; epoch++) tell(epoch); /* returns, though nothing is told yet */
    watcher_wait_log(&watcher, "blocked");
    cr_assert_not(watcher_logged(&watcher, "event coord"));
    int fd = open(fifo, O_WRONLY); /* lets them all go on */
    cr_assert_geq(fd, 0);
    watcher_wait_log(&watcher, "|gcs-a|100");
    (void)close(fd);
    cr_assert(hook_gate_close(&gate));
    (void)unlink(fifo);
}
