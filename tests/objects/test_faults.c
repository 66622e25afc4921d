/* test_faults.c -- S3 when things go wrong: a fault proxy between the client and a real server
 * (tests/with-s3).
 *
 *   test_faults [PART-OF-A-NAME] */
#include "tests/objects/faults.h"

#include <signal.h>

int main(int argc, char **argv)
{
    struct test all[96];
    (void)signal(SIGPIPE, SIG_IGN);
    stores_init("s3", "");
    size_t count = faults_repeats(all);
    count += faults_conditions(all + count);
    count += faults_transfers(all + count);
    count += faults_settings(all + count);
    CHECK(count <= sizeof all / sizeof *all);
    run_tests(all, count, argc > 1 ? argv[1] : NULL);
    return 0;
}
