#include "core/config/config.h"

#include "config_input.h"
#include "core/config/options.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

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
    struct loaded_config untouched = {.command = CONFIG_PRINT};
    cr_assert_eq(load(flags, environment, files, &untouched, &ec), SYNC_ECONFIG, "%s", error);
    cr_assert_str_eq(ec.text, error);
    cr_assert_eq(untouched.command, CONFIG_PRINT);
}

static void assert_origin(const char *path, enum config_source source, const char *text)
{
    const struct config_origin *origin = &loaded.origins[option_index(option_by_path(slice_str(path)))];
    cr_assert_eq(origin->source, source, "%s", path);
    cr_assert_str_eq(origin->text, text);
}

static void assert_tokens(const char *joined)
{
    char text[200] = "";
    for (size_t i = 0; i < loaded.config.auth.tokens.count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s|",
                 SLICE_ARG(loaded.config.auth.tokens.items[i]));
    cr_assert_str_eq(text, joined);
}

static void unload(void)
{
    config_unload(&loaded);
}

TestSuite(config, .fini = unload);

Test(config, the_defaults_are_the_predecessors_and_ours)
{
    good(STRINGS(), STRINGS(), FILES());
    const struct config *c = &loaded.config;
    cr_assert_eq(loaded.command, CONFIG_RUN);
    cr_assert_str_eq(c->server.host, "0.0.0.0");
    cr_assert_eq(c->server.port, 3000);
    cr_assert_str_eq(c->server.base_path, "/sync");
    cr_assert_str_eq(c->storage.data_dir, "./.data");
    cr_assert_eq(c->cors.origin.allow, CORS_ALLOW_ANY);
    cr_assert_eq(c->cors.credentials, true);
    cr_assert_eq(c->auth.mode, AUTH_MODE_NONE);
    cr_assert_eq(c->auth.tokens.count, 0);
    cr_assert_str_eq(c->auth.tokens_file, "");
    cr_assert_eq(c->sync.retention_horizon_ms, 2592000000u);
    cr_assert_eq(c->sync.batch_size, 1000);
    cr_assert_eq(c->logging.level, LOG_LEVEL_INFO);
    cr_assert_str_eq(c->logging.namespaces, "");

    cr_assert_eq(c->server.threads, 0);
    cr_assert_eq(c->server.reader_threads, 2);
    cr_assert_eq(c->server.drain_timeout_ms, 10000);
    cr_assert_eq(c->server.ping_interval_ms, 30000);
    cr_assert_eq(c->server.pong_timeout_ms, 20000);
    cr_assert_eq(c->sync.allow_resurrection, false);
    cr_assert_eq(c->sync.nudge_facts, 1000);
    cr_assert_eq(c->sync.migration_pause_ms, 250);
    cr_assert_eq(c->sync.renudge_interval_ms, 86400000);
    cr_assert_eq(c->sync.page_proof_timeout_ms, 5000);
    cr_assert_eq(c->sync.sweep_interval_ms, 3600000);
    cr_assert_eq(c->storage.shards, 2);
    cr_assert_eq(c->storage.durability, DURABILITY_FSYNC);
    cr_assert_eq(c->storage.write_buffer_bytes, 4u << 20);
    cr_assert_eq(c->storage.block_cache_bytes, 8u << 20);
    cr_assert_str_eq(c->s3.bucket, "");
    cr_assert_eq(c->s3.force_path_style, false);
    cr_assert_eq(c->object.log_tick_ms, 1000);
    cr_assert_eq(c->object.log_bytes, 4u << 20);
    cr_assert_eq(c->object.snapshot_interval_ms, 300000);
    cr_assert_eq(c->object.snapshots_retained, 5);
    cr_assert_eq(c->object.evict, false);
    cr_assert_eq(c->logging.format, LOG_FORMAT_TEXT);
    cr_assert_eq(c->limits.body_bytes, 32u << 20);
    cr_assert_eq(c->limits.message_bytes, 100u << 20);
    cr_assert_eq(c->limits.delta_bytes, 32u << 20);
    cr_assert_eq(c->limits.session_queue_bytes, 4u << 20);
    cr_assert_eq(c->limits.session_queue_frames, 1024);
    cr_assert_eq(c->limits.requests_in_flight, 16);
    cr_assert_eq(c->limits.connections, 20000);
    cr_assert_eq(c->limits.handshake_timeout_ms, 10000);
    cr_assert_eq(c->limits.http_timeout_ms, 30000);
    cr_assert_eq(c->limits.long_poll_max_ms, 60000);
    cr_assert_eq(c->limits.json_depth, 128);
    cr_assert_eq(c->limits.receiving_bytes, 256u << 20);
    cr_assert_eq(loaded.warnings.count, 0);
    for (size_t i = 0; i < config_option_count; i++) cr_assert_str_eq(loaded.origins[i].text, "default");
}

Test(config, what_needs_an_object_store_is_refused_without_one)
{
    bad(STRINGS("--durability=object"), STRINGS(), FILES(),
        "storage.durability (--durability): object needs an object store: s3.bucket or object.dir");
    bad(STRINGS(), STRINGS("DISK_EVICTION_ENABLED=true"), FILES(),
        "diskEviction.enabled (DISK_EVICTION_ENABLED): needs an object store: s3.bucket or object.dir");
    bad(STRINGS("--object-dir", "/o", "--object-log", "false"), STRINGS("DISK_EVICTION_ENABLED=true"),
        FILES(),
        "diskEviction.enabled (DISK_EVICTION_ENABLED): needs the shared log, and object.log (--object-log) "
        "is "
        "false");
    bad(STRINGS("--object-dir=x"), STRINGS("S3_BUCKET=y"), FILES(),
        "object.dir (--object-dir) and s3.bucket (S3_BUCKET): there is one object store");
    bad(STRINGS("--object-dir=x", "--limit-message-bytes=200000000"), STRINGS(), FILES(),
        "limits.messageBytes (--limit-message-bytes): 200000000 is more than fits into the object store: at "
        "most 125829120");
    bad(STRINGS("--durability=object", "--object-log=false"), STRINGS("S3_BUCKET=y"), FILES(),
        "storage.durability (--durability): object needs the shared log, and object.log (--object-log) is "
        "false");
    good(STRINGS("--durability=object"), STRINGS("S3_BUCKET=y"), FILES());
    cr_assert_eq(loaded.config.storage.durability, DURABILITY_OBJECT);
    cr_assert_str_eq(loaded.config.s3.region, "us-east-1");
}

Test(config, flags_win_over_environment_over_file_over_defaults)
{
    struct memory_file *files =
        FILES({"sync-coordinator.json", "{\"host\":\"file\",\"port\":1,\"dataDir\":\"file\"}"});
    good(STRINGS("--host", "flag"), STRINGS("SYNC_HOST=env", "SYNC_PORT=2"), files);
    cr_assert_str_eq(loaded.config.server.host, "flag");
    cr_assert_eq(loaded.config.server.port, 2);
    cr_assert_str_eq(loaded.config.storage.data_dir, "file");
    cr_assert_str_eq(loaded.config.server.base_path, "/sync");
    assert_origin("host", CONFIG_FROM_FLAG, "--host");
    assert_origin("port", CONFIG_FROM_ENVIRONMENT, "SYNC_PORT");
    assert_origin("dataDir", CONFIG_FROM_FILE, "sync-coordinator.json");
    assert_origin("basePath", CONFIG_FROM_DEFAULT, "default");
}

enum { SOURCE_COUNT = 3 }; /* file, environment, flag: enum config_source without the defaults */

/* A value for each source, as text, each another than the default where there are enough to choose from. */
struct sample {
    char texts[SOURCE_COUNT][40];
    const char *json; /* how the file writes the first: printf format of one text */
};

static struct sample sample_of(const struct option *o)
{
    struct sample s = {.json = "%s"};
    for (int i = 0; i < SOURCE_COUNT; i++) {
        char *text = s.texts[i];
        size_t size = sizeof s.texts[i];
        switch (o->kind) {
        case OPTION_NUMBER: snprintf(text, size, "%llu", (unsigned long long)o->max - (unsigned)i); break;
        case OPTION_DECIMAL:
            snprintf(text, size, "%llu.%d", (unsigned long long)o->max / 100 - 1, 25 * (i + 1));
            break;
        case OPTION_BOOLEAN:
        case OPTION_ORIGIN: snprintf(text, size, "%s", i == 1 ? "false" : "true"); break;
        case OPTION_CHOICE: snprintf(text, size, "%s", o->choices[(i + 1) % 2]); break;
        case OPTION_BASE_PATH: snprintf(text, size, "/%d", i); break;
        case OPTION_TEXT: snprintf(text, size, "t%d", i); break;
        case OPTION_LIST: snprintf(text, size, "t%d", i); break;
        case OPTION_HOOKS: snprintf(text, size, "t%d.so", i); break;
        }
    }
    if (o->kind == OPTION_CHOICE || o->kind == OPTION_BASE_PATH || o->kind == OPTION_TEXT) s.json = "\"%s\"";
    if (o->kind == OPTION_LIST) s.json = "[\"%s\"]";
    if (o->kind == OPTION_HOOKS) s.json = "[{\"path\": \"%s\"}]";
    return s;
}

/* {"section": {"key": VALUE}} of the option's path, with as many sections as it has. */
static void write_file(const struct option *o, const struct sample *s, char *ret, size_t size)
{
    char value[60], path[80];
    size_t depth = 1, n = 0;
    snprintf(value, sizeof value, s->json, s->texts[0]);
    snprintf(path, sizeof path, "%s", o->path);
    for (char *part = strtok(path, "."); part != NULL; part = strtok(NULL, "."), depth++)
        n += (size_t)snprintf(ret + n, size - n, "{\"%s\": ", part);
    n += (size_t)snprintf(ret + n, size - n, "%s", value);
    while (--depth > 0) n += (size_t)snprintf(ret + n, size - n, "}");
}

/* Does the option of c hold what this text means? */
static bool holds(const struct option *o, const struct config *c, const char *text)
{
    struct config expected = *c;
    struct arena arena = {0};
    struct err_ctx ec;
    struct buf a = buf_make(1000), b = buf_make(1000);
    if (text != NULL) cr_assert_eq(option_set_text(o, &expected, &arena, slice_str(text), &ec), SYNC_OK);
    option_put_value_unmasked(o, c, &a);
    option_put_value_unmasked(o, &expected, &b);
    bool equal = slice_eq(buf_slice(&a), buf_slice(&b));
    buf_deinit(&a);
    buf_deinit(&b);
    arena_deinit(&arena);
    return equal;
}

/* Every option through every set of sources: the strongest one that has it gives the value. */
Test(config, every_option_is_read_from_every_source)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *o = &config_options[i];
        struct sample sample = sample_of(o);
        char file[200], variable[200], flag[200];
        write_file(o, &sample, file, sizeof file);
        snprintf(variable, sizeof variable, "%s=%s", o->env, sample.texts[1]);
        snprintf(flag, sizeof flag, "--%s=%s", o->flag, sample.texts[2]);

        for (unsigned sources = 0; sources < 1u << SOURCE_COUNT; sources++) {
            /* What some values need: a token, and room for the largest message. */
            struct memory_file *files = FILES({"sync-coordinator.json", sources & 1 ? file : "{}"},
                                              {"t0", "x"}, {"t1", "x"}, {"t2", "x"}, {"some-token", "x"});
            const char *flags[4] = {NULL}, *environment[5] = {NULL};
            size_t flag_count = 0, variable_count = 0;
            if (strcmp(o->path, "limits.receivingBytes") != 0)
                environment[variable_count++] = "SYNC_LIMIT_RECEIVING_BYTES=1099511627776";
            if (strcmp(o->path, "auth.mode") == 0 && sources != 0)
                environment[variable_count++] = "SYNC_AUTH_TOKENS_FILE=some-token";
            if (strcmp(o->path, "tls.cert") == 0 && sources != 0)
                environment[variable_count++] = "SYNC_TLS_KEY=key";
            if (strcmp(o->path, "tls.key") == 0 && sources != 0)
                environment[variable_count++] = "SYNC_TLS_CERT=cert";
            if (strcmp(o->path, "storage.durability") == 0 || strcmp(o->path, "diskEviction.enabled") == 0 ||
                strcmp(o->path, "coordinator.enabled") == 0)
                environment[variable_count++] = "SYNC_OBJECT_DIR=objects";
            if (sources & 2) environment[variable_count++] = variable;
            if (sources & 4) flags[flag_count++] = flag;
            if (strcmp(o->path, "auth.mode") == 0 && sources == 1)
                continue; /* the token would imply a mode */

            struct err_ctx ec = {""};
            config_unload(&loaded);
            cr_assert_eq(load(flags, environment, files, &loaded, &ec), SYNC_OK, "%s: %s", o->path, ec.text);
            enum config_source strongest = sources & 4   ? CONFIG_FROM_FLAG
                                           : sources & 2 ? CONFIG_FROM_ENVIRONMENT
                                           : sources & 1 ? CONFIG_FROM_FILE
                                                         : CONFIG_FROM_DEFAULT;
            const char *text = strongest == CONFIG_FROM_DEFAULT ? o->initial : sample.texts[strongest - 1];
            cr_assert_eq(loaded.origins[i].source, strongest, "%s, sources %u", o->path, sources);
            cr_assert(holds(o, &loaded.config, text), "%s, sources %u", o->path, sources);
        }
    }
}

Test(config, a_coordinator_needs_an_object_store_and_times_that_fit)
{
    bad(STRINGS("--coordinator-enabled=true"), STRINGS(), FILES(),
        "coordinator.enabled (--coordinator-enabled): instances meet in an object store: set s3.bucket or "
        "object.dir");
    good(STRINGS("--coordinator-enabled=true", "--object-dir=objects"), STRINGS(), FILES());
    bad(STRINGS("--coordinator-enabled=true", "--object-dir=objects", "--coordinator-lease-timeout-ms=5000"),
        STRINGS(), FILES(),
        "coordinator: leaseTimeoutMs is 5000, less than two heartbeats of 5000: one late answer of the "
        "object store "
        "would end the lease of a leader that is well");
}

Test(config, the_default_file_need_not_be_there_but_a_named_one_must)
{
    struct err_ctx ec;
    good(STRINGS(), STRINGS(), FILES());
    cr_assert_eq(load(STRINGS("-c", "nope.json"), STRINGS(), FILES(), &loaded, &ec), SYNC_ENOTFOUND);
    cr_assert_str_eq(ec.text, "--config: nope.json: No such file or directory");
    cr_assert_eq(load(STRINGS("-c", "c.json"), STRINGS(), FILES({"c.json", NULL}), &loaded, &ec), SYNC_EIO);
    cr_assert_str_eq(ec.text, "--config: c.json: Permission denied");
    cr_assert_eq(load(STRINGS(), STRINGS(), FILES({"sync-coordinator.json", NULL}), &loaded, &ec), SYNC_EIO);
    cr_assert_str_eq(ec.text, "sync-coordinator.json: Permission denied");
    good(STRINGS("-c", "c.json"), STRINGS(),
         FILES({"sync-coordinator.json", NULL}, {"c.json", "{\"port\":7}"}));
    cr_assert_eq(loaded.config.server.port, 7, "a named file stands instead of the default one");
}

Test(config, errors_name_the_flag_the_variable_or_the_file)
{
    bad(STRINGS("-p", "x"), STRINGS(), FILES(), "--port: \"x\" is not a whole number from 0 to 65535");
    bad(STRINGS(), STRINGS("SYNC_PORT=x"), FILES(), "SYNC_PORT: \"x\" is not a whole number from 0 to 65535");
    bad(STRINGS(), STRINGS(), FILES({"sync-coordinator.json", "{\"port\":70000}"}),
        "sync-coordinator.json:1: port: \"70000\" is not a whole number from 0 to 65535");
    bad(STRINGS("-c", "x.json"), STRINGS(), FILES({"x.json", "{\"port\":70000}"}),
        "x.json:1: port: \"70000\" is not a whole number from 0 to 65535");
    bad(STRINGS("--host="), STRINGS(), FILES(), "--host: \"\" is not a text that is not empty");
    bad(STRINGS("--auth-tokens="), STRINGS(), FILES(), "--auth-tokens: the value is not a list of texts");
    bad(STRINGS("--prot=1"), STRINGS(), FILES(), "unknown flag \"--prot\"; did you mean --port?");
}

Test(config, a_mistake_in_a_weaker_source_is_told_too)
{
    bad(STRINGS("--port=1"), STRINGS("SYNC_PORT=x"), FILES(),
        "SYNC_PORT: \"x\" is not a whole number from 0 to 65535");
    bad(STRINGS("--port=1"), STRINGS("SYNC_PORT=2"), FILES({"sync-coordinator.json", "{\"port\":-3}"}),
        "sync-coordinator.json:1: port: \"-3\" is not a whole number from 0 to 65535");
}

Test(config, an_empty_variable_counts_as_not_there_and_others_are_left_alone)
{
    good(STRINGS(), STRINGS("SYNC_PORT=", "SYNC_HOST", "SYNC_HOSTS=x", "PATH=/bin", "SYNC_PORT_=1"), FILES());
    assert_origin("port", CONFIG_FROM_DEFAULT, "default");
    assert_origin("host", CONFIG_FROM_DEFAULT, "default");
    good(STRINGS(), STRINGS("DEBUG=sync-coordinator:*"), FILES());
    cr_assert_str_eq(loaded.config.logging.namespaces, "sync-coordinator:*");
    good(STRINGS("--debug=a"), STRINGS("DEBUG=b"), FILES());
    cr_assert_str_eq(loaded.config.logging.namespaces, "a");
}

Test(config, tokens_without_a_mode_in_the_same_source_mean_token_whitelist)
{
    good(STRINGS("--auth-tokens", "a, b"), STRINGS(), FILES());
    cr_assert_eq(loaded.config.auth.mode, AUTH_MODE_TOKEN_WHITELIST);
    assert_tokens("a|b|");
    assert_origin("auth.mode", CONFIG_FROM_FLAG, "implied by auth.tokens, --auth-tokens");

    good(STRINGS(), STRINGS("SYNC_AUTH_TOKENS=a"),
         FILES({"sync-coordinator.json", "{\"auth\":{\"mode\":\"none\"}}"}));
    cr_assert_eq(loaded.config.auth.mode, AUTH_MODE_TOKEN_WHITELIST, "over the mode of a weaker source");
    assert_origin("auth.mode", CONFIG_FROM_ENVIRONMENT, "implied by auth.tokens, SYNC_AUTH_TOKENS");

    good(STRINGS(), STRINGS(), FILES({"sync-coordinator.json", "{\"auth\":{\"tokens\":[\"a\"]}}"}));
    cr_assert_eq(loaded.config.auth.mode, AUTH_MODE_TOKEN_WHITELIST);
    assert_origin("auth.mode", CONFIG_FROM_FILE, "implied by auth.tokens, sync-coordinator.json");

    good(STRINGS("--auth-mode=none"), STRINGS("SYNC_AUTH_TOKENS=a"), FILES());
    cr_assert_eq(loaded.config.auth.mode, AUTH_MODE_NONE, "a stronger source's mode stands");
    cr_assert_eq(loaded.warnings.count, 1);
    cr_assert(slice_is(loaded.warnings.items[0],
                       "auth.mode (--auth-mode) is none: the tokens (SYNC_AUTH_TOKENS) are not asked for"));

    good(STRINGS("--auth-tokens=b"), STRINGS("SYNC_AUTH_TOKENS=a"), FILES());
    assert_tokens("b|");
}

Test(config, a_token_file_adds_its_tokens)
{
    struct memory_file *files = FILES({"tokens", "one\n# no\ntwo\n"});
    good(STRINGS("--auth-tokens-file=tokens"), STRINGS(), files);
    cr_assert_eq(loaded.config.auth.mode, AUTH_MODE_TOKEN_WHITELIST);
    assert_tokens("one|two|");
    assert_origin("auth.mode", CONFIG_FROM_FLAG, "implied by auth.tokensFile, --auth-tokens-file");
    assert_origin("auth.tokens", CONFIG_FROM_DEFAULT, "tokens");
    good(STRINGS("--auth-tokens=zero"), STRINGS("SYNC_AUTH_TOKENS_FILE=tokens"), files);
    assert_tokens("zero|one|two|");
    assert_origin("auth.tokens", CONFIG_FROM_FLAG, "--auth-tokens, tokens");
    good(STRINGS("--auth-tokens-file="), STRINGS("SYNC_AUTH_TOKENS_FILE=tokens", "SYNC_AUTH_MODE=none"),
         files);
    cr_assert_eq(loaded.config.auth.mode, AUTH_MODE_NONE, "an empty name takes the file back");
    assert_tokens("");

    struct err_ctx ec;
    cr_assert_eq(load(STRINGS(), STRINGS("SYNC_AUTH_TOKENS_FILE=nope"), files, &loaded, &ec), SYNC_ENOTFOUND);
    cr_assert_str_eq(ec.text, "auth.tokensFile (SYNC_AUTH_TOKENS_FILE): nope: No such file or directory");
}

Test(config, a_mode_that_would_let_nobody_or_everybody_in_is_refused)
{
    bad(STRINGS("--auth-mode=token-whitelist"), STRINGS(), FILES(),
        "auth.mode (--auth-mode): token-whitelist without any token would let nobody in; "
        "give auth.tokens or auth.tokensFile");
    bad(STRINGS("--auth-tokens-file=empty"), STRINGS(), FILES({"empty", "# none\n"}),
        "auth.mode (implied by auth.tokensFile, --auth-tokens-file): token-whitelist without any token would "
        "let nobody in; give auth.tokens or auth.tokensFile");
    bad(STRINGS(), STRINGS(), FILES({"sync-coordinator.json", "{\"auth\":{\"tokens\":[]}}"}),
        "auth.mode (implied by auth.tokens, sync-coordinator.json): token-whitelist without any token would "
        "let nobody in; give auth.tokens or auth.tokensFile");
    bad(STRINGS(), STRINGS("SYNC_AUTH_MODE=custom"), FILES(),
        "auth.mode (SYNC_AUTH_MODE): custom needs a hook that authenticates, and none is loaded: "
        "everyone would be let in");
    bad(STRINGS("--auth-tokens=a"), STRINGS(),
        FILES({"sync-coordinator.json", "{\"auth\":{\"mode\":\"custm\"}}"}),
        "sync-coordinator.json:1: auth.mode: \"custm\" is not one of none, token-whitelist or custom");
}

Test(config, a_message_must_fit_into_what_may_be_received_at_once)
{
    bad(STRINGS("--limit-receiving-bytes=50000000"), STRINGS(), FILES(),
        "limits.messageBytes (default): 104857600 is more than limits.receivingBytes "
        "(--limit-receiving-bytes): 50000000");
    bad(STRINGS("--limit-message-bytes=2000"),
        STRINGS("SYNC_LIMIT_RECEIVING_BYTES=3000", "SYNC_LIMIT_BODY_BYTES=3001"), FILES(),
        "limits.bodyBytes (SYNC_LIMIT_BODY_BYTES): 3001 is more than limits.receivingBytes "
        "(SYNC_LIMIT_RECEIVING_BYTES): 3000");
    good(STRINGS("--limit-message-bytes=3000", "--limit-body-bytes=3000", "--limit-receiving-bytes=3000"),
         STRINGS(), FILES());
}

static void assert_warning(size_t i, const char *text)
{
    cr_assert_lt(i, loaded.warnings.count);
    cr_assert(slice_is(loaded.warnings.items[i], text), "%.*s", SLICE_ARG(loaded.warnings.items[i]));
}

Test(config, what_is_hardly_meant_is_warned_of)
{
    good(STRINGS("--cors-origin=https://a.example,b.example,https://c.example/,null,http://d:1"),
         STRINGS("SYNC_AUTH_TOKEN=hush", "SYNC_COORDINATOR_PORT=tcp://10.0.0.1:80", "SYNC_prot=1", "SYNC_=1",
                 "SYNC_BATCHSIZE=", "SYNCPORT=3", "SYNC_PORT=1"),
         FILES());
    cr_assert_eq(loaded.warnings.count, 4);
    assert_warning(0, "cors.origin (--cors-origin): \"b.example\" is no browser's origin; "
                      "write it like https://example.com");
    assert_warning(1, "cors.origin (--cors-origin): \"https://c.example/\" is no browser's origin; "
                      "write it like https://example.com");
    assert_warning(2, "the variable \"SYNC_AUTH_TOKEN\" is not known; did you mean SYNC_AUTH_TOKENS?");
    assert_warning(3, "the variable \"SYNC_prot\" is not known; did you mean SYNC_PORT?");
}

Test(config, warnings_have_a_ceiling)
{
    char origins[2000] = "--cors-origin=x";
    for (int i = 0; i < 100; i++) strcat(origins, ",x");
    good(STRINGS(origins), STRINGS(), FILES());
    cr_assert_eq(loaded.warnings.count, 32);
}

Test(config, help_and_version_look_at_nothing_else)
{
    good(STRINGS("--help"), STRINGS("SYNC_PORT=x"), FILES({"sync-coordinator.json", "nonsense"}));
    cr_assert_eq(loaded.command, CONFIG_HELP);
    good(STRINGS("-V"), STRINGS("SYNC_PORT=x"), FILES({"sync-coordinator.json", "nonsense"}));
    cr_assert_eq(loaded.command, CONFIG_VERSION);
    good(STRINGS("--check-config", "--port=1"), STRINGS(), FILES());
    cr_assert_eq(loaded.command, CONFIG_CHECK);
    bad(STRINGS("--check-config"), STRINGS("SYNC_PORT=x"), FILES(),
        "SYNC_PORT: \"x\" is not a whole number from 0 to 65535");
}

Test(config, tls_needs_both_files)
{
    struct loaded_config c;
    struct err_ctx ec;
    cr_assert_eq(load(STRINGS("--tls-cert=a"), STRINGS(), FILES(), &c, &ec), SYNC_ECONFIG);
    cr_assert_str_eq(ec.text, "tls.cert (--tls-cert) is given without tls.key: TLS needs both");
    cr_assert_eq(load(STRINGS(), STRINGS("SYNC_TLS_KEY=a"), FILES(), &c, &ec), SYNC_ECONFIG);
    cr_assert_str_eq(ec.text, "tls.key (SYNC_TLS_KEY) is given without tls.cert: TLS needs both");
    cr_assert_eq(load(STRINGS("--tls-cert=a", "--tls-key=b"), STRINGS(), FILES(), &c, &ec), SYNC_OK);
    cr_assert_str_eq(c.config.tls.cert, "a");
    config_unload(&c);
}
