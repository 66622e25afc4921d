/* command_store.h -- `sync-coordinator store verify|repair DIR`: an operator's look into a data directory.
 *
 * Threads: main's. */
#ifndef SERVER_COMMANDS_COMMAND_STORE_H
#define SERVER_COMMANDS_COMMAND_STORE_H

int command_store(int argc, char *const argv[]); /* as struct command's run */

#endif
