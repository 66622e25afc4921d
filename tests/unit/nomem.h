/* nomem.h -- makes the n-th allocation of our own code fail, and sees what that leaves behind.
 *
 * A program that uses it is made by sync_nomem_test() in CMakeLists.txt, which links it so that our own
 * code's malloc, calloc, realloc, strdup and free come by here, and the `new (std::nothrow)` of the JSON
 * reader; what shared libraries allocate (simdjson, LevelDB, libcurl, the test framework) does not.
 *
 * Threads: the counters are shared by all. */
#ifndef TESTS_NOMEM_H
#define TESTS_NOMEM_H

#include "core/base/err.h"

#include <stdbool.h>

/* The nth allocation from now on fails, and (times - 1) after it. */
void nomem_arm(long nth, long times);

/* Nothing fails any more. True when something did since nomem_arm(); also when asked again. */
bool nomem_disarm(void);

/* In between no allocation fails, nor counts as one of the n: for what belongs to the test and not to what it
 * tests. */
void nomem_pause(void);
void nomem_resume(void);

/* What our code has allocated and not freed yet, in blocks. JSON readers are not among
 * them: the sanitizers see to those. */
long nomem_live_blocks(void);

/* Runs `job` with its 1st allocation failing, then the 2nd, until none is left. Each time it must return
 * SYNC_ENOMEM with a text, and as many blocks must live as before; without a failure it must return SYNC_OK.
 * What the job keeps between two runs is thereby shown to be usable after a failure. */
void nomem_each(enum sync_err (*job)(struct err_ctx *ec));

#endif
