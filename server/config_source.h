/* config_source.h -- where the program's configuration comes from: its arguments, its environment, its files.
 *
 * For main and for commands, which read the same configuration as the server they speak of.
 *
 * Threads: any. */
#ifndef SERVER_CONFIG_SOURCE_H
#define SERVER_CONFIG_SOURCE_H

#include "core/config/config.h"

/* argv[0] is not looked at. The result borrows argv. */
struct config_input config_source(int argc, char *const argv[]);

#endif
