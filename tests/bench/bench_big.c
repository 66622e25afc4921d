#include "bench_changes.h"
#include "bench_scenarios.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    VALUE_BYTES = 12 << 10, /* at random: what does not compress, since the disk's bytes are to count */
    PER_MESSAGE = 64,
    IN_FLIGHT = 8,
    SMOKE_BYTES = 8 << 20, /* of the snapshot */
    SHORT_BYTES = 96 << 20,
    TICK_MS = 10,
    KERNEL_BYTES = 64 << 10,
    READ_WAIT_S = 120,
};

#define LONG_BYTES (2ull << 30)
#define STRANGER   "AAAAAAAAAAAAAAAAAAAADA"
#define DATABASE   "big"

/* ---- filling */

static void put_value(struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t random[256];
    for (size_t i = 0; i < VALUE_BYTES; i++) {
        if (i % sizeof random == 0 && getrandom(random, sizeof random, 0) != sizeof random)
            die("no random bytes");
        buf_put_char(out, digits[random[i % sizeof random] & 63]);
    }
}

static void put_message(struct author *a, struct buf *out)
{
    char site[SITE_ID_TEXT + 1], id[TRANSACTION_ID_MAX + 1], text[HLC_TEXT];
    site_id_format(&a->site, site);
    BUF_PUT_LIT(out, "{\"type\":\"apply_changes\",\"changes\":[");
    for (int i = 0; i < PER_MESSAGE; i++) {
        struct hlc hlc = {.wall_ms = a->wall_ms, .counter = a->counter, .site = a->site};
        (void)hlc_format_transaction(&hlc, id);
        hlc_format(&hlc, text);
        buf_printf(out, "%s{\"siteId\":\"%s\",\"transactionId\":\"%s\",\"hlc\":\"%.*s\",\"changes\":[",
                   i == 0 ? "" : ",", site, id, HLC_TEXT, text);
        buf_printf(out,
                   "{\"type\":\"column\",\"schema\":\"main\",\"table\":\"files\",\"pk\":[%llu],\"column\":"
                   "\"body\",\"hlc\":\"%.*s\",\"value\":\"",
                   (unsigned long long)a->row++, HLC_TEXT, text);
        put_value(out);
        BUF_PUT_LIT(out, "\"}],\"schemaMigrations\":[]}");
        if (++a->counter == 0) a->wall_ms++;
    }
    BUF_PUT_LIT(out, "]}");
}

static void on_author(struct conn *c, struct slice text)
{
    if (message_kind(text) == KIND_APPLY_RESULT) ++*(size_t *)c->user;
}

static void fill(struct bench *b, uint64_t bytes)
{
    size_t count = (size_t)(bytes / (VALUE_BYTES * PER_MESSAGE)) + 1, answered = 0;
    struct author author;
    struct conn c;
    char site[SITE_ID_TEXT + 1];
    author_init(&author);
    site_id_format(&author.site, site);
    conn_open(&c, &b->loop, &b->server.target, CONN_WS, DATABASE, site, on_author, &answered);
    conn_wait_live(&b->loop, &c, 1);
    for (size_t i = 0; i < count; i++) {
        struct buf message = buf_make(SIZE_MAX / 4);
        put_message(&author, &message);
        if (message.failed != SYNC_OK) die("out of memory");
        conn_send(&c, buf_slice(&message));
        buf_deinit(&message);
        while (answered + IN_FLIGHT <= i) conn_loop_step(&b->loop, 1000);
    }
    while (answered < count) conn_loop_step(&b->loop, 1000);
    conn_close(&c);
}

/* ---- reading slowly */

struct reading {
    struct conn conn;
    bool done;
};

static void on_chunk(struct conn *c, struct slice text)
{
    if (message_kind(text) == KIND_SNAPSHOT_COMPLETE) ((struct reading *)c->user)->done = true;
}

/* Of the server, while it is read from: the most that it was. */
struct peak {
    uint64_t resident_kib, private_kib;
};

static void take_sample(const struct bench *b, struct peak *p)
{
    uint64_t resident_kib = server_resident_kib(&b->server), private_kib = server_private_kib(&b->server);
    if (resident_kib > p->resident_kib) p->resident_kib = resident_kib;
    if (private_kib > p->private_kib) p->private_kib = private_kib;
}

/* Reads the snapshot at so many bytes a second. */
static struct peak read_slowly(struct bench *b, double bytes_per_s, uint64_t *ret_bytes)
{
    struct reading r = {0};
    struct peak peak = {0};
    uint64_t began_ns, moved_ns, seen = 0;
    conn_open(&r.conn, &b->loop, &b->server.target, CONN_WS, DATABASE, STRANGER, on_chunk, &r);
    conn_limit_receiving(&r.conn, KERNEL_BYTES);
    conn_wait_live(&b->loop, &r.conn, 1);
    conn_send(&r.conn, slice_str("{\"type\":\"get_snapshot\"}"));
    began_ns = moved_ns = now_ns();
    for (uint64_t sampled_ns = 0; !r.done;) {
        uint64_t at_ns = now_ns();
        if (at_ns - moved_ns > (uint64_t)READ_WAIT_S * NS_PER_S) die("the snapshot stands still");
        if ((double)r.conn.received < (double)(at_ns - began_ns) / NS_PER_S * bytes_per_s)
            conn_resume(&r.conn);
        else
            conn_pause(&r.conn);
        conn_loop_step(&b->loop, TICK_MS);
        if (r.conn.received != seen) moved_ns = at_ns;
        seen = r.conn.received;
        if (at_ns - sampled_ns < 50 * (uint64_t)NS_PER_MS) continue;
        take_sample(b, &peak);
        sampled_ns = at_ns;
    }
    *ret_bytes = r.conn.received;
    conn_close(&r.conn);
    return peak;
}

/* ---- starting with it */

static uint64_t stored_bytes; /* nftw() has no argument to pass on */

static int add_file(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)path;
    (void)where;
    if (type == FTW_F) stored_bytes += (uint64_t)st->st_size;
    return 0;
}

void bench_big(struct bench *b)
{
    uint64_t bytes = AT_SCALE(b, SMOKE_BYTES, SHORT_BYTES, LONG_BYTES), received;
    fill(b, bytes);
    if (b->server.program != NULL) { /* what writing left in the allocator would hide what reading takes */
        server_stop(&b->server);
        stored_bytes = 0;
        (void)nftw(b->server.dir, add_file, 16, FTW_PHYS);
    }
    report_object(&b->report, "big");
    if (b->server.program != NULL) {
        uint64_t took_ns = server_start(&b->server);
        report_number(&b->report, "store_megabytes", (double)stored_bytes / 1e6, 1);
        bench_report_start(b, took_ns);
    }
    struct peak before = {0}, during;
    take_sample(b, &before);
    uint64_t began_ns = now_ns();
    during = read_slowly(b, AT_SCALE(b, 32e6, 32e6, 64e6), &received);
    double took_s = (double)(now_ns() - began_ns) / NS_PER_S;
    report_number(&b->report, "snapshot_megabytes", (double)received / 1e6, 1);
    report_number(&b->report, "read_at_megabytes_per_s", (double)received / 1e6 / took_s, 1);
    if (b->server.pid != 0) {
        report_count(&b->report, "private_before_kib", before.private_kib);
        report_count(&b->report, "private_peak_kib", during.private_kib);
        report_count(&b->report, "resident_before_kib", before.resident_kib);
        report_count(&b->report, "resident_peak_kib", during.resident_kib);
    }
    report_end(&b->report, '}');
}
