/* command_coordinator.h -- `sync-coordinator coordinator status|elect|step-down`.
 *
 * Works on the object store itself, as the configuration names it, so it needs no server that answers: what
 * it shows is what the instances go by, and what it asks for they find there. Hints to the leader only save
 * seconds.
 *
 * Threads: main's. */
#ifndef SERVER_COMMANDS_COMMAND_COORDINATOR_H
#define SERVER_COMMANDS_COMMAND_COORDINATOR_H

int command_coordinator(int argc, char *const argv[]);

#endif
