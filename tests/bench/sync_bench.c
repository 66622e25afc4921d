/* sync-bench -- measures a sync server: any that speaks the protocol, running already (--address) or started
 * here (--serve). Prints one JSON object. With --limit it also measures what disk and sockets allow. */
#include "bench_scenarios.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Idle comes late, since it restarts the server; what others made is then what start finds. */
static const struct scenario scenarios[] = {
    {"apply", bench_apply}, {"fanout", bench_fanout},   {"poll", bench_poll},         {"read", bench_read},
    {"start", bench_start}, {"stalled", bench_stalled}, {"fairness", bench_fairness}, {"storm", bench_storm},
    {"big", bench_big},     {"hooks", bench_hooks},     {"idle", bench_idle},
};

enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

static const char usage[] =
    "Usage: sync-bench (--address HOST:PORT | --serve PROGRAM) [OPTION]... [-- SERVER ARGUMENT...]\n"
    "\n"
    "  --address HOST:PORT  measure the server there (an IPv4 address)\n"
    "  --serve PROGRAM      start this sync-coordinator, with a directory of its own for data\n"
    "  --dir DIR            where that directory is made, and the raw LevelDB of --limit; default /tmp\n"
    "  --limit              also measure raw LevelDB and raw send(), and print ratios\n"
    "  --only LIST          some of apply,fanout,poll,read,start,stalled,fairness,storm,big,hooks,idle; "
    "default "
    "all\n"
    "  --row TxC            of apply, only messages of T transactions over C connections\n"
    "  --long               about ten times the load, and a store of gigabytes\n"
    "  --smoke              so little load that figures mean nothing: does it all work?\n"
    "  --no-sync            the server runs with durability os: so does the raw LevelDB\n"
    "  --pid PID            of the server at --address: for its memory and processor time\n"
    "  --base-path PATH     default /sync\n"
    "  --token TOKEN        to be let in\n";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static void parse_address(const char *text, struct sockaddr_in *ret)
{
    char host[64];
    unsigned port;
    if (sscanf(text, "%63[^:]:%u", host, &port) != 2 || port > UINT16_MAX) die("%s is not HOST:PORT", text);
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (strcmp(host, "localhost") == 0) memcpy(host, "127.0.0.1", sizeof "127.0.0.1");
    if (inet_pton(AF_INET, host, &ret->sin_addr) != 1) die("%s is not an IPv4 address", host);
}

/* 10,000 connections need as many files, here and in a server that inherits the limit. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* what it does not allow shows when a socket cannot be made */
}

static bool is_wanted(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; at != NULL && (at = strstr(at, name)) != NULL; at += len)
        if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0')) return true;
    return list == NULL;
}

static const char *parse_options(int argc, char **argv, struct bench *b, const char **ret_dir)
{
    static const struct option options[] = {
        {"address", required_argument, NULL, 'a'},
        {"serve", required_argument, NULL, 's'},
        {"dir", required_argument, NULL, 'd'},
        {"limit", no_argument, NULL, 'l'},
        {"only", required_argument, NULL, 'o'},
        {"row", required_argument, NULL, 'r'},
        {"long", no_argument, NULL, 'L'},
        {"smoke", no_argument, NULL, 'S'},
        {"no-sync", no_argument, NULL, 'n'},
        {"pid", required_argument, NULL, 'p'},
        {"base-path", required_argument, NULL, 'b'},
        {"token", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    const char *only = NULL;
    int option;
    bool has_address = false;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'a':
            parse_address(optarg, &b->server.target.address);
            has_address = true;
            break;
        case 's': b->server.program = optarg; break;
        case 'd': *ret_dir = optarg; break;
        case 'l': b->limit = true; break;
        case 'o': only = optarg; break;
        case 'r': b->row = optarg; break;
        case 'L': b->scale = SCALE_LONG; break;
        case 'S': b->scale = SCALE_SMOKE; break;
        case 'n': b->sync = false; break;
        case 'p': b->server.pid = atoi(optarg); break;
        case 'b': b->server.target.base_path = optarg; break;
        case 't': b->server.target.token = optarg; break;
        case 'h': (void)fputs(usage, stdout); exit(0);
        default: (void)fputs(usage, stderr); exit(2);
        }
    }
    if (has_address == (b->server.program != NULL)) {
        (void)fputs(usage, stderr);
        exit(2);
    }
    b->server.arguments = (const char *const *)argv + optind;
    return only;
}

static double load_average(void)
{
    double load[1];
    return getloadavg(load, 1) == 1 ? load[0] : 0;
}

int main(int argc, char **argv)
{
    struct bench b = {.server.target.base_path = "/sync", .sync = true, .scale = SCALE_SHORT};
    const char *dir = "/tmp";
    char work[512], data[600];
    const char *only = parse_options(argc, argv, &b, &dir);
    raise_file_limit();
    if (snprintf(work, sizeof work, "%s/sync-bench-XXXXXX", dir) >= (int)sizeof work || mkdtemp(work) == NULL)
        die("make a directory in %s: %s", dir, strerror(errno));
    (void)snprintf(data, sizeof data, "%s/data", work);
    b.limit_dir = work;
    b.server.dir = data;
    double load_before = load_average();
    conn_loop_init(&b.loop);
    report_init(&b.report);
    if (b.server.program != NULL) {
        report_object(&b.report, "empty_start");
        bench_report_start(&b, server_start(&b.server));
        report_end(&b.report, '}');
    }
    for (size_t i = 0; i < SCENARIOS; i++)
        if (is_wanted(only, scenarios[i].name)) scenarios[i].run(&b);
    server_stop(&b.server);
    report_object(&b.report, "machine");
    report_count(&b.report, "processors", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    report_number(&b.report, "load_at_start", load_before, 2);
    report_number(&b.report, "load_at_end", load_average(), 2);
    report_end(&b.report, '}');
    report_print(&b.report);
    conn_loop_deinit(&b.loop);
    (void)nftw(work, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
