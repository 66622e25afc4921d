#include "bench_server.h"

#include "bench_util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_WAIT_S = 60, ARGUMENTS_MAX = 32 };

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        die("find a free port: %s", strerror(errno));
    (void)close(fd);
    return ntohs(a.sin_port);
}

_Noreturn static void run_program(const struct bench_server *s, uint16_t port)
{
    char port_text[8],
        *arguments[ARGUMENTS_MAX] = {(char *)s->program, "--host",       "127.0.0.1",   "--port", port_text,
                                     "--data-dir",       (char *)s->dir, "--log-level", "error"};
    size_t count = 0;
    (void)snprintf(port_text, sizeof port_text, "%u", (unsigned)port);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* a bench that is interrupted leaves no server behind */
    while (arguments[count] != NULL) count++;
    for (size_t i = 0; s->arguments != NULL && s->arguments[i] != NULL; i++) {
        if (count + 1 == ARGUMENTS_MAX) die("too many arguments for the server");
        arguments[count++] = (char *)s->arguments[i];
    }
    int out = open("/dev/null", O_WRONLY);
    if (out >= 0) (void)dup2(out, STDOUT_FILENO); /* that one is for the report */
    (void)execv(s->program, arguments);
    die("start %s: %s", s->program, strerror(errno));
}

/* Asks for /status over a connection of its own. False: nobody listens yet. */
static bool answers(const struct target *t)
{
    char request[256], answer[16];
    bool ok = false;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int n =
        snprintf(request, sizeof request, "GET %s/status HTTP/1.1\r\nHost: localhost\r\n\r\n", t->base_path);
    if (fd < 0 || n < 0 || (size_t)n >= sizeof request) die("ask for the status: %s", strerror(errno));
    if (connect(fd, (const struct sockaddr *)&t->address, sizeof t->address) == 0 &&
        send(fd, request, (size_t)n, MSG_NOSIGNAL) == n && recv(fd, answer, sizeof answer, MSG_WAITALL) > 0)
        ok = memcmp(answer, "HTTP/1.1 200", 12) == 0;
    (void)close(fd);
    return ok;
}

uint64_t server_start(struct bench_server *s)
{
    uint16_t port = free_port();
    uint64_t began_ns = now_ns();
    s->target.address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    s->pid = fork();
    if (s->pid < 0) die("fork: %s", strerror(errno));
    if (s->pid == 0) run_program(s, port);
    while (!answers(&s->target)) {
        if (waitpid(s->pid, NULL, WNOHANG) != 0) die("%s ended while it was starting", s->program);
        if (now_ns() - began_ns > (uint64_t)START_WAIT_S * NS_PER_S) die("the server does not answer");
        (void)poll(NULL, 0, 1); /* nothing tells when a port is listened on */
    }
    return now_ns() - began_ns;
}

void server_stop(struct bench_server *s)
{
    if (s->program == NULL || s->pid == 0) return;
    (void)kill(s->pid, SIGTERM);
    (void)waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

static uint64_t status_kib(const struct bench_server *s, const char *format)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    if (s->pid == 0) return 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)s->pid);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, format, &kib) == 1) break;
    if (f != NULL) (void)fclose(f);
    return kib;
}

uint64_t server_resident_kib(const struct bench_server *s)
{
    return status_kib(s, "VmRSS: %llu");
}

uint64_t server_private_kib(const struct bench_server *s)
{
    return status_kib(s, "RssAnon: %llu");
}

uint64_t server_peak_kib(const struct bench_server *s)
{
    return status_kib(s, "VmHWM: %llu");
}

/* A column of the threads' schedstat: 0 is the time they ran, 1 the time they waited for a processor. */
static uint64_t sum_schedstat(const struct bench_server *s, int column)
{
    char path[300];
    uint64_t sum = 0;
    if (s->pid == 0) return 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)s->pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        unsigned long long ns[2] = {0};
        if (e->d_name[0] == '.') continue;
        (void)snprintf(path, sizeof path, "/proc/%d/task/%.200s/schedstat", (int)s->pid, e->d_name);
        FILE *f = fopen(path, "re");
        if (f == NULL) continue; /* the thread has ended */
        if (fscanf(f, "%llu %llu", &ns[0], &ns[1]) == 2) sum += ns[column];
        (void)fclose(f);
    }
    if (d != NULL) (void)closedir(d);
    return sum;
}

uint64_t server_cpu_ns(const struct bench_server *s)
{
    return sum_schedstat(s, 0);
}

uint64_t server_cpu_wait_ns(const struct bench_server *s)
{
    return sum_schedstat(s, 1);
}

/* ---- metrics */

struct metric_wait {
    const char *name;
    double value;
    bool answered;
};

static void on_metrics(struct conn *c, struct slice text)
{
    struct metric_wait *w = c->user;
    struct buf copy = buf_make(1 << 20);
    char line[128];
    BUF_PUT_LIT(&copy, "\n");
    buf_put_slice(&copy, text);
    buf_put_char(&copy, '\0');
    (void)snprintf(line, sizeof line, "\n%s ", w->name);
    const char *at = copy.failed == SYNC_OK ? strstr(copy.bytes, line) : NULL;
    w->value = at == NULL ? -1 : strtod(at + strlen(line), NULL);
    w->answered = true;
    buf_deinit(&copy);
}

double server_metric(struct conn_loop *l, const struct target *t, const char *name)
{
    struct metric_wait w = {.name = name};
    struct conn c;
    conn_open(&c, l, t, CONN_HTTP, "none", "AAAAAAAAAAAAAAAAAAAAAA", on_metrics, &w);
    conn_get(&c, "/metrics");
    while (!w.answered) conn_loop_step(l, 100);
    conn_close(&c);
    return w.value;
}
