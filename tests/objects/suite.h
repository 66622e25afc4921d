/* suite.h -- the parts of the shared tests. Each writes its tests to ret and returns their number. */
#ifndef TESTS_OBJECTS_SUITE_H
#define TESTS_OBJECTS_SUITE_H

#include "tests/objects/check.h"
#include "tests/objects/stores.h"

#include <stddef.h>

/* Makes run_NAME() of the test NAME: it opens the file's `store` and works in a folder of its own. */
#define IN_FOLDER(name)                                                                                      \
    static void run_##name(void)                                                                             \
    {                                                                                                        \
        store = stores_open();                                                                               \
        stores_next_folder();                                                                                \
        name();                                                                                              \
        object_store_close(store);                                                                           \
    }

size_t suite_basics(struct test *ret);  /* reading and writing whole objects */
size_t suite_lists(struct test *ret);   /* order, pages, prefixes */
size_t suite_uploads(struct test *ret); /* parts and streams */
size_t suite_races(struct test *ret);   /* conditional writes between threads and processes */

#endif
