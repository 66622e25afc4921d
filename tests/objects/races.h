/* races.h -- tests between processes: the test program starts itself again, with "child WHAT ..." behind the
 * store. */
#ifndef TESTS_OBJECTS_RACES_H
#define TESTS_OBJECTS_RACES_H

#include <sys/types.h>

/* What a child does; the program's exit status. */
int races_child(int argc, char **argv);

/* Starts "child WHAT [ARG]"; the caller waits for it. */
pid_t races_start_child(const char *what, const char *arg);
int races_wait_child(pid_t pid); /* its exit status */

/* Starts one, waits, and checks that it ended with 0. */
void races_run_child(const char *what);

#endif
