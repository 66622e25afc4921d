/* test_crash.c -- the directory store when its process is killed at any moment: every acknowledged write is
 * there and whole, and nothing torn is visible.
 *
 *   test_crash DIR
 *
 * Round after round a child process writes with several threads and tells on a pipe what it is about to write
 * and what was acknowledged; it is killed after some number of these, and what it left is compared. */
#include "storage/objects/object_dir.h"
#include "tests/objects/content.h"

#include "tests/unit/random.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
    ROUNDS = 40,
    ACKS_MAX = 80, /* before the kill */
    KEYS = 12,
    BODY_MAX = 300000,
    REPORT_FD = 3,
    GONE = 1, /* instead of a seed: deleted */
};

/* The bytes of an object say which they must be: its seed and length, then content of that seed. */
struct head {
    uint64_t seed, bytes;
};

static struct object_store *open_store(const char *path)
{
    struct object_dir_config cfg = {.path = path};
    struct object_store *s;
    struct err_ctx ec;
    CHECK_OK(object_dir_open(&cfg, &s, &ec), &ec);
    return s;
}

/* ---- the child */

static struct object_store *store;

/* One line of few bytes: pipes take those whole, whichever thread writes. */
static void report(char what, unsigned key, uint64_t seed)
{
    char line[64];
    int n = snprintf(line, sizeof line, "%c %u %ju\n", what, key, (uintmax_t)seed);
    if (write(REPORT_FD, line, (size_t)n) != n) _exit(1); /* the parent is gone */
}

static size_t make_body(uint64_t seed, char *ret)
{
    struct head h = {.seed = seed, .bytes = seed % BODY_MAX};
    memcpy(ret, &h, sizeof h);
    content_fill(seed, 0, ret + sizeof h, h.bytes);
    return sizeof h + h.bytes;
}

/* "k/3", and deep enough that directories are made. */
static struct slice key_name(unsigned key, char ret[64])
{
    (void)snprintf(ret, 64, "k/%u/%u/object", key % 3, key);
    return slice_str(ret);
}

static void write_once(unsigned key, uint64_t seed, unsigned way, char *body)
{
    char name[64];
    struct err_ctx ec;
    struct object_info info;
    struct object_upload *u;
    enum object_outcome outcome = OBJECT_OK;
    size_t len = make_body(seed, body);
    struct slice k = key_name(key, name), bytes = slice_of(body, len);
    enum sync_err there = object_head(store, NULL, k, &info, &ec);
    CHECK(there == SYNC_OK || there == SYNC_ENOTFOUND, "%s", ec.text);
    if (way == 0 && there == SYNC_OK) {
        report('b', key, GONE);
        CHECK_OK(object_delete(store, NULL, k, &ec), &ec);
        report('a', key, GONE);
        return;
    }
    report('b', key, seed);
    if (there == SYNC_ENOTFOUND) {
        CHECK_OK(object_put_if_absent(store, NULL, k, bytes, &outcome, NULL, &ec), &ec);
    } else if (way == 1) {
        CHECK_OK(object_put_if_match(store, NULL, k, bytes, &info.version, &outcome, NULL, &ec), &ec);
    } else if (way == 2) {
        CHECK_OK(object_upload_begin(store, NULL, k, OBJECT_PART_BYTES_MIN, &u, &ec), &ec);
        CHECK_OK(object_upload_part(u, NULL, 1, bytes, &ec), &ec);
        CHECK_OK(object_upload_complete(u, NULL, 1, NULL, &ec), &ec);
        object_upload_free(u);
    } else {
        CHECK_OK(object_put(store, NULL, k, bytes, NULL, &ec), &ec);
    }
    CHECK(outcome == OBJECT_OK, "nobody else writes this key");
    report('a', key, seed);
}

/* Each thread has its own keys: number, number + 3, ... */
struct writer {
    unsigned number;
    uint64_t seed;
};

static void *write_for_ever(void *arg)
{
    struct writer *w = arg;
    char *body = malloc(BODY_MAX + sizeof(struct head));
    CHECK(body != NULL);
    for (;;) {
        unsigned key = w->number + 3 * (unsigned)random_below(&w->seed, KEYS / 3);
        write_once(key, 1000 + random_below(&w->seed, UINT32_MAX), (unsigned)random_below(&w->seed, 6), body);
    }
}

static void run_child(const char *path, uint64_t seed)
{
    struct writer writers[3];
    pthread_t threads[3];
    store = open_store(path);
    for (unsigned i = 0; i < 3; i++) {
        writers[i] = (struct writer){.number = i, .seed = seed * 3 + i};
        CHECK(pthread_create(&threads[i], NULL, write_for_ever, &writers[i]) == 0);
    }
    for (unsigned i = 0; i < 3; i++) (void)pthread_join(threads[i], NULL); /* they are killed before */
}

/* ---- the parent */

/* What is known of a key. */
struct known {
    uint64_t acked;   /* the seed that was acknowledged last; 0: never one */
    uint64_t pending; /* the seed of a write that has begun since; 0: none */
};

static void take_line(const char *line, struct known *known)
{
    char what;
    unsigned key;
    uintmax_t seed;
    CHECK(sscanf(line, "%c %u %ju", &what, &key, &seed) == 3 && key < KEYS, "%s", line);
    if (what == 'b') {
        known[key].pending = seed;
    } else {
        CHECK(known[key].pending == seed);
        known[key] = (struct known){.acked = seed};
    }
}

/* Runs a child until it has acknowledged so many, kills it, and takes in all it said. */
static void run_and_kill(const char *path, uint64_t seed, unsigned acks, struct known *known)
{
    int pipe_fds[2];
    pid_t pid;
    char seed_text[32], line[64];
    posix_spawn_file_actions_t actions;
    (void)snprintf(seed_text, sizeof seed_text, "%ju", (uintmax_t)seed);
    char *argv[] = {"test_crash", (char *)path, "child", seed_text, NULL};
    CHECK(pipe(pipe_fds) == 0);
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_addclose(&actions, pipe_fds[0]) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], REPORT_FD) == 0);
    CHECK(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ) == 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    CHECK(close(pipe_fds[1]) == 0);
    FILE *f = fdopen(pipe_fds[0], "r");
    CHECK(f != NULL);
    while (fgets(line, sizeof line, f) != NULL) {
        if (strchr(line, '\n') == NULL) break; /* cut by the kill */
        take_line(line, known);
        if (line[0] == 'a' && acks > 0 && --acks == 0) CHECK(kill(pid, SIGKILL) == 0);
    }
    CHECK(acks == 0, "the child ended by itself");
    CHECK(fclose(f) == 0);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* The object's seed, all of its bytes having been checked; GONE when it is not there. */
static uint64_t read_whole(struct object_store *s, struct slice key)
{
    struct buf got = buf_make(BODY_MAX + sizeof(struct head));
    struct err_ctx ec;
    struct head h;
    enum sync_err rc = object_get_buf(s, NULL, key, NULL, &got, NULL, &ec);
    if (rc == SYNC_ENOTFOUND) return GONE;
    CHECK(rc == SYNC_OK, "%.*s: %s", SLICE_ARG(key), ec.text);
    CHECK(got.len >= sizeof h);
    memcpy(&h, got.bytes, sizeof h);
    CHECK(got.len == sizeof h + h.bytes && h.bytes == h.seed % BODY_MAX, "%.*s is torn", SLICE_ARG(key));
    for (size_t i = 0; i < h.bytes; i++)
        CHECK((unsigned char)got.bytes[sizeof h + i] == content_byte(h.seed, i), "%.*s, byte %zu",
              SLICE_ARG(key), i);
    buf_deinit(&got);
    return h.seed;
}

static void check_left(const char *path, struct known *known)
{
    struct object_store *s = open_store(path);
    struct object_page page;
    struct err_ctx ec;
    char name[64], tmp[600];
    size_t there = 0;
    for (unsigned key = 0; key < KEYS; key++) {
        struct known *k = &known[key];
        uint64_t seed = read_whole(s, key_name(key, name));
        bool as_acked = seed == k->acked || (seed == GONE && k->acked == 0);
        CHECK(as_acked || (k->pending != 0 && seed == k->pending),
              "key %u: acknowledged %ju, begun %ju, found %ju", key, (uintmax_t)k->acked,
              (uintmax_t)k->pending, (uintmax_t)seed);
        *k = (struct known){.acked = seed};
        there += seed != GONE;
    }
    CHECK_OK(object_list(s, NULL, &(struct object_query){0}, &page, &ec), &ec);
    CHECK(page.count == there, "%zu listed, %zu there", page.count, there);
    object_page_deinit(&page);
    (void)snprintf(tmp, sizeof tmp, "%s/tmp", path);
    DIR *d = opendir(tmp);
    CHECK(d != NULL);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        CHECK(e->d_name[0] == '.', "left over: %s", e->d_name);
    (void)closedir(d);
    object_store_close(s);
}

int main(int argc, char **argv)
{
    struct known known[KEYS] = {{0}};
    char path[512];
    uint64_t seed = (uint64_t)getpid();
    CHECK(argc >= 2, "usage: %s DIR", argv[0]);
    if (argc == 4) {
        run_child(argv[1], strtoull(argv[3], NULL, 10));
        return 1;
    }
    (void)mkdir(argv[1], 0755); /* opening a store in it says if that failed */
    (void)snprintf(path, sizeof path, "%s/crash-%d", argv[1], (int)getpid());
    for (int round = 0; round < ROUNDS; round++) {
        unsigned acks = 1 + (unsigned)random_below(&seed, ACKS_MAX);
        run_and_kill(path, random_u64(&seed) >> 8, acks, known);
        check_left(path, known);
    }
    printf("%d kills, nothing lost, nothing torn\n", ROUNDS);
    return 0;
}
