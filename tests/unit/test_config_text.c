#include "core/config/config.h"

#include "config_input.h"
#include "core/config/options.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static char *finish(struct buf *b)
{
    struct err_ctx ec;
    size_t len;
    buf_put_char(b, '\0');
    cr_assert_eq(buf_check(b, &ec), SYNC_OK);
    return buf_take(b, &len);
}

Test(config_text, print_config_shows_every_value_with_its_origin_and_no_secret)
{
    struct loaded_config c;
    struct err_ctx ec;
    struct buf b = buf_make(CONFIG_TEXT_BYTES_MAX);
    cr_assert_eq(load(STRINGS("--print-config", "--port=8080", "--cors-origin=http://a.example"),
                      STRINGS("SYNC_AUTH_TOKENS=hush,whisper"),
                      FILES({"sync-coordinator.json", "{\"auth\":{\"tokensFile\":\"t\"},\"basePath\":\"/\"}"},
                            {"t", "murmur"}),
                      &c, &ec),
                 SYNC_OK, "%s", ec.text);
    cr_assert_eq(c.command, CONFIG_PRINT);
    config_write(&c, &b);
    char *text = finish(&b);
    static const char *const lines[] = {
        "\nport                        8080  (--port)\n",
        "\nbasePath                    \"/\"  (sync-coordinator.json)\n",
        "\ncors.origin                 [\"http://a.example\"]  (--cors-origin)\n",
        "\nauth.mode                   \"token-whitelist\"  (implied by auth.tokens, SYNC_AUTH_TOKENS)\n",
        "\nauth.tokens                 (3 secrets)  (SYNC_AUTH_TOKENS, t)\n",
        "\nlimits.receivingBytes       268435456  (default)\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        cr_assert_not_null(strstr(text, lines[i]), "%s in %s", lines[i], text);
    size_t count = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) count++;
    cr_assert_eq(count, config_option_count, "one line an option");
    cr_assert_null(strstr(text, "hush"));
    cr_assert_null(strstr(text, "whisper"));
    cr_assert_null(strstr(text, "murmur"));
    free(text);
    config_unload(&c);
}

Test(config_text, help_names_every_flag_variable_and_key)
{
    struct buf b = buf_make(CONFIG_TEXT_BYTES_MAX);
    config_write_help(&b);
    char *text = finish(&b);
    static const char *const pieces[] = {
        "\n  -c, --config FILE\n",         "\n  -V, --version\n",  "\n      --help\n",
        "\n      --check-config\n",        "\n  -h, --host TEXT ", "\n      --cors-origin true|false|LIST ",
        "Default: 3000, from 0 to 65535.",
    };
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        cr_assert_not_null(strstr(text, pieces[i]), "%s", pieces[i]);
    for (size_t i = 0; i < config_option_count; i++) {
        char flag[60], env[60], path[60];
        snprintf(flag, sizeof flag, " --%s ", config_options[i].flag);
        snprintf(env, sizeof env, " %s ", config_options[i].env);
        snprintf(path, sizeof path, " %s\n", config_options[i].path);
        cr_assert_not_null(strstr(text, flag), "%s", flag);
        cr_assert_not_null(strstr(text, env), "%s", env);
        cr_assert_not_null(strstr(text, path), "%s", path);
    }
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        cr_assert_leq(strlen(line), 110, "%s", line);
    free(text);
}

Test(config_text, the_markdown_table_has_a_row_an_option_and_six_cells_a_row)
{
    struct buf b = buf_make(CONFIG_TEXT_BYTES_MAX);
    config_write_markdown(&b);
    char *text = finish(&b);
    size_t rows = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), rows++) {
        size_t bars = 0;
        for (const char *c = line; *c != '\0'; c++) bars += *c == '|';
        cr_assert_eq(bars, 8, "%s", line);
        if (strncmp(line, "| `port` ", 9) == 0)
            cr_assert_str_eq(line, "| `port` | `--port` `-p` | `SYNC_PORT` | 0 to 65535 | `3000` | "
                                   "Port to listen on; 0 takes any free one. |  |");
    }
    cr_assert_eq(rows, config_option_count + 2);
    free(text);
}

static void assert_reloaded(const char *const *running, const char *const *fresh, const char *changed)
{
    struct loaded_config a, b;
    struct err_ctx ec;
    struct buf text = buf_make(1000);
    cr_assert_eq(load(running, STRINGS(), FILES(), &a, &ec), SYNC_OK);
    cr_assert_eq(load(fresh, STRINGS(), FILES(), &b, &ec), SYNC_OK);
    config_reloaded(&a.config, &b.config, &text);
    cr_assert(slice_is(buf_slice(&text), changed), "%.*s", (int)text.len, text.bytes);
    buf_deinit(&text);
    config_unload(&a);
    config_unload(&b);
}

Test(config_text, what_a_reload_takes_over_is_named_without_its_value)
{
    assert_reloaded(STRINGS(), STRINGS("--port=1", "--shards=9"), "");
    assert_reloaded(STRINGS("--auth-tokens=a"), STRINGS("--auth-tokens=b", "--log-level=warn"),
                    "auth.tokens, logging.level");
    assert_reloaded(STRINGS("--cors-origin=a,b"), STRINGS("--cors-origin=b,a"), "cors.origin");
}

/* Every option of `fresh` has the value that it must have: a fixed one that of `running`, others its own. */
Test(config_text, what_a_restart_needs_is_kept_and_the_rest_is_not)
{
    struct loaded_config running, fresh, own;
    struct err_ctx ec;
    const char *const *flags =
        STRINGS("--host=::1", "--port=7", "--base-path=/x", "--shards=9", "--durability=os",
                "--allow-resurrection=true", "--auth-tokens=t", "--cors-origin=https://a",
                "--cors-credentials=false", "--log-level=error", "--debug=*", "--limit-json-depth=77");
    cr_assert_eq(load(STRINGS(), STRINGS(), FILES(), &running, &ec), SYNC_OK);
    cr_assert_eq(load(flags, STRINGS(), FILES(), &fresh, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(load(flags, STRINGS(), FILES(), &own, &ec), SYNC_OK);
    config_keep_fixed(&fresh.config, &running.config);
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *o = &config_options[i];
        struct buf have = buf_make(1000), want = buf_make(1000);
        option_put_value_unmasked(o, &fresh.config, &have);
        option_put_value_unmasked(o, o->traits & OPTION_RELOADABLE ? &own.config : &running.config, &want);
        cr_assert(slice_eq(buf_slice(&have), buf_slice(&want)), "%s", o->path);
        buf_deinit(&have);
        buf_deinit(&want);
    }
    config_unload(&running);
    config_unload(&fresh);
    config_unload(&own);
}

static void assert_restart(const char *const *running, const char *const *fresh, const char *needed)
{
    struct loaded_config a, b;
    struct err_ctx ec;
    struct buf text = buf_make(1000);
    cr_assert_eq(load(running, STRINGS(), FILES(), &a, &ec), SYNC_OK);
    cr_assert_eq(load(fresh, STRINGS(), FILES(), &b, &ec), SYNC_OK);
    config_restart_needed(&a.config, &b.config, &text);
    cr_assert(slice_is(buf_slice(&text), needed), "%.*s", (int)text.len, text.bytes);
    buf_deinit(&text);
    config_unload(&a);
    config_unload(&b);
}

Test(config_text, a_restart_is_needed_for_what_a_running_server_cannot_change)
{
    assert_restart(STRINGS(), STRINGS(), "");
    assert_restart(STRINGS("--port=1"), STRINGS("--port=1"), "");
    assert_restart(STRINGS("--auth-tokens=a"), STRINGS("--auth-tokens=b", "--log-level=debug", "--debug=*"),
                   "");
    assert_restart(STRINGS("--port=1"), STRINGS("--port=2", "--log-level=error"), "port");
    assert_restart(STRINGS(), STRINGS("--port=1", "--durability=os", "--shards=9"),
                   "port, storage.shards, storage.durability");
}
