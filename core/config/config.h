/* config.h -- the configuration: plain values for the parts of the server, constant once they are read. A
 * reload makes another one.
 *
 * Sources, the strongest first: flags, environment, configuration file, defaults. Every option is one row of
 * the table in options.c, from which everything is made: reading all four sources, --help, --print-config,
 * and the table in docs/configuration.md, where each option is described.
 *
 * Pure: argv, the environment and a function that reads a file are arguments.
 *
 * Threads: loading on one; afterwards nothing changes, so any may read. */
#ifndef CORE_CONFIG_CONFIG_H
#define CORE_CONFIG_CONFIG_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/config/coordinator_config.h"
#include "core/log/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CONFIG_OPTIONS_MAX = 192,
    CONFIG_HOOKS_MAX = 16,           /* in the chain */
    CONFIG_FILE_BYTES_MAX = 1 << 20, /* of the configuration file, and of the token file */
    CONFIG_TEXT_BYTES_MAX = 1 << 20, /* a good ceiling for the buffers of the config_write_ functions */
};

#define CONFIG_FILE_DEFAULT "sync-coordinator.json"

struct text_list {
    const struct slice *items;
    size_t count;
};

struct config_server {
    const char *host;
    uint16_t port;           /* 0: any free one */
    const char *base_path;   /* begins with / and does not end with one; "" is the root */
    uint32_t threads;        /* event loops; 0: one for each processor, at most 8 */
    uint32_t reader_threads; /* run deltas and snapshots */
    uint32_t drain_timeout_ms;
    uint32_t drain_spread_ms;
    uint32_t ping_interval_ms;
    uint32_t pong_timeout_ms;
};

struct config_tls {
    const char *cert; /* files in PEM form; "": no TLS. Both or none. */
    const char *key;
};

enum cors_allow { CORS_ALLOW_NONE, CORS_ALLOW_LIST, CORS_ALLOW_ANY };

struct cors_origin {
    enum cors_allow allow;
    struct text_list list; /* of CORS_ALLOW_LIST */
};

struct config_cors {
    struct cors_origin origin;
    bool credentials;
};

enum hook_place { HOOK_PLACE_SERVER, HOOK_PLACE_HELPER }; /* isolation: none, process */

/* One hook of the chain (hooks/sync_hooks.h). */
struct config_hook {
    const char *path;
    const char *config;  /* "": none; may hold secrets */
    uint32_t timeout_ms; /* of one call */
    enum hook_place place;
};

struct config_hook_list {
    const struct config_hook *items;
    size_t count; /* at most CONFIG_HOOKS_MAX */
};

struct config_hooks {
    struct config_hook_list chain;
    struct text_list headers; /* names of request headers that are kept for hooks, beside the usual ones */
    size_t header_bytes;      /* limits.hookHeaderBytes */
};

enum auth_mode { AUTH_MODE_NONE, AUTH_MODE_TOKEN_WHITELIST, AUTH_MODE_CUSTOM };

struct config_auth {
    enum auth_mode mode;
    struct text_list tokens; /* auth.tokens, then the lines of tokens_file; never empty texts */
    const char *tokens_file; /* "": none */
};

struct config_sync {
    uint64_t retention_horizon_ms;
    uint32_t batch_size;
    bool allow_resurrection;
    uint32_t nudge_facts;
    uint32_t push_pause_ms;
    uint32_t migration_pause_ms;
    uint64_t renudge_interval_ms;
    uint32_t page_proof_timeout_ms;
    uint32_t catch_up_timeout_ms;
    uint64_t sweep_interval_ms;
};

enum durability { DURABILITY_FSYNC, DURABILITY_OS, DURABILITY_OBJECT };

const char *durability_name(enum durability d); /* "fsync", ... */

struct config_storage {
    const char *data_dir;
    uint32_t shards;
    enum durability durability;
    size_t write_buffer_bytes;
    size_t block_cache_bytes;
};

/* The bucket and its keys (storage/objects/object_s3.h); "": not set. */
struct config_s3 {
    const char *bucket;
    const char *region;
    const char *endpoint;
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token;
    bool force_path_style;
    const char *key_prefix;
    const char *ca_file;
};

/* What goes into the object store, and when. */
struct config_object {
    const char *dir;     /* an object store in a directory, in place of S3; "": none */
    bool optional;       /* may be unusable at start */
    bool log;            /* write the shared log */
    uint32_t partitions; /* of the shared log; 0: as the bucket says, 1 for a new one */
    uint64_t log_tick_ms;
    size_t log_bytes;         /* of one log object, about */
    uint32_t segment_objects; /* become one segment; 0: none do */
    size_t segment_bytes;     /* of one, at most */
    uint64_t log_clean_ms;    /* between two looks at what snapshots cover */
    uint64_t log_grace_ms;    /* until what was replaced is deleted */
    uint32_t log_deletes_per_s;
    size_t log_filter_bytes; /* of each partition's filter of the databases in it; 0: none */
    uint32_t ack_timeout_ms; /* of DURABILITY_OBJECT */
    uint64_t snapshot_interval_ms;
    uint64_t snapshot_changes;
    uint32_t snapshots_retained;
    uint64_t cleanup_interval_ms;
    uint32_t threads;
    uint64_t upload_bytes_per_s; /* 0: no ceiling */
    uint64_t ready_backlog_ms;   /* 0: does not count */
    uint64_t ready_backlog_bytes;
    bool evict;
    uint64_t evict_idle_ms;
};

struct config_logging {
    enum log_level level;
    enum log_format format;
    const char *namespaces; /* log/log_filter.h */
};

struct config_limits {
    size_t body_bytes;
    size_t message_bytes;
    size_t delta_bytes;
    size_t session_queue_bytes;
    uint32_t session_queue_frames;
    uint32_t requests_in_flight; /* per connection */
    uint32_t requests_in_flight_all;
    uint32_t connections;
    uint32_t address_connections; /* this and the rates: 0 is no limit */
    uint32_t upgrades_per_s;
    uint32_t site_changes_per_s;
    uint32_t database_changes_per_s;
    uint32_t body_bytes_per_s; /* the least */
    uint32_t head_timeout_ms;
    uint32_t idle_timeout_ms;
    uint32_t handshake_timeout_ms;
    uint32_t http_timeout_ms;
    uint32_t long_poll_max_ms;
    uint32_t json_depth;
    size_t receiving_bytes; /* all connections together */
};

struct config {
    struct config_server server;
    struct config_tls tls;
    struct config_cors cors;
    struct config_auth auth;
    struct config_hooks hooks;
    struct config_sync sync;
    struct config_storage storage;
    struct config_s3 s3;
    struct config_object object;
    struct config_logging logging;
    struct config_limits limits;
    struct config_coordinator coordinator;
};

/* What argv asks for. */
enum config_command {
    CONFIG_RUN,
    CONFIG_CHECK,   /* --check-config: that loading succeeded is the answer */
    CONFIG_PRINT,   /* --print-config: config_write() */
    CONFIG_HELP,    /* --help: config_write_help(); no source but argv was read */
    CONFIG_VERSION, /* --version; likewise */
};

/* Appends the whole file to ret, which has a ceiling. Errors: SYNC_ENOTFOUND when there is no such file;
 * any other when it cannot be read. The text of the error names the reason, not the path. */
typedef enum sync_err config_read_fn(void *arg, const char *path, struct buf *ret, struct err_ctx *ec);

struct config_input {
    int argc; /* argv[0] is the program's own name */
    const char *const *argv;
    const char *const *environment; /* NAME=VALUE, ended by NULL, as `environ` is */
    config_read_fn *read_file;
    void *read_arg;
};

enum config_source { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENVIRONMENT, CONFIG_FROM_FLAG };

struct config_origin {
    enum config_source source;
    const char *text; /* for a person: "default", "--port", "SYNC_PORT", "sync-coordinator.json" */
};

/* The configuration with what is known about it. It owns all texts; may be moved by copying. */
struct loaded_config {
    struct config config;
    enum config_command command;
    struct config_origin origins[CONFIG_OPTIONS_MAX]; /* in the order of the table */
    struct text_list warnings;                        /* nothing wrong, but hardly meant: to be logged */
    struct arena arena;
};

/* Reads all sources and checks the whole. Errors: SYNC_ECONFIG, with the flag, variable or file, the key and
 * the value in the text (values of secrets left out); SYNC_ENOMEM; what read_file returned. */
enum sync_err config_load(const struct config_input *in, struct loaded_config *ret, struct err_ctx *ec);
void config_unload(struct loaded_config *c);

/* The rules between options, which config_load() applies too: an error says what refuses to start. */
enum sync_err config_check(const struct loaded_config *c, struct err_ctx *ec);

/* Appends the paths of the options that differ and that a running server cannot take over, with ", " between
 * them; nothing when `fresh` can replace `running` at once. */
void config_restart_needed(const struct config *running, const struct config *fresh, struct buf *ret);

/* The other half: the paths of the options that differ and that can be taken over. Never their values. */
void config_reloaded(const struct config *running, const struct config *fresh, struct buf *ret);

/* Gives `fresh` the values of `running` for all that a running server cannot take over. Texts stay in the
 * memory of `running`, which must outlive `fresh`. */
void config_keep_fixed(struct config *fresh, const struct config *running);

/* Append texts for people. Secrets are never shown. */
void config_write(const struct loaded_config *c, struct buf *ret); /* a line an option: path, value, origin */
void config_write_help(struct buf *ret);
void config_write_markdown(struct buf *ret); /* the table of docs/configuration.md */

#endif
