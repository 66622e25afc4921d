/* config_input.h -- what config_load() reads, made of literals: arguments, variables, files in memory. */
#ifndef TESTS_CONFIG_INPUT_H
#define TESTS_CONFIG_INPUT_H

#include "core/config/config.h"

struct memory_file {
    const char *path;
    const char *text; /* NULL: there, but not readable */
};

/* arg is an array of files that ends with a NULL path. */
static inline enum sync_err read_memory_file(void *arg, const char *path, struct buf *ret, struct err_ctx *ec)
{
    for (const struct memory_file *f = arg; f->path != NULL; f++) {
        if (strcmp(f->path, path) != 0) continue;
        if (f->text == NULL) return err_set(ec, SYNC_EIO, "Permission denied");
        buf_put_str(ret, f->text);
        return buf_check(ret, ec);
    }
    return err_set(ec, SYNC_ENOTFOUND, "No such file or directory");
}

#define STRINGS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define FILES(...)   ((struct memory_file[]){__VA_ARGS__ __VA_OPT__(, ){NULL, NULL}})

static inline struct config_input input_of(const char *const *flags, const char *const *environment,
                                           struct memory_file *files, const char *argv[32])
{
    int argc = 1;
    argv[0] = "sync-coordinator";
    for (; flags[argc - 1] != NULL && argc < 32; argc++) argv[argc] = flags[argc - 1];
    return (struct config_input){.argc = argc,
                                 .argv = argv,
                                 .environment = environment,
                                 .read_file = read_memory_file,
                                 .read_arg = files};
}

static inline enum sync_err load(const char *const *flags, const char *const *environment,
                                 struct memory_file *files, struct loaded_config *ret, struct err_ctx *ec)
{
    const char *argv[32];
    struct config_input in = input_of(flags, environment, files, argv);
    return config_load(&in, ret, ec);
}

#endif
