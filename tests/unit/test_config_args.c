#include "core/config/config_args.h"

#include "core/config/options.h"

#include <criterion/criterion.h>
#include <stdio.h>

static enum sync_err parse(const char *const *flags, struct config_args *ret, struct err_ctx *ec)
{
    const char *argv[32] = {"sync-coordinator"};
    int argc = 1;
    for (; flags[argc - 1] != NULL; argc++) argv[argc] = flags[argc - 1];
    return config_args_parse(argc, argv, ret, ec);
}

#define FLAGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void assert_text(const struct config_args *a, const char *path, const char *text)
{
    const char *given = a->texts[option_index(option_by_path(slice_str(path)))];
    if (text == NULL)
        cr_assert_null(given, "%s", path);
    else
        cr_assert_str_eq(given, text);
}

Test(config_args, nothing_given_means_run)
{
    struct config_args a;
    struct err_ctx ec;
    cr_assert_eq(parse(FLAGS(NULL), &a, &ec), SYNC_OK);
    cr_assert_eq(a.command, CONFIG_RUN);
    cr_assert_null(a.file);
    for (size_t i = 0; i < config_option_count; i++) cr_assert_null(a.texts[i]);
}

Test(config_args, a_value_follows_or_is_attached)
{
    static const char *const ways[][3] = {
        {"--port", "8080", NULL}, {"--port=8080", NULL}, {"-p", "8080", NULL}, {"-p8080", NULL}};
    for (size_t i = 0; i < 4; i++) {
        struct config_args a;
        struct err_ctx ec;
        cr_assert_eq(parse(ways[i], &a, &ec), SYNC_OK, "%zu", i);
        assert_text(&a, "port", "8080");
    }
}

Test(config_args, every_flag_of_the_predecessor_is_known)
{
    struct config_args a;
    struct err_ctx ec;
    cr_assert_eq(parse(FLAGS("-c", "a.json", "-h", "::1", "-p", "1", "-b", "/x", "-d", "dir", "--cors-origin",
                             "true", "--auth-mode", "none", "--auth-tokens", "t", "--debug", "*"),
                       &a, &ec),
                 SYNC_OK);
    cr_assert_str_eq(a.file, "a.json");
    assert_text(&a, "host", "::1");
    assert_text(&a, "port", "1");
    assert_text(&a, "basePath", "/x");
    assert_text(&a, "dataDir", "dir");
    assert_text(&a, "cors.origin", "true");
    assert_text(&a, "auth.mode", "none");
    assert_text(&a, "auth.tokens", "t");
    assert_text(&a, "logging.namespaces", "*");
    cr_assert_eq(
        parse(FLAGS("--config", "b.json", "--host", "h", "--base-path", "/y", "--data-dir", "e"), &a, &ec),
        SYNC_OK);
    cr_assert_str_eq(a.file, "b.json");
    assert_text(&a, "host", "h");
    assert_text(&a, "basePath", "/y");
    assert_text(&a, "dataDir", "e");
}

Test(config_args, the_last_of_two_equal_flags_counts)
{
    struct config_args a;
    struct err_ctx ec;
    cr_assert_eq(parse(FLAGS("--port", "1", "-p2", "--config=a", "-cb"), &a, &ec), SYNC_OK);
    assert_text(&a, "port", "2");
    cr_assert_str_eq(a.file, "b");
}

Test(config_args, a_value_may_be_empty_hold_an_equals_sign_or_begin_with_a_dash)
{
    struct config_args a;
    struct err_ctx ec;
    cr_assert_eq(
        parse(FLAGS("--debug", "-*:http,*", "--auth-tokens=a=b", "--data-dir=", "--host", ""), &a, &ec),
        SYNC_OK);
    assert_text(&a, "logging.namespaces", "-*:http,*");
    assert_text(&a, "auth.tokens", "a=b");
    assert_text(&a, "dataDir", "");
    assert_text(&a, "host", "");
}

Test(config_args, commands_are_found_and_help_ends_the_reading)
{
    static const struct {
        const char *flags[3];
        enum config_command command;
    } cases[] = {
        {{"--help", "--nonsense"}, CONFIG_HELP},
        {{"--version", "--nonsense"}, CONFIG_VERSION},
        {{"-V"}, CONFIG_VERSION},
        {{"--check-config"}, CONFIG_CHECK},
        {{"--print-config"}, CONFIG_PRINT},
        {{"--print-config", "--check-config"}, CONFIG_CHECK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config_args a;
        struct err_ctx ec;
        cr_assert_eq(parse(cases[i].flags, &a, &ec), SYNC_OK, "%zu", i);
        cr_assert_eq(a.command, cases[i].command, "%zu", i);
    }
}

Test(config_args, each_mistake_has_its_own_message)
{
    static const struct {
        const char *flags[4];
        const char *error;
    } cases[] = {
        {{"--prot", "80"}, "unknown flag \"--prot\"; did you mean --port?"},
        {{"--auth-token=hush"}, "unknown flag \"--auth-token\"; did you mean --auth-tokens?"},
        {{"--basePath=/x"}, "unknown flag \"--basePath\"; did you mean --base-path?"},
        {{"--check"}, "unknown flag \"--check\"; --help lists all"},
        {{"--chek-config"}, "unknown flag \"--chek-config\"; did you mean --check-config?"},
        {{"--zzzzzzzzz"}, "unknown flag \"--zzzzzzzzz\"; --help lists all"},
        {{"--"}, "unknown flag \"--\"; --help lists all"},
        {{"-x"}, "unknown flag \"-x\"; --help lists all"},
        {{"-xhush"}, "unknown flag \"-x\"; --help lists all"},
        {{"-"}, "unexpected argument \"-\""},
        {{"-p", "1", "stray"}, "unexpected argument \"stray\""},
        {{""}, "unexpected argument \"\""},
        {{"--auth-tokens", "a,", "hush"}, "unexpected argument after the value of --auth-tokens"},
        {{"--port"}, "--port needs a value"},
        {{"-p"}, "--port needs a value"},
        {{"--config"}, "--config needs a value"},
        {{"--host", "--port", "1"}, "--host needs a value, but the flag --port follows"},
        {{"--host", "--auth-tokens=hush"}, "--host needs a value, but the flag --auth-tokens follows"},
        {{"--host", "-p", "1"}, "--host needs a value, but the flag -p follows"},
        {{"--help=yes"}, "--help takes no value"},
        {{"-Vx"}, "--version takes no value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config_args a;
        struct err_ctx ec = {""};
        cr_assert_eq(parse(cases[i].flags, &a, &ec), SYNC_ECONFIG, "%s", cases[i].error);
        cr_assert_str_eq(ec.text, cases[i].error);
    }
}
