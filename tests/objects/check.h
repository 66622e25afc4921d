/* check.h -- tests that are plain programs, because they run threads (Criterion's own processes do not start
 * under the thread sanitizer) or run against a store that the command line names.
 *
 * A failed check prints where and what, and ends the program. */
#ifndef TESTS_OBJECTS_CHECK_H
#define TESTS_OBJECTS_CHECK_H

#include "core/base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition, ...)                                                                                \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                          \
            fprintf(stderr, "    " __VA_ARGS__);                                                             \
            fprintf(stderr, "\n");                                                                           \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

/* A call that must return this code; the text is shown when it does not. */
#define CHECK_RC(call, code, ec)                                                                             \
    do {                                                                                                     \
        enum sync_err check_rc = (call);                                                                     \
        if (check_rc != (code)) {                                                                            \
            fprintf(stderr, "%s:%d: %s\n    returned \"%s\", not \"%s\": %s\n", __FILE__, __LINE__, #call,   \
                    err_name(check_rc), err_name(code), check_rc == SYNC_OK ? "" : (ec)->text);              \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

#define CHECK_OK(call, ec) CHECK_RC(call, SYNC_OK, ec)

/* A message must contain this text. */
#define CHECK_TEXT(ec, part) CHECK(strstr((ec)->text, part) != NULL, "the text is: %s", (ec)->text)

struct test {
    const char *name; /* a sentence */
    void (*run)(void);
};

/* Runs those whose names contain `only` (NULL: all), each after its name. At least one must. */
static inline void run_tests(const struct test *tests, size_t count, const char *only)
{
    size_t ran = 0;
    for (size_t i = 0; i < count; i++) {
        if (only != NULL && strstr(tests[i].name, only) == NULL) continue;
        printf("- %s\n", tests[i].name);
        (void)fflush(stdout);
        tests[i].run();
        ran++;
    }
    CHECK(ran > 0, "no test is called that");
    printf("%zu passed\n", ran);
}

#endif
