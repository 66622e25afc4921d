/* command.h -- commands of the program beside serving: `sync-coordinator NOUN VERB ...`.
 *
 * An operator's tools live in the same binary as the server, so that they always know its formats and its
 * configuration. A command is a noun; what follows is its own to read. Everything else on the command line is
 * the server's (core/config/config_args.h), whose words all begin with a dash, so the two never meet.
 *
 * Exit codes: 0 done, 1 failed or found something wrong (the reason is on stderr), 2 wrong use.
 *
 * Threads: main's, before any other has started. */
#ifndef SERVER_COMMANDS_COMMAND_H
#define SERVER_COMMANDS_COMMAND_H

#include <stdbool.h>

enum { COMMAND_DONE = 0, COMMAND_FAILED = 1, COMMAND_USAGE = 2 };

struct command {
    const char *name;
    const char *help;                         /* one line, for --help */
    int (*run)(int argc, char *const argv[]); /* argv[0] is the name */
};

/* The commands, ended by one without a name. */
extern const struct command commands[];

/* Is argv[1] a command's name? Then runs it and sets its exit code. */
bool command_run(int argc, char *const argv[], int *ret_code);

#endif
