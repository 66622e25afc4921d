#include "server/commands/command.h"

#include "server/commands/command_coordinator.h"
#include "server/commands/command_object.h"
#include "server/commands/command_store.h"

#include <stddef.h>
#include <string.h>

const struct command commands[] = {
    {"coordinator", "show or change who leads the cluster", command_coordinator},
    {"object", "look after what is in the object store", command_object},
    {"store", "verify or repair a data directory", command_store},
    {NULL, NULL, NULL},
};

bool command_run(int argc, char *const argv[], int *ret_code)
{
    for (const struct command *c = commands; argc > 1 && c->name != NULL; c++) {
        if (strcmp(argv[1], c->name) != 0) continue;
        *ret_code = c->run(argc - 1, argv + 1);
        return true;
    }
    return false;
}
