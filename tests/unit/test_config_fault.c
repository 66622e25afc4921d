/* Every allocation on the way of the configuration fails once, from its sources to the texts that are made of
 * it: each time that is told, and nothing is left behind (nomem.h). */
#include "core/config/config.h"

#include "config_input.h"
#include "nomem.h"

#include <criterion/criterion.h>
#include <stdio.h>

static enum sync_err load_and_unload(const char *const *flags, const char *const *environment,
                                     struct memory_file *files, size_t warnings, size_t hooks,
                                     struct err_ctx *ec)
{
    struct loaded_config c;
    enum sync_err rc = load(flags, environment, files, &c, ec);
    if (rc != SYNC_OK) return rc;
    cr_assert_eq(c.warnings.count, warnings);
    cr_assert_eq(c.config.hooks.chain.count, hooks);
    config_unload(&c);
    return SYNC_OK;
}

static enum sync_err load_all_sources(struct err_ctx *ec)
{
    struct memory_file *files =
        FILES({"sync-coordinator.json", "{\"host\":\"h\",\"cors\":{\"origin\":[\"x\",\"y\"]}}"},
              {"t", "one\ntwo\n"});
    return load_and_unload(STRINGS("--auth-tokens-file=t", "--auth-mode=none"),
                           STRINGS("SYNC_BASE_PATH=/x", "SYNC_PROT=1"), files, 4, 0, ec);
}

Test(config_fault, loading_all_sources)
{
    nomem_each(load_all_sources);
}

/* Configuration strings longer than what an arena takes at a time, so that each text asks for memory. */
#define X100                                                                                                 \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X1000       X100 X100 X100 X100 X100 X100 X100 X100 X100 X100
#define LONG_CONFIG X1000 X1000 X1000 X1000 X1000

static enum sync_err load_hooks_of_the_file(struct err_ctx *ec)
{
    struct memory_file *files =
        FILES({"sync-coordinator.json", "{\"hooks\": [{\"path\": \"a.so\", \"config\": \"" LONG_CONFIG
                                        "\", \"isolation\": \"process\"},"
                                        " {\"path\": \"\\u0062.so\", \"config\": \"" LONG_CONFIG
                                        "\", \"timeoutMs\": 50}, {\"path\": \"" LONG_CONFIG "\"}]}"});
    return load_and_unload(STRINGS(), STRINGS(), files, 0, 3, ec);
}

static enum sync_err load_hooks_of_the_environment(struct err_ctx *ec)
{
    return load_and_unload(STRINGS(), STRINGS("SYNC_HOOKS=a.so:" LONG_CONFIG ";" LONG_CONFIG ";c.so"),
                           FILES(), 0, 3, ec);
}

static enum sync_err load_hooks_of_flags(struct err_ctx *ec)
{
    return load_and_unload(STRINGS("--hook", "a.so:" LONG_CONFIG, "--hook=" LONG_CONFIG), STRINGS(), FILES(),
                           0, 2, ec);
}

Test(config_fault, loading_hooks)
{
    nomem_each(load_hooks_of_the_file);
    nomem_each(load_hooks_of_the_environment);
    nomem_each(load_hooks_of_flags);
}

static enum sync_err load_long_lists(struct err_ctx *ec)
{
    struct memory_file *files =
        FILES({"sync-coordinator.json", "{\"auth\":{\"tokens\":[\"" LONG_CONFIG
                                        "\",\"\\u0061\",\"" LONG_CONFIG "\"]},\"basePath\":\"/" X1000 "\"}"},
              {"t", LONG_CONFIG "\n" LONG_CONFIG});
    return load_and_unload(STRINGS("--auth-tokens-file", "t"),
                           STRINGS("SYNC_CORS_ORIGIN=https://" LONG_CONFIG ",https://" LONG_CONFIG), files, 0,
                           0, ec);
}

Test(config_fault, loading_long_lists_and_texts)
{
    nomem_each(load_long_lists);
}

/* An arena asks for memory only where the block that it has is full. A text that grows moves that place
 * through all that is loaded behind it. */
static char padding[4097];

static enum sync_err load_behind_padding(struct err_ctx *ec)
{
    char file[sizeof padding + 200];
    (void)snprintf(file, sizeof file,
                   "{\"host\":\"%s\",\"cors\":{\"origin\":[\"x\",\"\\u0079\"]},"
                   "\"hooks\":[{\"path\":\"a\",\"config\":\"b\"},{\"path\":\"c\"}]}",
                   padding);
    struct memory_file *files = FILES({"sync-coordinator.json", file}, {"t", "one\ntwo\n"});
    return load_and_unload(STRINGS("--auth-tokens-file=t", "--auth-mode=none"), STRINGS("SYNC_PROT=1"), files,
                           4, 2, ec);
}

Test(config_fault, loading_with_a_full_block_anywhere)
{
    enum { ARENA_ALIGN = 16 };
    for (size_t len = 1; len < sizeof padding; len += ARENA_ALIGN) {
        memset(padding, 'h', len);
        nomem_each(load_behind_padding);
    }
}

/* ---- what is made of it */

static struct loaded_config one, other;

static void load_two(void)
{
    struct err_ctx ec;
    struct memory_file *tokens = FILES({"t", "one\ntwo\n"});
    cr_assert_eq(
        load(STRINGS("--hook", "a.so:" LONG_CONFIG, "--auth-tokens-file=t"), STRINGS(), tokens, &one, &ec),
        SYNC_OK);
    cr_assert_eq(load(STRINGS("--hook", "a.so:" LONG_CONFIG "y", "--port", "1", "--log-level=debug"),
                      STRINGS("SYNC_CORS_ORIGIN=https://a.example"), FILES(), &other, &ec),
                 SYNC_OK);
}

static void unload_two(void)
{
    config_unload(&one);
    config_unload(&other);
}

static enum sync_err checked(struct buf *out, struct err_ctx *ec)
{
    enum sync_err rc = buf_check(out, ec);
    if (rc == SYNC_OK) cr_assert_gt(out->len, 0);
    buf_deinit(out);
    return rc;
}

static enum sync_err write_values(struct err_ctx *ec)
{
    struct buf out = buf_make(CONFIG_TEXT_BYTES_MAX);
    config_write(&one, &out);
    return checked(&out, ec);
}

static enum sync_err write_help(struct err_ctx *ec)
{
    struct buf out = buf_make(CONFIG_TEXT_BYTES_MAX);
    config_write_help(&out);
    return checked(&out, ec);
}

static enum sync_err write_table(struct err_ctx *ec)
{
    struct buf out = buf_make(CONFIG_TEXT_BYTES_MAX);
    config_write_markdown(&out);
    return checked(&out, ec);
}

Test(config_fault, writing_it, .init = load_two, .fini = unload_two)
{
    nomem_each(write_values);
    nomem_each(write_help);
    nomem_each(write_table);
}

static enum sync_err compare_fixed(struct err_ctx *ec)
{
    struct buf out = buf_make(CONFIG_TEXT_BYTES_MAX);
    config_restart_needed(&one.config, &other.config, &out);
    return checked(&out, ec);
}

static enum sync_err compare_reloadable(struct err_ctx *ec)
{
    struct buf out = buf_make(CONFIG_TEXT_BYTES_MAX);
    config_reloaded(&one.config, &other.config, &out);
    return checked(&out, ec);
}

/* A value that found no room must not count as one that is the same. */
Test(config_fault, comparing_two, .init = load_two, .fini = unload_two)
{
    nomem_each(compare_fixed);
    nomem_each(compare_reloadable);
}
