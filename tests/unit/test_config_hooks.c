/* The option `hooks`: a list with an item for each shared object. */
#include "config_input.h"

#include "core/config/config_hooks.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct loaded_config loaded;

static void good(const char *const *flags, const char *const *environment, struct memory_file *files)
{
    struct err_ctx ec = {""};
    config_unload(&loaded);
    cr_assert_eq(load(flags, environment, files, &loaded, &ec), SYNC_OK, "%s", ec.text);
}

static void bad(const char *const *flags, const char *const *environment, struct memory_file *files,
                const char *error)
{
    struct err_ctx ec = {""};
    struct loaded_config untouched;
    cr_assert_eq(load(flags, environment, files, &untouched, &ec), SYNC_ECONFIG, "%s", error);
    cr_assert_str_eq(ec.text, error);
}

static void bad_file(const char *hooks, const char *error)
{
    char text[300];
    (void)snprintf(text, sizeof text, "{\"hooks\": %s}", hooks);
    bad(STRINGS(), STRINGS(), FILES({"sync-coordinator.json", text}), error);
}

/* "path|config|timeout|place, ..." */
static void assert_hooks(const char *expected)
{
    char text[400] = "";
    for (size_t i = 0; i < loaded.config.hooks.chain.count; i++) {
        const struct config_hook *h = &loaded.config.hooks.chain.items[i];
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s|%s|%u|%d", i > 0 ? ", " : "",
                       h->path, h->config, h->timeout_ms, h->place);
    }
    cr_assert_str_eq(text, expected);
}

static void unload(void)
{
    config_unload(&loaded);
}

TestSuite(config_hooks, .fini = unload);

Test(config_hooks, a_flag_adds_a_hook_and_what_follows_the_first_colon_is_its_own)
{
    good(STRINGS("--hook", "a.so", "--hook=/b/c.so:key=RS256:file:/k, x;y"), STRINGS("SYNC_HOOKS=other.so"),
         FILES());
    assert_hooks("a.so||5000|0, /b/c.so|key=RS256:file:/k, x;y|5000|0");
}

Test(config_hooks, in_the_variable_they_stand_between_semicolons_or_on_lines)
{
    good(STRINGS(), STRINGS("SYNC_HOOKS= a.so:calls=one,two ;b.so;;\nc.so:\n"), FILES());
    assert_hooks("a.so|calls=one,two|5000|0, b.so||5000|0, c.so||5000|0");
}

Test(config_hooks, the_file_says_deadline_and_isolation_too)
{
    good(STRINGS(), STRINGS(),
         FILES({"sync-coordinator.json",
                "{\"hooks\": [{\"path\": \"a:b.so\", \"config\": \"x\\u0020\\\"y\\\"\", \"timeoutMs\": 200},"
                " {\"isolation\": \"process\", \"path\": \"c.so\"}, {\"path\": \"d\", \"isolation\": "
                "\"none\"}]}"}));
    assert_hooks("a:b.so|x \"y\"|200|0, c.so||5000|1, d||5000|0");
    good(STRINGS(), STRINGS(), FILES({"sync-coordinator.json", "{\"hooks\": []}"}));
    assert_hooks("");
}

Test(config_hooks, mistakes_are_named_by_their_place)
{
    bad_file("\"a.so\"", "sync-coordinator.json:1: hooks: the text is not a list of hooks");
    bad_file("[\"a.so\"]",
             "sync-coordinator.json:1: hooks: [0]: must be an object like {\"path\": \"jwt.so\"}");
    bad_file("[{\"path\": \"a\"}, {\"config\": \"x\"}]",
             "sync-coordinator.json:1: hooks: [1]: the path is missing");
    bad_file("[{\"path\": 7}]", "sync-coordinator.json:1: hooks: [0].path: must be a text");
    bad_file("[{\"path\": \"a\\u0000b\"}]",
             "sync-coordinator.json:1: hooks: [0].path: a text with a zero character");
    bad_file("[{\"path\": \"a\",\n\"timeoutMs\": 9}]",
             "sync-coordinator.json:2: hooks: [0].timeoutMs: \"9\" is not a whole number from 10 to 600000");
    bad_file("[{\"path\": \"a\", \"timeoutMs\": \"50\"}]",
             "sync-coordinator.json:1: hooks: [0].timeoutMs: "
             "\"\\\"50\\\"\" is not a whole number from 10 to 600000");
    bad_file("[{\"path\": \"a\", \"isolation\": \"thread\"}]",
             "sync-coordinator.json:1: hooks: [0].isolation: \"thread\" is not one of none, process");
    bad_file("[{\"path\": \"a\", \"conf\": \"x\"}]", "sync-coordinator.json:1: hooks: [0].conf: not a key of "
                                                     "a hook; there are path, config, timeoutMs and "
                                                     "isolation");
    bad(STRINGS("--hook", ":x"), STRINGS(), FILES(), "--hook: the path is missing");
    bad(STRINGS("--hook", " "), STRINGS(), FILES(), "--hook: the path is missing");
    bad(STRINGS(), STRINGS("SYNC_HOOKS= ; "), FILES(), "SYNC_HOOKS: the value is not a list of hooks");
}

Test(config_hooks, a_chain_has_a_bound)
{
    char text[400] = "SYNC_HOOKS=";
    for (int i = 0; i <= CONFIG_HOOKS_MAX; i++) strcat(text, "h.so;");
    bad(STRINGS(), STRINGS(text), FILES(), "SYNC_HOOKS: over 16 hooks");
}

Test(config_hooks, configuration_strings_are_never_shown)
{
    struct err_ctx ec = {""};
    struct buf text = buf_make(CONFIG_TEXT_BYTES_MAX);
    good(STRINGS("--hook", "a.so:s3cr3t", "--hook", "b.so"), STRINGS(), FILES());
    config_write(&loaded, &text);
    cr_assert_eq(buf_check(&text, &ec), SYNC_OK);
    buf_put_char(&text, '\0');
    cr_assert_null(strstr(text.bytes, "s3cr3t"));
    cr_assert_not_null(
        strstr(text.bytes,
               "[{\"path\": \"a.so\", \"config\": \"(secret)\", \"timeoutMs\": 5000, \"isolation\": "
               "\"none\"}, {\"path\": \"b.so\", \"timeoutMs\": 5000, \"isolation\": \"none\"}]  (--hook)"));
    buf_deinit(&text);
    bad(STRINGS("--hook", "a.so:one", "s3cr3t"), STRINGS(), FILES(),
        "unexpected argument after the value of --hook");
}

Test(config_hooks, custom_authentication_needs_a_hook)
{
    bad(STRINGS("--auth-mode", "custom"), STRINGS(), FILES(),
        "auth.mode (--auth-mode): custom needs a hook that authenticates, and none is loaded: everyone would "
        "be let in");
    good(STRINGS("--auth-mode", "custom", "--hook", "jwt.so"), STRINGS(), FILES());
}
