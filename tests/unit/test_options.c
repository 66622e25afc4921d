#include "core/config/options.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct config config;
static struct arena arena;

static const struct option *option(const char *path)
{
    const struct option *o = option_by_path(slice_str(path));
    cr_assert_not_null(o, "%s", path);
    return o;
}

static void good(const char *path, const char *text)
{
    struct err_ctx ec = {""};
    cr_assert_eq(option_set_text(option(path), &config, &arena, slice_str(text), &ec), SYNC_OK, "%s: %s",
                 path, ec.text);
}

static void bad(const char *path, const char *text, const char *error)
{
    struct err_ctx ec = {""};
    struct config before = config;
    cr_assert_eq(option_set_text(option(path), &config, &arena, slice_str(text), &ec), SYNC_ECONFIG, "%s",
                 path);
    cr_assert_str_eq(ec.text, error);
    cr_assert_eq(memcmp(&before, &config, sizeof config), 0, "%s: unchanged", path);
}

static void assert_list(const struct text_list *list, const char *joined)
{
    char text[200] = "";
    for (size_t i = 0; i < list->count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s|", SLICE_ARG(list->items[i]));
    cr_assert_str_eq(text, joined);
}

Test(options, every_row_of_the_table_is_sound)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *o = &config_options[i];
        struct err_ctx ec = {""};
        struct config c = {0};
        cr_assert_not_null(o->help, "%s", o->path);
        cr_assert_eq(o->help[strlen(o->help) - 1] == '.' || o->help[strlen(o->help) - 1] == '?', true, "%s",
                     o->path);
        cr_assert_null(strchr(o->help, '|'), "%s: would end a cell of the table in the docs", o->path);
        cr_assert(strncmp(o->env, "SYNC_", 5) == 0 || strncmp(o->env, "S3_", 3) == 0 ||
                      strncmp(o->env, "DISK_EVICTION_", 14) == 0 || strcmp(o->env, "DEBUG") == 0,
                  "%s", o->path);
        if (o->kind == OPTION_NUMBER) {
            cr_assert_lt(o->min, o->max, "%s", o->path);
            cr_assert(o->size == 2 || o->size == 4 || o->size == 8, "%s", o->path);
            cr_assert(o->size == 8 || o->max >> (8 * o->size) == 0, "%s: the largest value fits", o->path);
        }
        if (o->initial != NULL)
            cr_assert_eq(option_set_text(o, &c, &arena, slice_str(o->initial), &ec), SYNC_OK, "%s: %s",
                         o->path, ec.text);
        for (size_t k = 0; k < i; k++) {
            const struct option *other = &config_options[k];
            cr_assert_str_neq(o->path, other->path);
            cr_assert_str_neq(o->flag, other->flag);
            cr_assert_str_neq(o->env, other->env);
            cr_assert(o->letter == '\0' || o->letter != other->letter, "%s", o->path);
            cr_assert_neq(o->offset, other->offset, "%s and %s", o->path, other->path);
        }
        cr_assert_eq(option_by_path(slice_str(o->path)), o);
        cr_assert_eq(option_by_flag(slice_str(o->flag)), o);
        if (o->letter != '\0') cr_assert_eq(option_by_letter(o->letter), o);
        cr_assert_eq(option_index(o), i);
    }
    cr_assert_null(option_by_path(slice_str("nothing")));
    cr_assert_null(option_by_flag(slice_str("--port")));
    cr_assert_null(option_by_letter('\0'));
    cr_assert_null(option_by_letter('x'));
    cr_assert(option_is_section(slice_str("cors")));
    cr_assert_not(option_is_section(slice_str("cor")));
    cr_assert_not(option_is_section(slice_str("cors.origin")));
    arena_deinit(&arena);
}

/* Each option writes its own field and no other: the value comes back as it was set. */
Test(options, a_number_is_written_into_its_own_field)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *o = &config_options[i];
        char text[30];
        struct buf b = buf_make(100);
        if (o->kind != OPTION_NUMBER) continue;
        memset(&config, 0xaa, sizeof config);
        snprintf(text, sizeof text, "%llu", (unsigned long long)o->max);
        good(o->path, text);
        option_put_value(o, &config, &b);
        cr_assert(slice_is(buf_slice(&b), text), "%s", o->path);
        const unsigned char *bytes = (const unsigned char *)&config;
        for (size_t at = 0; at < sizeof config; at++)
            if (at < o->offset || at >= o->offset + o->size) cr_assert_eq(bytes[at], 0xaa, "%s", o->path);
        buf_deinit(&b);
    }
}

Test(options, a_decimal_has_two_places_and_is_shown_as_it_was_given)
{
    static const struct {
        const char *text, *shown;
        uint32_t value;
    } rows[] = {{"2", "2.0", 200},
                {"2.0", "2.0", 200},
                {"2.5", "2.5", 250},
                {"2.05", "2.05", 205},
                {" 1000 ", "1000.0", 100000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = buf_make(100);
        good("coordinator.contention.threshold", rows[i].text);
        cr_assert_eq(config.coordinator.contention.threshold_percent, rows[i].value, "%s", rows[i].text);
        option_put_value(option("coordinator.contention.threshold"), &config, &b);
        cr_assert(slice_is(buf_slice(&b), rows[i].shown), "%s", rows[i].text);
        buf_deinit(&b);
    }
    static const char *const wrong[] = {"",   ".",   "2.",   ".5",      "2.555",       "2.5.5",
                                        "-2", "2e1", "0.99", "1000.01", "99999999999", "2,5"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char error[200];
        snprintf(error, sizeof error,
                 "\"%s\" is not a number from 1.00 to 1000.00, with at most two decimal places", wrong[i]);
        bad("coordinator.contention.threshold", wrong[i], error);
    }
    arena_deinit(&arena);
}

Test(options, numbers_are_decimal_and_within_their_range)
{
    good("port", "0");
    cr_assert_eq(config.server.port, 0);
    good("port", " 65535\n");
    cr_assert_eq(config.server.port, 65535);
    good("port", "0080");
    cr_assert_eq(config.server.port, 80);
    good("sync.retentionHorizonMs", "2592000001");
    cr_assert_eq(config.sync.retention_horizon_ms, 2592000001u);
    bad("port", "65536", "\"65536\" is not a whole number from 0 to 65535");
    bad("port", "-1", "\"-1\" is not a whole number from 0 to 65535");
    bad("port", "+1", "\"+1\" is not a whole number from 0 to 65535");
    bad("port", "80a", "\"80a\" is not a whole number from 0 to 65535");
    bad("port", "8 0", "\"8 0\" is not a whole number from 0 to 65535");
    bad("port", "0x50", "\"0x50\" is not a whole number from 0 to 65535");
    bad("port", "80.0", "\"80.0\" is not a whole number from 0 to 65535");
    bad("port", "", "\"\" is not a whole number from 0 to 65535");
    bad("sync.batchSize", "0", "\"0\" is not a whole number from 1 to 1000000");
    bad("sync.retentionHorizonMs", "18446744073709551616",
        "\"18446744073709551616\" is not a whole number from 1 to 3155760000000");
    bad("sync.retentionHorizonMs", "99999999999999999999999999999",
        "\"99999999999999999999999999999\" is not a whole number from 1 to 3155760000000");
    arena_deinit(&arena);
}

Test(options, booleans_are_true_or_false)
{
    good("cors.credentials", "true");
    cr_assert(config.cors.credentials);
    good("cors.credentials", " false ");
    cr_assert_not(config.cors.credentials);
    bad("cors.credentials", "1", "\"1\" is not true or false");
    bad("cors.credentials", "TRUE", "\"TRUE\" is not true or false");
    bad("cors.credentials", "", "\"\" is not true or false");
}

Test(options, choices_are_one_of_their_names)
{
    good("auth.mode", "token-whitelist");
    cr_assert_eq(config.auth.mode, AUTH_MODE_TOKEN_WHITELIST);
    good("auth.mode", " custom ");
    cr_assert_eq(config.auth.mode, AUTH_MODE_CUSTOM);
    good("storage.durability", "os");
    cr_assert_eq(config.storage.durability, DURABILITY_OS);
    good("logging.level", "error");
    cr_assert_eq(config.logging.level, LOG_LEVEL_ERROR);
    good("logging.format", "json");
    cr_assert_eq(config.logging.format, LOG_FORMAT_JSON);
    bad("auth.mode", "None", "\"None\" is not one of none, token-whitelist or custom");
    bad("auth.mode", "", "\"\" is not one of none, token-whitelist or custom");
    bad("storage.durability", "fsyn", "\"fsyn\" is not one of fsync, os or object");
    bad("logging.level", "trace", "\"trace\" is not one of debug, info, warn or error");
}

Test(options, lists_stand_between_commas_and_are_trimmed)
{
    good("auth.tokens", " one, two words ,,three,\t");
    assert_list(&config.auth.tokens, "one|two words|three|");
    good("auth.tokens", "single");
    assert_list(&config.auth.tokens, "single|");
    bad("auth.tokens", "", "the value is not a list of texts");
    bad("auth.tokens", " , ", "the value is not a list of texts");
    arena_deinit(&arena);
}

Test(options, origins_are_all_none_or_a_list)
{
    good("cors.origin", "true");
    cr_assert_eq(config.cors.origin.allow, CORS_ALLOW_ANY);
    good("cors.origin", "false");
    cr_assert_eq(config.cors.origin.allow, CORS_ALLOW_NONE);
    good("cors.origin", "http://localhost:3000, http://example.com");
    cr_assert_eq(config.cors.origin.allow, CORS_ALLOW_LIST);
    assert_list(&config.cors.origin.list, "http://localhost:3000|http://example.com|");
    good("cors.origin", "*");
    cr_assert_eq(config.cors.origin.allow, CORS_ALLOW_ANY);
    cr_assert_eq(config.cors.origin.list.count, 0);
    good("cors.origin", "https://a.example,*");
    cr_assert_eq(config.cors.origin.allow, CORS_ALLOW_ANY);
    bad("cors.origin", "", "\"\" is not true, false or a list of origins");
    bad("cors.origin", ",", "\",\" is not true, false or a list of origins");
    arena_deinit(&arena);
}

Test(options, a_base_path_loses_its_last_slash_and_the_root_is_empty)
{
    static const struct {
        const char *given, *kept;
    } cases[] = {
        {"/sync", "/sync"}, {"/sync/", "/sync"},        {"/", ""},
        {"/a/b", "/a/b"},   {"/a.b~c/-_", "/a.b~c/-_"}, {" /sync ", "/sync"},
    };
    static const char *const refused[] = {"",     "sync",  "sync/", "//",   "/a//b", "/a/b//", "/./a",
                                          "/../", "/a b/", "/a?b",  "/a#b", "/a%20", "/a\\b",  "/\xc3\xbc"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        good("basePath", cases[i].given);
        cr_assert_str_eq(config.server.base_path, cases[i].kept);
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char error[200];
        snprintf(error, sizeof error, "%s is not a path like /sync, or /",
                 show_value(slice_str(refused[i])).text);
        bad("basePath", refused[i], error);
    }
    arena_deinit(&arena);
}

Test(options, texts_are_taken_as_they_are_but_not_empty)
{
    struct err_ctx ec;
    good("dataDir", " odd name ");
    cr_assert_str_eq(config.storage.data_dir, " odd name ");
    good("logging.namespaces", "");
    cr_assert_str_eq(config.logging.namespaces, "");
    bad("host", "", "\"\" is not a text that is not empty");
    cr_assert_eq(option_set_text(option("host"), &config, &arena, slice_of("a\0b", 3), &ec), SYNC_ECONFIG);
    cr_assert_str_eq(ec.text, "\"a\\u0000b\" is not a text that is not empty");
    arena_deinit(&arena);
}

Test(options, errors_show_values_escaped_and_short)
{
    bad("port", "\x1b[31m\n80", "\"\\u001b[31m\\n80\" is not a whole number from 0 to 65535");
    bad("port", "0123456789012345678901234567890123456789012345678901234567890123456789",
        "\"012345678901234567890123456789012345678901234567\"... is not a whole number from 0 to 65535");
}

static void assert_shown(const char *path, const char *text)
{
    struct buf b = buf_make(1000);
    option_put_value(option(path), &config, &b);
    cr_assert(slice_is(buf_slice(&b), text), "%.*s", (int)b.len, b.bytes);
    buf_deinit(&b);
}

Test(options, values_are_shown_as_json_and_secrets_are_not)
{
    good("cors.origin", "http://a.example, http://b.example");
    assert_shown("cors.origin", "[\"http://a.example\", \"http://b.example\"]");
    good("cors.origin", "false");
    assert_shown("cors.origin", "false");
    good("basePath", "/");
    assert_shown("basePath", "\"/\"");
    good("dataDir", "a\"b");
    assert_shown("dataDir", "\"a\\\"b\"");
    good("auth.mode", "none");
    assert_shown("auth.mode", "\"none\"");
    assert_shown("auth.tokens", "(0 secrets)");
    good("auth.tokens", "hush");
    assert_shown("auth.tokens", "(1 secret)");
    good("auth.tokens", "hush,hush2");
    assert_shown("auth.tokens", "(2 secrets)");
    good("s3.secretAccessKey", "");
    assert_shown("s3.secretAccessKey", "(0 secrets)");
    good("s3.secretAccessKey", "hush");
    assert_shown("s3.secretAccessKey", "(1 secret)");
    arena_deinit(&arena);
}
