#include "server/commands/command_store.h"

#include "server/commands/command.h"
#include "storage/check/store_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "Usage: sync-coordinator store verify DIR\n"
    "       sync-coordinator store repair DIR\n"
    "\n"
    "  verify   looks through the data directory and changes nothing; exit code 1 when something is wrong\n"
    "  repair   mends what is damaged, and keeps what there was in DIR/lost-N\n"
    "\n"
    "The server must not run on the directory meanwhile.\n";

static void print_line(void *arg, const char *text)
{
    (void)arg;
    (void)puts(text);
}

static int failed(const struct err_ctx *ec)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "sync-coordinator: %s\n", ec->text);
    return COMMAND_FAILED;
}

static int verify(const char *dir, const struct check_report *report)
{
    uint64_t problems = 0;
    struct err_ctx ec;
    if (store_verify(dir, report, &problems, &ec) != SYNC_OK) return failed(&ec);
    if (problems == 0) {
        (void)puts("no problems");
        return COMMAND_DONE;
    }
    (void)printf("%" PRIu64 " problems: `sync-coordinator store repair %s` mends what can be mended\n",
                 problems, dir);
    return COMMAND_FAILED;
}

static int repair(const char *dir, const struct check_report *report)
{
    struct err_ctx ec;
    if (store_repair(dir, report, &ec) != SYNC_OK) return failed(&ec);
    (void)puts("no problems");
    return COMMAND_DONE;
}

int command_store(int argc, char *const argv[])
{
    const struct check_report report = {.line = print_line};
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return fputs(usage, stdout) < 0 ? COMMAND_FAILED : COMMAND_DONE;
    if (argc == 3 && strcmp(argv[1], "verify") == 0) return verify(argv[2], &report);
    if (argc == 3 && strcmp(argv[1], "repair") == 0) return repair(argv[2], &report);
    (void)fputs(usage, stderr);
    return COMMAND_USAGE;
}
