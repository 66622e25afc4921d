/* config_args.h -- the command line: which flags were given, with which texts.
 *
 *     --port 8080   --port=8080   -p 8080   -p8080
 *
 * Every option takes a value, and takes the next argument whatever it begins with, unless that is a flag of
 * ours (then the value was forgotten). A flag given twice: the last one counts, but --hook adds another hook.
 * What the texts mean is decided later (options.h). Pure. */
#ifndef CORE_CONFIG_CONFIG_ARGS_H
#define CORE_CONFIG_CONFIG_ARGS_H

#include "core/config/config.h"

struct config_args {
    enum config_command command;           /* the last one given */
    const char *file;                      /* of --config, or NULL */
    const char *texts[CONFIG_OPTIONS_MAX]; /* in the order of the table; NULL: not given */
    struct slice hooks[CONFIG_HOOKS_MAX];  /* all texts of --hook, the one flag that may be repeated */
    size_t hook_count;
};

/* Errors: SYNC_ECONFIG for an unknown flag (naming the nearest known one), a forgotten value, a value for a
 * flag that takes none, or an argument that is no flag. --help and --version end the reading. */
enum sync_err config_args_parse(int argc, const char *const *argv, struct config_args *ret,
                                struct err_ctx *ec);

/* The flags that are not options, for --help. */
struct config_flag {
    const char *flag;
    char letter;
    const char *takes; /* name of its value, or NULL */
    enum config_command command;
    const char *help;
};
extern const struct config_flag config_flags[];
extern const size_t config_flag_count;

#endif
