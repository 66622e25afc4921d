/* Threads log while another changes what is shown. Every line is whole and in one of the formats, and what a
 * setting hides stays hidden once every thread has seen it. A plain program: it also runs under
 * ThreadSanitizer. */
#include "core/log/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WRITERS = 3, LINES = 20000 };

static struct log_output output;
static atomic_uint texts, jsons, debugs, hidden;
static atomic_bool all_hidden;

static void check(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

static bool ends_in(const char *line, size_t len, const char *end)
{
    return len >= strlen(end) && memcmp(line + len - strlen(end), end, strlen(end)) == 0;
}

static void sink_write(void *arg, const char *line, size_t len)
{
    (void)arg;
    bool json = line[0] == '{';
    check(ends_in(line, len, json ? ",\"n\":1}\n" : " n=1\n"), "a line is whole");
    check(memchr(line, '\n', len) == line + len - 1, "a call is a line");
    atomic_fetch_add(json ? &jsons : &texts, 1);
    if (memmem(line, len, "debug", 5) != NULL) atomic_fetch_add(&debugs, 1);
    check(!atomic_load(&all_hidden), "nothing is shown that is hidden");
}

static uint64_t sink_now(void *arg)
{
    (void)arg;
    return 1714979289123;
}

static void *log_much(void *arg)
{
    struct logger all = logger_of(&output);
    struct logger conn = logger_for_conn(&all, slice_str(arg));
    for (int i = 0; i < LINES; i++) {
        log_warn(&conn, LOG_WS, "e", LOG_STR("db", "shop"), LOG_U64("n", 1));
        log_debug(&conn, LOG_WS, "e", LOG_U64("n", 1));
        if (!log_enabled(&conn, LOG_WS, LOG_LEVEL_WARN)) atomic_fetch_add(&hidden, 1);
    }
    return NULL;
}

int main(void)
{
    static char *const names[WRITERS] = {"a", "b", "c"};
    pthread_t threads[WRITERS];
    log_output_init(&output, (struct log_sink){.write = sink_write, .now_ms = sink_now});
    for (int i = 0; i < WRITERS; i++)
        check(pthread_create(&threads[i], NULL, log_much, names[i]) == 0, "pthread_create");
    for (int i = 0; i < 2000; i++) {
        log_configure(&output, i % 3 == 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN,
                      i % 2 == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT, slice_str(i % 5 == 0 ? "*" : ""));
    }
    for (int i = 0; i < WRITERS; i++) check(pthread_join(threads[i], NULL) == 0, "pthread_join");
    check(atomic_load(&texts) + atomic_load(&jsons) <= 2u * WRITERS * LINES, "no line is doubled");

    log_configure(&output, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, slice_of(NULL, 0));
    atomic_store(&all_hidden, true);
    log_much(names[0]);
    atomic_store(&all_hidden, false);
    log_configure(&output, LOG_LEVEL_WARN, LOG_FORMAT_JSON, slice_str("sync-coordinator:ws"));
    unsigned before = atomic_load(&jsons), debugs_before = atomic_load(&debugs);
    log_much(names[0]);
    check(atomic_load(&jsons) - before == 2u * LINES, "both kinds of line are shown");
    check(atomic_load(&debugs) - debugs_before == LINES, "debug lines are shown");
    return 0;
}
