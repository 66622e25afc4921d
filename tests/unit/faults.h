/* faults.h -- makes the n-th call of a kind fail, to see what a failure leaves behind.
 *
 * A program that uses it is made by sync_fault_test() in CMakeLists.txt, which links it so that our own
 * code's calls (not LevelDB's, nor the test framework's) come by here; calls that write files are LevelDB's
 * too.
 *
 * Threads: the counters are shared by all. */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include <stdbool.h>

enum fault {
    FAULT_ALLOC,         /* malloc, calloc, realloc, strdup of our code: NULL */
    FAULT_DB_OPEN,       /* leveldb_open: an error, nothing touched */
    FAULT_DB_WRITE,      /* leveldb_write: an error, nothing written */
    FAULT_DB_WRITE_LATE, /* leveldb_write: an error after everything was written */
    FAULT_FILE_WRITE,    /* write(2), of LevelDB too: half of the bytes, then ENOSPC */
    FAULT_FILE_SYNC,     /* fdatasync(2), fsync(2), of LevelDB too: EIO, nothing synced */
    FAULT_COUNT,
};

/* The nth call from now on fails, and (times - 1) after it. */
void faults_arm(enum fault kind, long nth, long times);

/* Nothing fails any more. True when something did since faults_arm(). */
bool faults_disarm(void);

/* What our code has allocated and not freed yet, in blocks. */
long faults_live_blocks(void);

#endif
