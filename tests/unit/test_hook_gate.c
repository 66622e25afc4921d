/* The server's side of the hooks, without a server: questions and events that no connection asks. */
#include "server/hooks/hook_gate.h"

#include "server/hooks/database_place.h"
#include "server/hooks/hook_event.h"
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

/* ---- where a database lies */

static enum sync_err find(const char *database, struct database_place *ret, struct err_ctx *ec)
{
    *ec = (struct err_ctx){""};
    return database_place_find(&gate, slice_str(database), ret, ec);
}

Test(hook_gate, says_where_a_database_lies)
{
    struct database_place place;
    struct snapshot_key key;
    struct err_ctx ec;
    gate_of("under=tenants/\xc3\xa9", 10000);
    cr_assert_eq(find("shop:1", &place, &ec), SYNC_OK, "%s", ec.text);
    snapshot_prefix(SNAPSHOTS_PREFIX, place.at, &key);
    cr_assert_str_eq(key.text, "snapshots/tenants/\xc3\xa9/shop:1/shop~3a1/");
    cr_assert(hook_gate_close(&gate));
    gate_of("under=", 10000); /* has the function, and no opinion */
    cr_assert_eq(find("shop", &place, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(place.at.path.len, 0);
    cr_assert(hook_gate_close(&gate));
    gate_of(NULL, 0);
    cr_assert_eq(find("shop", &place, &ec), SYNC_OK, "%s", ec.text);
    snapshot_prefix(DAMAGED_PREFIX, place.at, &key);
    cr_assert_str_eq(key.text, "damaged/shop/");
    cr_assert(hook_gate_close(&gate));
}

Test(hook_gate, a_place_that_a_hook_refuses_fails_or_misspells_is_none)
{
    static const struct {
        const char *script;
        enum sync_err rc;
        const char *text;
    } cases[] = {{"path=refuse", SYNC_EFORBIDDEN, "storage_path: no path"},
                 {"path=fail", SYNC_EBUSY, "storage_path: "},
                 {"path=rubbish", SYNC_EBUSY, "storage_path: "},
                 {"under=../a", SYNC_EBUSY, "storage_path: "},
                 {"under=a//b", SYNC_EBUSY, "storage_path: "},
                 {"under=/a", SYNC_EBUSY, "storage_path: "},
                 {"under=endless", SYNC_EBUSY, "storage_path: "}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct database_place place;
        struct err_ctx ec;
        gate_of(cases[i].script, 10000);
        cr_assert_eq(find("shop", &place, &ec), cases[i].rc, "%s: %s", cases[i].script, ec.text);
        cr_assert_eq(strncmp(ec.text, cases[i].text, strlen(cases[i].text)), 0, "%s", ec.text);
        cr_assert(hook_gate_close(&gate));
    }
}

Test(hook_gate, a_place_must_leave_room_for_the_database)
{
    struct database_place place;
    struct err_ctx ec;
    char longest[DATABASE_ID_MAX + 1] = "";
    gate_of("under=0123456789012345678901234567890123456789", 10000);
    memset(longest, 'a', 200);
    cr_assert_eq(find(longest, &place, &ec), SYNC_OK, "%s", ec.text);
    for (size_t i = 0; i < 200; i++) longest[i] = ':'; /* each is three bytes of the key */
    cr_assert_eq(find(longest, &place, &ec), SYNC_ELIMIT, "%s", ec.text);
    cr_assert_not_null(strstr(ec.text, "storage_path: a path of 241 bytes"), "%s", ec.text);
    cr_assert(hook_gate_close(&gate));
}

Test(hook_gate, a_place_that_is_not_told_in_time_is_none)
{
    struct database_place place;
    struct err_ctx ec;
    int ends[2];
    char script[64];
    cr_assert_eq(pipe(ends), 0);
    (void)snprintf(script, sizeof script, "path=block fd=%d", ends[0]);
    gate_of(script, 30);
    cr_assert_eq(find("shop", &place, &ec), SYNC_EBUSY, "%s", ec.text);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    cr_assert(hook_gate_close(&gate));
}
