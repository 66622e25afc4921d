/* command_object.h -- `sync-coordinator object ...`: looks after what is in the object store (command.h). */
#ifndef SERVER_COMMANDS_COMMAND_OBJECT_H
#define SERVER_COMMANDS_COMMAND_OBJECT_H

int command_object(int argc, char *const argv[]);

#endif
