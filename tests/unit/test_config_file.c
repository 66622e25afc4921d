#include "core/config/config_file.h"

#include "core/config/options.h"
#include "core/json/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct loaded_config loaded;
static bool given[CONFIG_OPTIONS_MAX];

static enum sync_err apply_bytes(const char *text, size_t len, struct err_ctx *ec)
{
    struct buf b = buf_make(CONFIG_FILE_BYTES_MAX);
    memset(given, 0, sizeof given);
    buf_put(&b, text, len);
    enum sync_err rc = config_file_apply(&loaded, "c.json", &b, given, ec);
    cr_assert(slice_eq(buf_slice(&b), slice_of(text, len)));
    buf_deinit(&b);
    return rc;
}

static void good(const char *text)
{
    struct err_ctx ec = {""};
    cr_assert_eq(apply_bytes(text, strlen(text), &ec), SYNC_OK, "%s: %s", text, ec.text);
}

static void bad(const char *text, const char *error)
{
    struct err_ctx ec = {""};
    cr_assert_eq(apply_bytes(text, strlen(text), &ec), SYNC_ECONFIG, "%s", text);
    cr_assert_str_eq(ec.text, error);
}

static bool was_given(const char *path)
{
    return given[option_index(option_by_path(slice_str(path)))];
}

Test(config_file, every_option_of_the_predecessor_is_read)
{
    good("{\n"
         "  \"host\": \"::1\", \"port\": 8080, \"basePath\": \"/x/\", \"dataDir\": \"d\",\n"
         "  \"cors\": {\"origin\": [\"https://a.example\", \" https://b.example \"], \"credentials\": "
         "false},\n"
         "  \"auth\": {\"mode\": \"token-whitelist\", \"tokens\": [\"one\", \"tw\\u00f6\"]},\n"
         "  \"sync\": {\"retentionHorizonMs\": 60000, \"batchSize\": 5},\n"
         "  \"logging\": {\"level\": \"debug\", \"namespaces\": \"*:ws\"}\n"
         "}\n");
    const struct config *c = &loaded.config;
    cr_assert_str_eq(c->server.host, "::1");
    cr_assert_eq(c->server.port, 8080);
    cr_assert_str_eq(c->server.base_path, "/x");
    cr_assert_str_eq(c->storage.data_dir, "d");
    cr_assert_eq(c->cors.origin.allow, CORS_ALLOW_LIST);
    cr_assert_eq(c->cors.origin.list.count, 2);
    cr_assert(slice_is(c->cors.origin.list.items[1], "https://b.example"));
    cr_assert_not(c->cors.credentials);
    cr_assert_eq(c->auth.mode, AUTH_MODE_TOKEN_WHITELIST);
    cr_assert_eq(c->auth.tokens.count, 2);
    cr_assert(slice_is(c->auth.tokens.items[1], "tw\xc3\xb6"));
    cr_assert_eq(c->sync.retention_horizon_ms, 60000);
    cr_assert_eq(c->sync.batch_size, 5);
    cr_assert_eq(c->logging.level, LOG_LEVEL_DEBUG);
    cr_assert_str_eq(c->logging.namespaces, "*:ws");
    size_t count = 0;
    for (size_t i = 0; i < config_option_count; i++) count += given[i];
    cr_assert_eq(count, 12);
    cr_assert(was_given("sync.batchSize"));
    cr_assert_not(was_given("threads"));
    config_unload(&loaded);
}

Test(config_file, an_empty_object_or_section_gives_nothing)
{
    good("{}");
    good(" { \"cors\" : { } } ");
    for (size_t i = 0; i < config_option_count; i++) cr_assert_not(given[i]);
}

Test(config_file, an_origin_may_be_a_boolean_a_text_or_a_list)
{
    good("{\"cors\":{\"origin\":false}}");
    cr_assert_eq(loaded.config.cors.origin.allow, CORS_ALLOW_NONE);
    good("{\"cors\":{\"origin\":true}}");
    cr_assert_eq(loaded.config.cors.origin.allow, CORS_ALLOW_ANY);
    good("{\"cors\":{\"origin\":\"https://a.example\"}}");
    cr_assert_eq(loaded.config.cors.origin.allow, CORS_ALLOW_LIST);
    cr_assert_eq(loaded.config.cors.origin.list.count, 1);
    good("{\"cors\":{\"origin\":[]}}");
    cr_assert_eq(loaded.config.cors.origin.allow, CORS_ALLOW_LIST);
    cr_assert_eq(loaded.config.cors.origin.list.count, 0);
    config_unload(&loaded);
}

Test(config_file, unknown_keys_are_named_with_their_path_line_and_the_nearest_known_one)
{
    bad("{\"prot\": 1}", "c.json:1: unknown key \"prot\"; did you mean \"port\"?");
    bad("{\n\"cors\": {\n\"orign\": true}}",
        "c.json:3: unknown key \"cors.orign\"; did you mean \"cors.origin\"?");
    bad("{\"tokens\": []}", "c.json:1: unknown key \"tokens\"; did you mean \"auth.tokens\"?");
    bad("{\"sync\": {\"port\": 1}}", "c.json:1: unknown key \"sync.port\"; did you mean \"port\"?");
    bad("{\"cors.origin\": true}", "c.json:1: unknown key \"cors.origin\"; did you mean \"cors.origin\"?");
    bad("{\"zzzzzzzzzzzz\": 1}", "c.json:1: unknown key \"zzzzzzzzzzzz\"");
    bad("{\"\": 1}", "c.json:1: unknown key \"\"");
    bad("{\"port\\u0000\": 1}", "c.json:1: unknown key \"port\"; did you mean \"port\"?");
    bad("{\"a\\n\": 1}", "c.json:1: unknown key \"a\\n\"");
    char text[400];
    snprintf(text, sizeof text, "{\"%0*d\": 1}", 200, 0);
    struct err_ctx ec;
    cr_assert_eq(apply_bytes(text, strlen(text), &ec), SYNC_ECONFIG);
    cr_assert_eq(strncmp(ec.text, "c.json:1: unknown key \"000", 26), 0);
}

Test(config_file, wrong_json_types_are_named)
{
    bad("{\n\n\"port\": \"3000\"}",
        "c.json:3: port: the text \"3000\" is not a whole number from 0 to 65535");
    bad("{\"port\": true}", "c.json:1: port: the value \"true\" is not a whole number from 0 to 65535");
    bad("{\"port\": null}", "c.json:1: port: the value \"null\" is not a whole number from 0 to 65535");
    bad("{\"port\": [1]}", "c.json:1: port: the list is not a whole number from 0 to 65535");
    bad("{\"port\": {\"x\":1}}", "c.json:1: port: the object is not a whole number from 0 to 65535");
    bad("{\"host\": 5}", "c.json:1: host: the number \"5\" is not a text that is not empty");
    bad("{\"host\": false}", "c.json:1: host: the value \"false\" is not a text that is not empty");
    bad("{\"cors\": {\"credentials\": \"true\"}}",
        "c.json:1: cors.credentials: the text \"true\" is not true or false");
    bad("{\"cors\": {\"credentials\": 1}}",
        "c.json:1: cors.credentials: the number \"1\" is not true or false");
    bad("{\"cors\": {\"origin\": 1}}",
        "c.json:1: cors.origin: the number \"1\" is not true, false or a list of origins");
    bad("{\"cors\": {\"origin\": [\"a\", 1]}}", "c.json:1: cors.origin: item 2 of the list is not a text");
    bad("{\"cors\": true}", "c.json:1: cors: must be an object");
    bad("{\"auth\": \"hush\"}", "c.json:1: auth: must be an object");
    bad("{\"auth\": {\"tokens\": \"hush\"}}", "c.json:1: auth.tokens: the text is not a list of texts");
    bad("{\"auth\": {\"tokens\": 5}}", "c.json:1: auth.tokens: the number is not a list of texts");
    bad("{\"auth\": {\"tokens\": [5]}}", "c.json:1: auth.tokens: item 1 of the list is not a text");
    bad("{\"auth\": {\"mode\": null}}",
        "c.json:1: auth.mode: the value \"null\" is not one of none, token-whitelist or custom");
    config_unload(&loaded);
}

Test(config_file, wrong_values_are_named)
{
    bad("{\"port\": 65536}", "c.json:1: port: \"65536\" is not a whole number from 0 to 65535");
    bad("{\"port\": 1.5}", "c.json:1: port: \"1.5\" is not a whole number from 0 to 65535");
    bad("{\"port\": 1e3}", "c.json:1: port: \"1e3\" is not a whole number from 0 to 65535");
    bad("{\"port\": -1}", "c.json:1: port: \"-1\" is not a whole number from 0 to 65535");
    bad("{\"basePath\": \"sync\"}", "c.json:1: basePath: \"sync\" is not a path like /sync, or /");
    bad("{\"host\": \"\"}", "c.json:1: host: \"\" is not a text that is not empty");
    bad("{\"dataDir\": \"a\\u0000b\"}", "c.json:1: dataDir: \"a\\u0000b\" is not a text that is not empty");
    bad("{\"logging\": {\"level\": \"loud\"}}",
        "c.json:1: logging.level: \"loud\" is not one of debug, info, warn or error");
    config_unload(&loaded);
}

Test(config_file, a_key_given_twice_is_refused)
{
    bad("{\"port\": 1,\n\"port\": 2}", "c.json:2: port: given a second time");
    bad("{\"cors\": {\"origin\": true}, \"cors\": {\"origin\": false}}",
        "c.json:1: cors.origin: given a second time");
}

Test(config_file, what_is_not_json_is_refused_and_located)
{
    static const char *const texts[] = {
        "",
        " \n",
        "nonsense",
        "{",
        "{\"port\": }",
        "{\"port\": 1",
        "{\"port\" 1}",
        "{\"port\": 1,}",
        "{\"port\": 1} x",
        "{port: 1}",
        "{\"host\": \"a\\q\"}",
        "{\"host\": \"\xff\"}",
        "{\"cors\": {\"origin\": [\"a\", ]}}",
        "{\"port\": 01}",
        "{\"cors\": {\"origin\": truf}}",
        "{\"cors\": {\"credentials\": falsy}}",
        "{\"port\": \"a\\q\"}",
        "{\"host\": nul}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct err_ctx ec = {""};
        cr_assert_eq(apply_bytes(texts[i], strlen(texts[i]), &ec), SYNC_ECONFIG, "%s", texts[i]);
        cr_assert_eq(strncmp(ec.text, "c.json: JSON: ", 14), 0, "%s: %s", texts[i], ec.text);
        cr_assert_not_null(strstr(ec.text, "(in or after line 1)"), "%s", ec.text);
    }
    struct err_ctx ec;
    static const char third_line[] = "{\"host\": \"a\",\n\n\"port\": x}";
    cr_assert_eq(apply_bytes(third_line, strlen(third_line), &ec), SYNC_ECONFIG);
    cr_assert_not_null(strstr(ec.text, "(in or after line 3)"), "%s", ec.text);
    bad("[]", "c.json: the file must hold one JSON object");
    config_unload(&loaded);
}

Test(config_file, a_list_has_a_ceiling)
{
    struct buf b = buf_make(1 << 20);
    struct err_ctx ec;
    BUF_PUT_LIT(&b, "{\"auth\":{\"tokens\":[\"x\"");
    for (int i = 1; i < 10000; i++) BUF_PUT_LIT(&b, ",\"x\"");
    size_t most = b.len;
    BUF_PUT_LIT(&b, "]}}");
    cr_assert_eq(apply_bytes(b.bytes, b.len, &ec), SYNC_OK);
    cr_assert_eq(loaded.config.auth.tokens.count, 10000);
    b.len = most;
    BUF_PUT_LIT(&b, ",\"x\"]}}");
    cr_assert_eq(apply_bytes(b.bytes, b.len, &ec), SYNC_ECONFIG);
    cr_assert_str_eq(ec.text, "c.json:1: auth.tokens: the list has over 10000 items");
    buf_deinit(&b);
    config_unload(&loaded);
}

Test(config_file, a_token_file_holds_one_token_a_line)
{
    static const struct {
        const char *text, *joined;
    } cases[] = {
        {"", "first|"},
        {"one", "first|one|"},
        {"one\n", "first|one|"},
        {"one\r\ntwo\r\n", "first|one|two|"},
        {"  one \t\n\n   \n# a comment\n #another\ntwo words\n", "first|one|two words|"},
        {"one#two\n", "first|one#two|"},
        {"\xef\xbb\xbfone\n", "first|one|"},
        {"a,b\n", "first|a,b|"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char joined[200] = "";
        struct err_ctx ec;
        static const struct slice first = {.bytes = "first", .len = 5};
        loaded.config.auth.tokens = (struct text_list){.items = &first, .count = 1};
        cr_assert_eq(config_tokens_append(&loaded, slice_str(cases[i].text), &ec), SYNC_OK);
        for (size_t k = 0; k < loaded.config.auth.tokens.count; k++)
            snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%.*s|",
                     SLICE_ARG(loaded.config.auth.tokens.items[k]));
        cr_assert_str_eq(joined, cases[i].joined);
    }
    config_unload(&loaded);
}
