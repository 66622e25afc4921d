#include "tests/objects/races.h"

#include "storage/objects/object_writer.h"
#include "tests/objects/content.h"
#include "tests/objects/stores.h"
#include "tests/objects/suite.h"

#include <pthread.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
    RACERS = 20,
    ROUNDS = 6,
    COUNTERS = 6,
    ADDS = 25,
    LOST_STATUS = 10,
    UNKNOWN_STATUS = 11,
    LARGE_BYTES = 96 * 1024 * 1024,
    LARGE_GROWTH_MAX = 40 * 1024 * 1024,
};

static struct object_store *store;

/* ---- one winner */

struct racer {
    struct slice key;
    pthread_barrier_t *start;
    char token[32];
    enum object_outcome outcome;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    struct err_ctx ec;
    (void)pthread_barrier_wait(r->start);
    CHECK_OK(object_put_if_absent(store, NULL, r->key, slice_str(r->token), &r->outcome, NULL, &ec), &ec);
    return NULL;
}

static void check_holds(struct slice key, const char *token)
{
    struct buf got = buf_make(100);
    struct err_ctx ec;
    CHECK_OK(object_get_buf(store, NULL, key, NULL, &got, NULL, &ec), &ec);
    CHECK(slice_is(buf_slice(&got), token), "it holds %.*s, the winner is %s", SLICE_ARG(buf_slice(&got)),
          token);
    buf_deinit(&got);
}

static void of_twenty_threads_one_creates(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct racer racers[RACERS];
        pthread_t threads[RACERS];
        pthread_barrier_t start;
        char name[32];
        const char *winner = NULL;
        (void)snprintf(name, sizeof name, "race/%d", round);
        struct slice key = stores_key(name);
        CHECK(pthread_barrier_init(&start, NULL, RACERS) == 0);
        for (int i = 0; i < RACERS; i++) {
            racers[i] = (struct racer){.key = key, .start = &start};
            (void)snprintf(racers[i].token, sizeof racers[i].token, "thread %d", i);
            CHECK(pthread_create(&threads[i], NULL, race, &racers[i]) == 0);
        }
        for (int i = 0; i < RACERS; i++) {
            CHECK(pthread_join(threads[i], NULL) == 0);
            CHECK(racers[i].outcome != OBJECT_UNKNOWN, "nothing is wrong with the store");
            if (racers[i].outcome != OBJECT_OK) continue;
            CHECK(winner == NULL, "two winners: %s and %s", winner, racers[i].token);
            winner = racers[i].token;
        }
        CHECK(winner != NULL, "no winner");
        check_holds(key, winner);
        (void)pthread_barrier_destroy(&start);
    }
}

pid_t races_start_child(const char *what, const char *arg)
{
    pid_t pid;
    char *argv[] = {"test_objects",
                    (char *)stores_kind(),
                    (char *)stores_place(),
                    "child",
                    (char *)what,
                    (char *)arg,
                    NULL};
    CHECK(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) == 0);
    return pid;
}

int races_wait_child(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status), "a child was ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

void races_run_child(const char *what)
{
    CHECK(races_wait_child(races_start_child(what, "")) == 0);
}

static int child_create(const char *key)
{
    enum object_outcome outcome;
    struct err_ctx ec;
    char token[32];
    (void)snprintf(token, sizeof token, "process %d", (int)getpid());
    CHECK_OK(object_put_if_absent(store, NULL, slice_str(key), slice_str(token), &outcome, NULL, &ec), &ec);
    return outcome == OBJECT_OK ? 0 : outcome == OBJECT_LOST ? LOST_STATUS : UNKNOWN_STATUS;
}

static void of_twenty_processes_one_creates(void)
{
    pid_t pids[RACERS], winner = 0;
    char token[32], key[64];
    (void)snprintf(key, sizeof key, "%.*s", SLICE_ARG(stores_key("race/processes")));
    for (int i = 0; i < RACERS; i++) pids[i] = races_start_child("create", key);
    for (int i = 0; i < RACERS; i++) {
        int status = races_wait_child(pids[i]);
        CHECK(status == 0 || status == LOST_STATUS, "status %d", status);
        if (status != 0) continue;
        CHECK(winner == 0, "two winners");
        winner = pids[i];
    }
    CHECK(winner != 0, "no winner");
    (void)snprintf(token, sizeof token, "process %d", (int)winner);
    check_holds(slice_str(key), token);
}

/* ---- compare and swap */

/* How often each writer has added. */
struct counter {
    uint64_t added[COUNTERS];
};

static void read_counter(struct slice key, struct counter *ret, struct object_version *ret_version)
{
    struct buf got = buf_make(1000);
    struct object_info info = {0};
    struct err_ctx ec;
    CHECK_OK(object_get_buf(store, NULL, key, NULL, &got, &info, &ec), &ec);
    CHECK(got.len == sizeof *ret, "%zu bytes", got.len);
    memcpy(ret, got.bytes, sizeof *ret);
    *ret_version = info.version;
    buf_deinit(&got);
}

/* Adds ADDS times. Every read must show all of this writer's confirmed additions and no other: an update that
 * was lost, or one that was said to be lost and was made, shows at once. */
static void add_all(struct slice key, size_t writer)
{
    struct counter c;
    struct object_version version;
    struct err_ctx ec;
    enum object_outcome outcome = OBJECT_LOST;
    uint64_t confirmed = 0;
    for (int tries = 0; tries < 100000; tries++) {
        read_counter(key, &c, &version);
        if (outcome == OBJECT_UNKNOWN && c.added[writer] == confirmed + 1) confirmed++;
        CHECK(c.added[writer] == confirmed, "writer %zu has added %ju times, the counter has %ju", writer,
              (uintmax_t)confirmed, (uintmax_t)c.added[writer]);
        if (confirmed == ADDS) return;
        c.added[writer]++;
        struct slice bytes = slice_of(&c, sizeof c);
        CHECK_OK(object_put_if_match(store, NULL, key, bytes, &version, &outcome, NULL, &ec), &ec);
        if (outcome == OBJECT_OK) confirmed++;
    }
    CHECK(false, "it does not get through");
}

struct adder {
    struct slice key;
    size_t writer;
};

static void *add_in_thread(void *arg)
{
    struct adder *a = arg;
    add_all(a->key, a->writer);
    return NULL;
}

static void check_counter(struct slice key)
{
    struct counter c;
    struct object_version version;
    read_counter(key, &c, &version);
    for (size_t i = 0; i < COUNTERS; i++)
        CHECK(c.added[i] == ADDS, "writer %zu: %ju", i, (uintmax_t)c.added[i]);
}

static void start_counter(struct slice key)
{
    struct counter zero = {{0}};
    struct err_ctx ec;
    CHECK_OK(object_put(store, NULL, key, slice_of(&zero, sizeof zero), NULL, &ec), &ec);
}

static void compare_and_swap_loses_no_update_between_threads(void)
{
    struct adder adders[COUNTERS];
    pthread_t threads[COUNTERS];
    struct slice key = stores_key("counter");
    start_counter(key);
    for (size_t i = 0; i < COUNTERS; i++) {
        adders[i] = (struct adder){.key = key, .writer = i};
        CHECK(pthread_create(&threads[i], NULL, add_in_thread, &adders[i]) == 0);
    }
    for (size_t i = 0; i < COUNTERS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    check_counter(key);
}

static void compare_and_swap_loses_no_update_between_processes(void)
{
    pid_t pids[COUNTERS];
    char arg[100];
    struct slice key = stores_key("counter");
    start_counter(key);
    for (int i = 0; i < COUNTERS; i++) {
        (void)snprintf(arg, sizeof arg, "%d%.*s", i, SLICE_ARG(key));
        pids[i] = races_start_child("add", arg);
    }
    for (int i = 0; i < COUNTERS; i++) CHECK(races_wait_child(pids[i]) == 0);
    check_counter(key);
}

/* ---- the other children */

static int child_leave_upload(void)
{
    struct object_upload *u;
    struct err_ctx ec;
    char *bytes = calloc(1, OBJECT_PART_BYTES_MIN);
    CHECK(bytes != NULL);
    CHECK_OK(object_upload_begin(store, NULL, slice_str("left/upload"), OBJECT_PART_BYTES_MIN, &u, &ec), &ec);
    CHECK_OK(object_upload_part(u, NULL, 1, slice_of(bytes, OBJECT_PART_BYTES_MIN), &ec), &ec);
    _exit(0); /* in the middle */
}

static long peak_bytes(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return usage.ru_maxrss * 1024;
}

/* Sanitizers keep freed memory and shadow what is used: there the bytes are checked, not the memory. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { MEMORY_IS_OURS = 0 };
#else
enum { MEMORY_IS_OURS = 1 };
#endif

static int child_large(void)
{
    struct object_writer_config cfg = {.part_bytes = OBJECT_PART_BYTES_MIN, .threads = 2};
    struct object_writer *w;
    struct err_ctx ec;
    static char piece[65536];
    uint64_t bytes = MEMORY_IS_OURS ? LARGE_BYTES : LARGE_BYTES / 8;
    long before = peak_bytes();
    CHECK_OK(object_writer_open(store, slice_str("large"), &cfg, &w, &ec), &ec);
    for (uint64_t at = 0; at < bytes; at += sizeof piece) {
        content_fill(7, at, piece, sizeof piece);
        CHECK_OK(object_writer_put(w, slice_of(piece, sizeof piece), &ec), &ec);
    }
    CHECK_OK(object_writer_finish(w, NULL, &ec), &ec);
    object_writer_close(w);
    content_check_object(store, slice_str("large"), 7, bytes);
    long growth = peak_bytes() - before;
    CHECK(!MEMORY_IS_OURS || growth < LARGE_GROWTH_MAX, "%ld KiB more", growth / 1024);
    CHECK_OK(object_delete(store, NULL, slice_str("large"), &ec), &ec);
    return 0;
}

int races_child(int argc, char **argv)
{
    int status = 1;
    CHECK(argc >= 1);
    store = stores_open();
    if (strcmp(argv[0], "create") == 0)
        status = child_create(argv[1]);
    else if (strcmp(argv[0], "leave-upload") == 0)
        status = child_leave_upload();
    else if (strcmp(argv[0], "large") == 0)
        status = child_large();
    else if (strcmp(argv[0], "add") == 0) {
        add_all(slice_str(argv[1] + 1), (size_t)(argv[1][0] - '0'));
        status = 0;
    } else
        CHECK(false, "no child is called %s", argv[0]);
    object_store_close(store);
    return status;
}

#define RACES(X)                                                                                             \
    X(of_twenty_threads_one_creates)                                                                         \
    X(of_twenty_processes_one_creates)                                                                       \
    X(compare_and_swap_loses_no_update_between_threads)                                                      \
    X(compare_and_swap_loses_no_update_between_processes)

RACES(IN_FOLDER)

size_t suite_races(struct test *ret)
{
    size_t count = 0;
#define X(name) ret[count++] = (struct test){#name, run_##name};
    RACES(X)
#undef X
    return count;
}
