/* test_objects.c -- the shared tests of the object store, over the function table: what object_store.h says
 * holds for the directory and for S3 alike.
 *
 *   test_objects dir DIR [PART-OF-A-NAME]     in a directory, which is made
 *   test_objects s3 "" [PART-OF-A-NAME]       in the bucket of the environment (tests/with-s3)
 *   test_objects dir|s3 DIR child ...         one of the processes that a test starts (races.h) */
#include "tests/objects/check.h"
#include "tests/objects/races.h"
#include "tests/objects/stores.h"
#include "tests/objects/suite.h"

#include <signal.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    CHECK(argc >= 3, "usage: %s dir|s3 DIR [PART-OF-A-NAME]", argv[0]);
    (void)signal(SIGPIPE, SIG_IGN);
    if (strcmp(argv[1], "dir") == 0)
        (void)mkdir(argv[2], 0755); /* opening a store in it says if that failed */
    stores_init(argv[1], argv[2]);
    if (argc > 3 && strcmp(argv[3], "child") == 0) return races_child(argc - 4, argv + 4);

    struct test all[64];
    size_t count = suite_basics(all);
    count += suite_lists(all + count);
    count += suite_uploads(all + count);
    count += suite_races(all + count);
    CHECK(count <= sizeof all / sizeof *all);
    run_tests(all, count, argc > 3 ? argv[3] : NULL);
    return 0;
}
