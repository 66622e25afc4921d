#include "server/command.h"

#include "server/command_coordinator.h"

#include <stddef.h>
#include <string.h>

const struct command commands[] = {
    {"coordinator", "Shows and changes who leads the cluster.", command_coordinator},
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
