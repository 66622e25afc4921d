#include "bench_scenarios.h"

#include <ftw.h>

static uint64_t stored_bytes; /* nftw() has no argument to pass on */

static int add_file(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)path;
    (void)where;
    if (type == FTW_F) stored_bytes += (uint64_t)st->st_size;
    return 0;
}

void bench_report_start(struct bench *b, uint64_t took_ns)
{
    report_number(&b->report, "ready_ms", (double)took_ns / NS_PER_MS, 1);
    report_number(&b->report, "cpu_ms", (double)server_cpu_ns(&b->server) / NS_PER_MS, 1);
    report_number(&b->report, "waited_for_a_cpu_ms", (double)server_cpu_wait_ns(&b->server) / NS_PER_MS, 1);
    report_count(&b->report, "resident_kib", server_resident_kib(&b->server));
    report_count(&b->report, "private_kib", server_private_kib(&b->server));
}

void bench_start(struct bench *b)
{
    if (b->server.program == NULL) return;
    server_stop(&b->server);
    stored_bytes = 0;
    (void)nftw(b->server.dir, add_file, 16, FTW_PHYS);
    uint64_t took_ns = server_start(&b->server);
    report_object(&b->report, "start");
    report_number(&b->report, "store_megabytes", (double)stored_bytes / 1e6, 1);
    bench_report_start(b, took_ns);
    report_end(&b->report, '}');
}
