/* bench_objects.c -- how fast an object store answers, and how fast bytes go through it.
 *
 *   bench_objects dir|s3 DIR ops [SECONDS]            requests a second, alone and from 16 threads
 *   bench_objects dir|s3 DIR upload MIB THREADS KEY   one stream, in parts of 8 MiB
 *   bench_objects s3 "" upload-unsigned MIB THREADS KEY   the same, the parts without their hashes
 *   bench_objects dir|s3 DIR download KEY             the whole object, by one request
 *
 * S3 is what the environment names (tests/with-s3). compare-with-curl sets the last two beside curl. */
#include "tests/objects/check.h"
#include "tests/objects/stores.h"

#include "storage/objects/object_writer.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

enum { THREADS_MAX = 16, BODY_BYTES = 4096, SAMPLES_MAX = 200000 };

static double now_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

enum kind { PUT, PUT_IF_ABSENT, GET, HEAD, LIST, KINDS };
static const char *const kind_names[KINDS] = {"put 4 KiB", "put_if_absent 4 KiB", "get 4 KiB", "head",
                                              "list of 100"};

struct worker {
    struct object_store *store;
    enum kind kind;
    unsigned number;
    double end_s;
    size_t count;
    float *ms; /* of each call */
};

static void call_once(struct worker *w, const char *body)
{
    struct err_ctx ec;
    char name[64];
    enum object_outcome outcome;
    struct object_info info;
    struct object_page page;
    struct object_query query = {.prefix = slice_str("bench/read/")};
    struct buf got = buf_make(BODY_BYTES);
    struct slice bytes = slice_of(body, BODY_BYTES);
    (void)snprintf(name, sizeof name, "bench/%d/%u/%zu", (int)w->kind, w->number, w->count);
    switch (w->kind) {
    case PUT: CHECK_OK(object_put(w->store, NULL, slice_str(name), bytes, NULL, &ec), &ec); break;
    case PUT_IF_ABSENT:
        CHECK_OK(object_put_if_absent(w->store, NULL, slice_str(name), bytes, &outcome, NULL, &ec), &ec);
        break;
    case GET:
        CHECK_OK(object_get_buf(w->store, NULL, slice_str("bench/read/0050"), NULL, &got, NULL, &ec), &ec);
        break;
    case HEAD: CHECK_OK(object_head(w->store, NULL, slice_str("bench/read/0050"), &info, &ec), &ec); break;
    case LIST:
        CHECK_OK(object_list(w->store, NULL, &query, &page, &ec), &ec);
        object_page_deinit(&page);
        break;
    case KINDS: break;
    }
    buf_deinit(&got);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    char body[BODY_BYTES] = "body";
    for (double begin = now_s(); begin < w->end_s && w->count < SAMPLES_MAX; w->count++) {
        call_once(w, body);
        double end = now_s();
        w->ms[w->count] = (float)((end - begin) * 1000);
        begin = end;
    }
    return NULL;
}

static int float_cmp(const void *a, const void *b)
{
    float fa = *(const float *)a, fb = *(const float *)b;
    return (fa > fb) - (fa < fb);
}

static void bench_kind(struct object_store *s, enum kind kind, unsigned threads_count, double seconds)
{
    static struct worker workers[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    size_t total = 0;
    double begin = now_s();
    for (unsigned i = 0; i < threads_count; i++) {
        workers[i] = (struct worker){.store = s, .kind = kind, .number = threads_count * 100 + i};
        workers[i].end_s = begin + seconds;
        workers[i].ms = malloc(SAMPLES_MAX * sizeof(float));
        CHECK(workers[i].ms != NULL);
        CHECK(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
    }
    for (unsigned i = 0; i < threads_count; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        total += workers[i].count;
    }
    double took = now_s() - begin;
    float *all = malloc((total + 1) * sizeof *all);
    CHECK(all != NULL && total > 0);
    size_t at = 0;
    for (unsigned i = 0; i < threads_count; i++) {
        memcpy(all + at, workers[i].ms, workers[i].count * sizeof *all);
        at += workers[i].count;
        free(workers[i].ms);
    }
    qsort(all, total, sizeof *all, float_cmp);
    printf("%-20s %2u threads %8.0f/s   median %6.2f ms   99 %% %6.2f ms\n", kind_names[kind], threads_count,
           (double)total / took, (double)all[total / 2], (double)all[total * 99 / 100]);
    free(all);
}

static void bench_ops(struct object_store *s, double seconds)
{
    struct err_ctx ec;
    char name[64], body[BODY_BYTES] = "body";
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "bench/read/%04d", i);
        CHECK_OK(object_put(s, NULL, slice_str(name), slice_of(body, sizeof body), NULL, &ec), &ec);
    }
    for (unsigned threads = 1; threads <= THREADS_MAX; threads *= 16)
        for (enum kind kind = PUT; kind < KINDS; kind++) bench_kind(s, kind, threads, seconds);
}

static void bench_upload(struct object_store *s, size_t mib, uint32_t threads, const char *key)
{
    struct object_writer_config cfg = OBJECT_WRITER_CONFIG_DEFAULT;
    struct object_writer *w;
    struct err_ctx ec;
    static char piece[1 << 20];
    cfg.threads = threads;
    memset(piece, 'x', sizeof piece);
    double begin = now_s();
    CHECK_OK(object_writer_open(s, slice_str(key), &cfg, &w, &ec), &ec);
    for (size_t i = 0; i < mib; i++) CHECK_OK(object_writer_put(w, slice_of(piece, sizeof piece), &ec), &ec);
    CHECK_OK(object_writer_finish(w, NULL, &ec), &ec);
    object_writer_close(w);
    double took = now_s() - begin;
    printf("%.1f\n", (double)mib / took);
}

static enum sync_err count_bytes(void *arg, struct slice bytes, struct err_ctx *ec)
{
    (void)ec;
    *(uint64_t *)arg += bytes.len;
    return SYNC_OK;
}

static void bench_download(struct object_store *s, const char *key)
{
    uint64_t bytes = 0;
    struct object_sink sink = {.put = count_bytes, .arg = &bytes};
    struct object_call call = {.timeout_ms = 600000};
    struct err_ctx ec;
    double begin = now_s();
    CHECK_OK(object_get(s, &call, slice_str(key), NULL, &sink, NULL, &ec), &ec);
    printf("%.1f\n", (double)bytes / (1 << 20) / (now_s() - begin));
}

int main(int argc, char **argv)
{
    CHECK(argc >= 4, "usage: %s dir|s3 DIR ops|upload|download ...", argv[0]);
    (void)signal(SIGPIPE, SIG_IGN);
    if (strcmp(argv[1], "dir") == 0)
        (void)mkdir(argv[2], 0755); /* opening a store in it says if that failed */
    stores_init(argv[1], argv[2]);
    struct object_store *s;
    if (strcmp(argv[3], "upload-unsigned") == 0) {
        struct object_s3_config cfg = stores_s3_config();
        cfg.unsigned_parts = true;
        s = stores_open_s3(&cfg);
    } else {
        s = stores_open();
    }
    if (strcmp(argv[3], "ops") == 0)
        bench_ops(s, argc > 4 ? atof(argv[4]) : 2);
    else if (strncmp(argv[3], "upload", 6) == 0 && argc == 7)
        bench_upload(s, (size_t)atol(argv[4]), (uint32_t)atol(argv[5]), argv[6]);
    else if (strcmp(argv[3], "download") == 0 && argc == 5)
        bench_download(s, argv[4]);
    else
        CHECK(0, "there are ops, upload and download");
    object_store_close(s);
    return 0;
}
