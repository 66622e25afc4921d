#include "core/options.h"

#include <assert.h>

static const char *const auth_modes[] = {"none", "token-whitelist", "custom", NULL};
static const char *const durabilities[] = {"fsync", "os", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static_assert(AUTH_MODE_CUSTOM == 2, "auth_modes");
static_assert(DURABILITY_OS == 1, "durabilities");
static_assert(LOG_LEVEL_ERROR == 3, "log_levels");
static_assert(LOG_FORMAT_JSON == 1, "log_formats");

/* Where a field lies; does not compile when the field has another type than the option writes. */
#define OF(type, field)                                                                                      \
    (offsetof(struct config, field) + 0 * _Generic(&((struct config *)0)->field, type * : 1))
#define OF_NUMBER(field)                                                                                     \
    (offsetof(struct config, field) +                                                                        \
     0 * _Generic(&((struct config *)0)->field, uint16_t * : 1, uint32_t * : 1, uint64_t * : 1))

#define TEXT(key, field)    .path = key, .kind = OPTION_TEXT, .offset = OF(const char *, field)
#define BASE(key, field)    .path = key, .kind = OPTION_BASE_PATH, .offset = OF(const char *, field)
#define BOOLEAN(key, field) .path = key, .kind = OPTION_BOOLEAN, .offset = OF(bool, field)
#define LIST(key, field)    .path = key, .kind = OPTION_LIST, .offset = OF(struct text_list, field)
#define ORIGIN(key, field)  .path = key, .kind = OPTION_ORIGIN, .offset = OF(struct cors_origin, field)
#define HOOKS(key, field)   .path = key, .kind = OPTION_HOOKS, .offset = OF(struct config_hook_list, field)
#define CHOICE(key, field, names)                                                                            \
    .path = key, .kind = OPTION_CHOICE, .offset = OF(unsigned, field), .choices = names
#define NUMBER(key, field, lowest, highest)                                                                  \
    .path = key, .kind = OPTION_NUMBER, .offset = OF_NUMBER(field),                                          \
    .size = sizeof((struct config *)0)->field, .min = lowest, .max = highest

#define DAY_MS 86400000
#define MIB    1048576

const struct option config_options[] = {
    {TEXT("host", server.host), .flag = "host", .letter = 'h', .env = "SYNC_HOST", .initial = "0.0.0.0",
     .help = "Address to listen on."},
    {NUMBER("port", server.port, 0, 65535), .flag = "port", .letter = 'p', .env = "SYNC_PORT",
     .initial = "3000", .help = "Port to listen on; 0 takes any free one."},
    {BASE("basePath", server.base_path), .flag = "base-path", .letter = 'b', .env = "SYNC_BASE_PATH",
     .initial = "/sync", .help = "Path that all routes begin with; / for none."},
    {TEXT("dataDir", storage.data_dir), .flag = "data-dir", .letter = 'd', .env = "SYNC_DATA_DIR",
     .initial = "./.data", .help = "Directory of the stored data; made when missing."},
    {NUMBER("threads", server.threads, 0, 64), .flag = "threads", .env = "SYNC_THREADS", .initial = "0",
     .help = "Event loops; 0 means one for each processor, at most 8."},
    {NUMBER("readerThreads", server.reader_threads, 1, 64), .flag = "reader-threads",
     .env = "SYNC_READER_THREADS", .initial = "2",
     .help = "Threads that read deltas and snapshots from the store."},

    {NUMBER("server.drainTimeoutMs", server.drain_timeout_ms, 0, 3600000), .flag = "drain-timeout-ms",
     .env = "SYNC_DRAIN_TIMEOUT_MS", .initial = "10000", .unit = "ms",
     .help = "Longest wait for requests under way when the server stops."},
    {NUMBER("server.pingIntervalMs", server.ping_interval_ms, 1, DAY_MS), .flag = "ping-interval-ms",
     .env = "SYNC_PING_INTERVAL_MS", .initial = "30000", .unit = "ms",
     .help = "Silence after which a WebSocket connection is pinged."},
    {NUMBER("server.pongTimeoutMs", server.pong_timeout_ms, 1, DAY_MS), .flag = "pong-timeout-ms",
     .env = "SYNC_PONG_TIMEOUT_MS", .initial = "20000", .unit = "ms",
     .help = "Wait for the answer to a ping, after which the connection is closed."},

    {ORIGIN("cors.origin", cors.origin), .flag = "cors-origin", .env = "SYNC_CORS_ORIGIN", .initial = "true",
     .traits = OPTION_RELOADABLE,
     .help = "Origins that browsers may call from: true for all, false for none, or a list."},
    {BOOLEAN("cors.credentials", cors.credentials), .flag = "cors-credentials",
     .env = "SYNC_CORS_CREDENTIALS", .initial = "true", .traits = OPTION_RELOADABLE,
     .help = "May browsers send credentials?"},

    {CHOICE("auth.mode", auth.mode, auth_modes), .flag = "auth-mode", .env = "SYNC_AUTH_MODE",
     .initial = "none", .traits = OPTION_RELOADABLE,
     .help = "Who may connect: everyone, holders of a token, or whom a hook lets in."},
    {LIST("auth.tokens", auth.tokens), .flag = "auth-tokens", .env = "SYNC_AUTH_TOKENS",
     .traits = OPTION_SECRET | OPTION_RELOADABLE, .help = "Tokens that are let in."},
    {TEXT("auth.tokensFile", auth.tokens_file), .flag = "auth-tokens-file", .env = "SYNC_AUTH_TOKENS_FILE",
     .initial = "", .traits = OPTION_EMPTY_OK | OPTION_RELOADABLE,
     .help = "File with further tokens, one a line; blank lines and lines that begin with # do not count."},

    {HOOKS("hooks", hooks.chain), .flag = "hook", .env = "SYNC_HOOKS",
     .traits = OPTION_SECRET | OPTION_RELOADABLE | OPTION_REPEATED,
     .help = "Shared objects that decide who comes in, what they may do and which changes are taken."},
    {LIST("hookHeaders", hooks.headers), .flag = "hook-headers", .env = "SYNC_HOOK_HEADERS",
     .initial =
         "x-api-key,x-forwarded-user,x-forwarded-email,x-forwarded-proto,x-forwarded-host,x-request-id",
     .help = "Names of request headers that hooks get to see, beside those of the HTTP standards."},

    {NUMBER("sync.retentionHorizonMs", sync.retention_horizon_ms, 1, 36525ull * DAY_MS),
     .flag = "retention-horizon-ms", .env = "SYNC_RETENTION_HORIZON_MS", .initial = "2592000000",
     .unit = "ms", .help = "Age at which the record of a deletion is removed."},
    {NUMBER("sync.batchSize", sync.batch_size, 1, 1000000), .flag = "batch-size", .env = "SYNC_BATCH_SIZE",
     .initial = "1000",
     .help = "Changes that a client sends in one message at most; one that sends as many is asked for more."},
    {BOOLEAN("sync.allowResurrection", sync.allow_resurrection), .flag = "allow-resurrection",
     .env = "SYNC_ALLOW_RESURRECTION", .initial = "false",
     .help = "May a later write bring a deleted row back?"},
    {NUMBER("sync.nudgeFacts", sync.nudge_facts, 1, 1000000), .flag = "nudge-facts",
     .env = "SYNC_NUDGE_FACTS", .initial = "1000",
     .help =
         "The same, where it is less than sync.batchSize: at this many changes a client is asked for more."},
    {NUMBER("sync.migrationPauseMs", sync.migration_pause_ms, 0, 60000), .flag = "migration-pause-ms",
     .env = "SYNC_MIGRATION_PAUSE_MS", .initial = "250", .unit = "ms",
     .help = "Wait after pushing a schema change before the next push to the same client."},
    {NUMBER("sync.renudgeIntervalMs", sync.renudge_interval_ms, 1, 36525ull * DAY_MS),
     .flag = "renudge-interval-ms", .env = "SYNC_RENUDGE_INTERVAL_MS", .initial = "86400000", .unit = "ms",
     .help = "Time after which a client that stays connected is asked to catch up."},
    {NUMBER("sync.pageProofTimeoutMs", sync.page_proof_timeout_ms, 1, 600000),
     .flag = "page-proof-timeout-ms", .env = "SYNC_PAGE_PROOF_TIMEOUT_MS", .initial = "5000", .unit = "ms",
     .help = "Wait for a client to prove that it has stored a page of changes before the next one goes."},
    {NUMBER("sync.sweepIntervalMs", sync.sweep_interval_ms, 1, 36525ull * DAY_MS),
     .flag = "sweep-interval-ms", .env = "SYNC_SWEEP_INTERVAL_MS", .initial = "3600000", .unit = "ms",
     .help = "Time between two searches for deletions past the retention horizon."},

    {NUMBER("storage.shards", storage.shards, 1, 64), .flag = "shards", .env = "SYNC_SHARDS", .initial = "2",
     .help = "Parts of the store, each with a writing thread; fixed when the data directory is made."},
    {CHOICE("storage.durability", storage.durability, durabilities), .flag = "durability",
     .env = "SYNC_DURABILITY", .initial = "fsync",
     .help = "When a change is acknowledged: fsync: it is on the disk; os: the operating system has it."},
    {NUMBER("storage.writeBufferBytes", storage.write_buffer_bytes, 65536, 1024 * MIB),
     .flag = "write-buffer-bytes", .env = "SYNC_WRITE_BUFFER_BYTES", .initial = "4194304", .unit = "bytes",
     .help = "Memory in which each shard gathers writes."},
    {NUMBER("storage.blockCacheBytes", storage.block_cache_bytes, 0, 65536ull * MIB),
     .flag = "block-cache-bytes", .env = "SYNC_BLOCK_CACHE_BYTES", .initial = "8388608", .unit = "bytes",
     .help = "Memory for stored blocks that were read, all shards together."},

    {CHOICE("logging.level", logging.level, log_levels), .flag = "log-level", .env = "SYNC_LOG_LEVEL",
     .initial = "info", .traits = OPTION_RELOADABLE, .help = "Least level of the lines that are logged."},
    {CHOICE("logging.format", logging.format, log_formats), .flag = "log-format", .env = "SYNC_LOG_FORMAT",
     .initial = "text", .traits = OPTION_RELOADABLE, .help = "Form of the logged lines."},
    {TEXT("logging.namespaces", logging.namespaces), .flag = "debug", .env = "DEBUG", .initial = "",
     .traits = OPTION_EMPTY_OK | OPTION_RELOADABLE,
     .help = "Parts whose debug lines are logged: patterns like sync-coordinator:*,-sync-coordinator:ws."},

    {NUMBER("limits.bodyBytes", limits.body_bytes, 1024, 1024 * MIB), .flag = "limit-body-bytes",
     .env = "SYNC_LIMIT_BODY_BYTES", .initial = "33554432", .unit = "bytes",
     .help = "Largest HTTP body that is taken, unpacked."},
    {NUMBER("limits.messageBytes", limits.message_bytes, 1024, 1024 * MIB), .flag = "limit-message-bytes",
     .env = "SYNC_LIMIT_MESSAGE_BYTES", .initial = "104857600", .unit = "bytes",
     .help = "Largest WebSocket message that is taken."},
    {NUMBER("limits.deltaBytes", limits.delta_bytes, 1024, 1024 * MIB), .flag = "limit-delta-bytes",
     .env = "SYNC_LIMIT_DELTA_BYTES", .initial = "33554432", .unit = "bytes",
     .help = "Size at which an answer with changes is continued on a second page."},
    {NUMBER("limits.sessionQueueBytes", limits.session_queue_bytes, 1024, 1024 * MIB),
     .flag = "limit-session-queue-bytes", .env = "SYNC_LIMIT_SESSION_QUEUE_BYTES", .initial = "4194304",
     .unit = "bytes",
     .help = "Pushes that may wait for one client; past it they are dropped and it is asked to catch up."},
    {NUMBER("limits.sessionQueueFrames", limits.session_queue_frames, 1, 65536),
     .flag = "limit-session-queue-frames", .env = "SYNC_LIMIT_SESSION_QUEUE_FRAMES", .initial = "1024",
     .help = "The same in messages."},
    {NUMBER("limits.requestsInFlight", limits.requests_in_flight, 1, 1024),
     .flag = "limit-requests-in-flight", .env = "SYNC_LIMIT_REQUESTS_IN_FLIGHT", .initial = "16",
     .help = "Unanswered requests of one connection before no more is read from it."},
    {NUMBER("limits.connections", limits.connections, 1, 1000000), .flag = "limit-connections",
     .env = "SYNC_LIMIT_CONNECTIONS", .initial = "20000", .help = "Connections at one time."},
    {NUMBER("limits.handshakeTimeoutMs", limits.handshake_timeout_ms, 1, 3600000),
     .flag = "limit-handshake-timeout-ms", .env = "SYNC_LIMIT_HANDSHAKE_TIMEOUT_MS", .initial = "10000",
     .unit = "ms", .help = "Time that a WebSocket connection has for its handshake message."},
    {NUMBER("limits.httpTimeoutMs", limits.http_timeout_ms, 1, 3600000), .flag = "limit-http-timeout-ms",
     .env = "SYNC_LIMIT_HTTP_TIMEOUT_MS", .initial = "30000", .unit = "ms",
     .help = "Longest time without progress while a request is read or answered."},
    {NUMBER("limits.longPollMaxMs", limits.long_poll_max_ms, 0, 3600000), .flag = "limit-long-poll-max-ms",
     .env = "SYNC_LIMIT_LONG_POLL_MAX_MS", .initial = "60000", .unit = "ms",
     .help = "Longest wait that a long poll may ask for."},
    {NUMBER("limits.jsonDepth", limits.json_depth, 16, 1024), .flag = "limit-json-depth",
     .env = "SYNC_LIMIT_JSON_DEPTH", .initial = "128", .help = "Deepest nesting of a message or body."},
    {NUMBER("limits.hookHeaderBytes", hooks.header_bytes, 256, 65536), .flag = "limit-hook-header-bytes",
     .env = "SYNC_LIMIT_HOOK_HEADER_BYTES", .initial = "8192", .unit = "bytes",
     .help = "Values of request headers that are kept for hooks, for each connection."},
    {NUMBER("limits.receivingBytes", limits.receiving_bytes, 1024, 1048576ull * MIB),
     .flag = "limit-receiving-bytes", .env = "SYNC_LIMIT_RECEIVING_BYTES", .initial = "268435456",
     .unit = "bytes", .help = "Messages and bodies that are being received, all connections together."},
};

const size_t config_option_count = sizeof config_options / sizeof config_options[0];
static_assert(sizeof config_options / sizeof config_options[0] <= CONFIG_OPTIONS_MAX, "origins");

const struct option *option_by_path(struct slice path)
{
    for (size_t i = 0; i < config_option_count; i++)
        if (slice_is(path, config_options[i].path)) return &config_options[i];
    return NULL;
}

const struct option *option_by_flag(struct slice flag)
{
    for (size_t i = 0; i < config_option_count; i++)
        if (slice_is(flag, config_options[i].flag)) return &config_options[i];
    return NULL;
}

const struct option *option_by_letter(char letter)
{
    for (size_t i = 0; i < config_option_count && letter != '\0'; i++)
        if (config_options[i].letter == letter) return &config_options[i];
    return NULL;
}

bool option_is_section(struct slice section)
{
    for (size_t i = 0; i < config_option_count; i++) {
        struct slice path = slice_str(config_options[i].path);
        if (path.len > section.len && slice_starts_with(path, section) && path.bytes[section.len] == '.')
            return true;
    }
    return false;
}
