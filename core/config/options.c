#include "core/config/options.h"

#include <assert.h>

static const char *const auth_modes[] = {"none", "token-whitelist", "custom", NULL};
static const char *const durabilities[] = {"fsync", "os", "object", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const coordination_modes[] = {"global", "per-task", NULL};
static_assert(COORDINATION_PER_TASK == 1, "coordination_modes");
static_assert(AUTH_MODE_CUSTOM == 2, "auth_modes");
static_assert(DURABILITY_OBJECT == 2, "durabilities");
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

#define DECIMAL(key, field, lowest, highest)                                                                 \
    .path = key, .kind = OPTION_DECIMAL, .offset = OF(uint32_t, field), .min = lowest, .max = highest

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
     .env = "SYNC_DRAIN_TIMEOUT_MS", .initial = "10000", .unit = "ms", .traits = OPTION_RELOADABLE,
     .help = "Longest wait for requests under way when the server stops."},
    {NUMBER("server.drainSpreadMs", server.drain_spread_ms, 0, 3600000), .flag = "drain-spread-ms",
     .env = "SYNC_DRAIN_SPREAD_MS", .initial = "1000", .unit = "ms", .traits = OPTION_RELOADABLE,
     .help = "Time over which sessions are closed when the server stops; at most half of the wait above."},
    {NUMBER("server.pingIntervalMs", server.ping_interval_ms, 1, DAY_MS), .flag = "ping-interval-ms",
     .env = "SYNC_PING_INTERVAL_MS", .initial = "30000", .unit = "ms", .traits = OPTION_RELOADABLE,
     .help = "Silence after which a WebSocket connection is pinged."},
    {NUMBER("server.pongTimeoutMs", server.pong_timeout_ms, 1, DAY_MS), .flag = "pong-timeout-ms",
     .env = "SYNC_PONG_TIMEOUT_MS", .initial = "20000", .unit = "ms", .traits = OPTION_RELOADABLE,
     .help = "Wait for the answer to a ping, after which the connection is closed."},

    {TEXT("tls.cert", tls.cert), .flag = "tls-cert", .env = "SYNC_TLS_CERT", .initial = "",
     .traits = OPTION_EMPTY_OK | OPTION_RELOADABLE,
     .help = "File with the certificate, and those above it, in PEM form; the port then speaks TLS only."},
    {TEXT("tls.key", tls.key), .flag = "tls-key", .env = "SYNC_TLS_KEY", .initial = "",
     .traits = OPTION_EMPTY_OK | OPTION_RELOADABLE,
     .help = "File with the certificate's private key, in PEM form."},

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
     .traits = OPTION_RELOADABLE,
     .help = "Names of request headers that hooks get to see, beside those of the HTTP standards."},

    {NUMBER("sync.retentionHorizonMs", sync.retention_horizon_ms, 1, 36525ull * DAY_MS),
     .flag = "retention-horizon-ms", .env = "SYNC_RETENTION_HORIZON_MS", .initial = "2592000000",
     .unit = "ms", .traits = OPTION_RELOADABLE, .help = "Age at which the record of a deletion is removed."},
    {NUMBER("sync.batchSize", sync.batch_size, 1, 1000000), .flag = "batch-size", .env = "SYNC_BATCH_SIZE",
     .initial = "1000", .traits = OPTION_RELOADABLE,
     .help = "Changes that a client sends in one message at most; one that sends as many is asked for more."},
    {BOOLEAN("sync.allowResurrection", sync.allow_resurrection), .flag = "allow-resurrection",
     .env = "SYNC_ALLOW_RESURRECTION", .initial = "false",
     .help = "May a later write bring a deleted row back?"},
    {NUMBER("sync.nudgeFacts", sync.nudge_facts, 1, 1000000), .flag = "nudge-facts",
     .env = "SYNC_NUDGE_FACTS", .initial = "1000", .traits = OPTION_RELOADABLE,
     .help =
         "Changes in one message at which a client is asked for more; sync.batchSize where that is less."},
    {NUMBER("sync.pushPauseMs", sync.push_pause_ms, 0, 60000), .flag = "push-pause-ms",
     .env = "SYNC_PUSH_PAUSE_MS", .initial = "20", .unit = "ms", .traits = OPTION_RELOADABLE,
     .help = "Wait between a client's reading of changes and the next push to it; 0: push at once."},
    {NUMBER("sync.migrationPauseMs", sync.migration_pause_ms, 0, 60000), .flag = "migration-pause-ms",
     .env = "SYNC_MIGRATION_PAUSE_MS", .initial = "250", .unit = "ms", .traits = OPTION_RELOADABLE,
     .help = "Wait after pushing a schema change before the next push to the same client."},
    {NUMBER("sync.renudgeIntervalMs", sync.renudge_interval_ms, 1, 36525ull * DAY_MS),
     .flag = "renudge-interval-ms", .env = "SYNC_RENUDGE_INTERVAL_MS", .initial = "86400000", .unit = "ms",
     .traits = OPTION_RELOADABLE,
     .help = "Time after which a client that stays connected is asked to catch up."},
    {NUMBER("sync.pageProofTimeoutMs", sync.page_proof_timeout_ms, 1, 600000),
     .flag = "page-proof-timeout-ms", .env = "SYNC_PAGE_PROOF_TIMEOUT_MS", .initial = "5000", .unit = "ms",
     .traits = OPTION_RELOADABLE,
     .help = "Wait for a client to prove that it has stored a page of changes before the next one goes."},
    {NUMBER("sync.catchUpTimeoutMs", sync.catch_up_timeout_ms, 1, 600000), .flag = "catch-up-timeout-ms",
     .env = "SYNC_CATCH_UP_TIMEOUT_MS", .initial = "5000", .unit = "ms", .traits = OPTION_RELOADABLE,
     .help = "Wait for a client whose pushes were dropped to ask for what it lacks; then it is pushed that."},
    {NUMBER("sync.sweepIntervalMs", sync.sweep_interval_ms, 1, 36525ull * DAY_MS),
     .flag = "sweep-interval-ms", .env = "SYNC_SWEEP_INTERVAL_MS", .initial = "3600000", .unit = "ms",
     .traits = OPTION_RELOADABLE,
     .help = "Time between two searches for deletions past the retention horizon."},

    {NUMBER("storage.shards", storage.shards, 1, 64), .flag = "shards", .env = "SYNC_SHARDS", .initial = "2",
     .help = "Parts of the store, each with a writing thread; fixed when the data directory is made."},
    {CHOICE("storage.durability", storage.durability, durabilities), .flag = "durability",
     .env = "SYNC_DURABILITY", .initial = "fsync",
     .help = "When a change is acknowledged: fsync: it is on the disk; os: the operating system has it; "
             "object: it is on the disk and in the object store."},
    {NUMBER("storage.writeBufferBytes", storage.write_buffer_bytes, 65536, 1024 * MIB),
     .flag = "write-buffer-bytes", .env = "SYNC_WRITE_BUFFER_BYTES", .initial = "4194304", .unit = "bytes",
     .help = "Memory in which each shard gathers writes."},
    {NUMBER("storage.blockCacheBytes", storage.block_cache_bytes, 0, 65536ull * MIB),
     .flag = "block-cache-bytes", .env = "SYNC_BLOCK_CACHE_BYTES", .initial = "8388608", .unit = "bytes",
     .help = "Memory for stored blocks that were read, all shards together."},

    {TEXT("s3.bucket", s3.bucket), .flag = "s3-bucket", .env = "S3_BUCKET", .initial = "",
     .traits = OPTION_EMPTY_OK, .help = "Bucket to keep the log and snapshots in; turns S3 on."},
    {TEXT("s3.region", s3.region), .flag = "s3-region", .env = "S3_REGION", .initial = "us-east-1",
     .help = "Region of the bucket."},
    {TEXT("s3.endpoint", s3.endpoint), .flag = "s3-endpoint", .env = "S3_ENDPOINT", .initial = "",
     .traits = OPTION_EMPTY_OK, .help = "Address of an S3 service that is not AWS: https://host:port."},
    {TEXT("s3.accessKeyId", s3.access_key_id), .flag = "s3-access-key-id", .env = "S3_ACCESS_KEY_ID",
     .initial = "", .traits = OPTION_EMPTY_OK,
     .help = "Key of S3; without it the places that AWS tools look in are looked in."},
    {TEXT("s3.secretAccessKey", s3.secret_access_key), .flag = "s3-secret-access-key",
     .env = "S3_SECRET_ACCESS_KEY", .initial = "", .traits = OPTION_EMPTY_OK | OPTION_SECRET,
     .help = "Secret of that key."},
    {TEXT("s3.sessionToken", s3.session_token), .flag = "s3-session-token", .env = "S3_SESSION_TOKEN",
     .initial = "", .traits = OPTION_EMPTY_OK | OPTION_SECRET, .help = "Token of a short-lived key."},
    {BOOLEAN("s3.forcePathStyle", s3.force_path_style), .flag = "s3-force-path-style",
     .env = "S3_FORCE_PATH_STYLE", .initial = "false",
     .help = "Is the bucket named in the path, not in the host name?"},
    {TEXT("s3.keyPrefix", s3.key_prefix), .flag = "s3-key-prefix", .env = "S3_KEY_PREFIX", .initial = "",
     .traits = OPTION_EMPTY_OK, .help = "Put in front of every object's key as it is."},
    {TEXT("s3.caFile", s3.ca_file), .flag = "s3-ca-file", .env = "S3_CA_FILE", .initial = "",
     .traits = OPTION_EMPTY_OK,
     .help = "File with the certificates (PEM) that the S3 service is trusted by, in place of the system's."},

    {TEXT("object.dir", object.dir), .flag = "object-dir", .env = "SYNC_OBJECT_DIR", .initial = "",
     .traits = OPTION_EMPTY_OK, .help = "Directory that takes the place of an S3 bucket."},
    {BOOLEAN("object.optional", object.optional), .flag = "object-store-optional",
     .env = "SYNC_OBJECT_STORE_OPTIONAL", .initial = "false",
     .help = "May the server start while the object store cannot be used?"},
    {BOOLEAN("object.log", object.log), .flag = "object-log", .env = "SYNC_OBJECT_LOG", .initial = "true",
     .help =
         "Is what this server accepts uploaded to the shared log? One server can write it: set it to false "
         "for the others that use the same bucket and key prefix."},
    {NUMBER("object.partitions", object.partitions, 0, 64), .flag = "object-partitions",
     .env = "SYNC_OBJECT_PARTITIONS", .initial = "0",
     .help = "Parts of the shared log, fixed when a bucket is first used; 0 takes what it has, 1 at first."},
    {NUMBER("object.logTickMs", object.log_tick_ms, 10, DAY_MS), .flag = "object-log-tick-ms",
     .env = "SYNC_OBJECT_LOG_TICK_MS", .initial = "1000", .unit = "ms",
     .help = "Time between two uploads of new changes; with durability object they follow one another."},
    {NUMBER("object.logBytes", object.log_bytes, 65536, 64 * MIB), .flag = "object-log-bytes",
     .env = "SYNC_OBJECT_LOG_BYTES", .initial = "4194304", .unit = "bytes",
     .help = "Changes uploaded at a time, about."},
    {NUMBER("object.segmentObjects", object.segment_objects, 0, 1024), .flag = "object-segment-objects",
     .env = "SYNC_OBJECT_SEGMENT_OBJECTS", .initial = "32",
     .help = "Log objects merged into one segment, and segments into a larger one; a power of two, else the "
             "next lower; 0: none, and none are deleted."},
    {NUMBER("object.segmentBytes", object.segment_bytes, MIB, 128 * MIB), .flag = "object-segment-bytes",
     .env = "SYNC_OBJECT_SEGMENT_BYTES", .initial = "33554432", .unit = "bytes",
     .help = "Size of a segment at most; merging takes twice that memory."},
    {NUMBER("object.logCleanMs", object.log_clean_ms, 1000, 36525ull * DAY_MS), .flag = "object-log-clean-ms",
     .env = "SYNC_OBJECT_LOG_CLEAN_MS", .initial = "600000", .unit = "ms",
     .help = "Time between two looks at which parts of the log are covered by snapshots."},
    {NUMBER("object.logGraceMs", object.log_grace_ms, 0, DAY_MS), .flag = "object-log-grace-ms",
     .env = "SYNC_OBJECT_LOG_GRACE_MS", .initial = "60000", .unit = "ms",
     .help = "Time after which objects that a segment replaces are deleted."},
    {NUMBER("object.logDeletesPerS", object.log_deletes_per_s, 1, 1000), .flag = "object-log-deletes-per-s",
     .env = "SYNC_OBJECT_LOG_DELETES_PER_S", .initial = "100", .help = "Deletions a second at most."},
    {NUMBER("object.logFilterBytes", object.log_filter_bytes, 0, 1024 * MIB),
     .flag = "object-log-filter-bytes", .env = "SYNC_OBJECT_LOG_FILTER_BYTES", .initial = "2097152",
     .unit = "bytes",
     .help =
         "Memory for knowing which databases each partition of the log may hold; 0: it is read each time."},
    {NUMBER("object.ackTimeoutMs", object.ack_timeout_ms, 100, 3600000), .flag = "object-ack-timeout-ms",
     .env = "SYNC_OBJECT_ACK_TIMEOUT_MS", .initial = "20000", .unit = "ms",
     .help = "With durability object: wait for the upload of a batch, after which it is refused for now."},
    {NUMBER("object.snapshotIntervalMs", object.snapshot_interval_ms, 1000, 36525ull * DAY_MS),
     .flag = "object-snapshot-interval-ms", .env = "SYNC_OBJECT_SNAPSHOT_INTERVAL_MS", .initial = "300000",
     .unit = "ms", .help = "Time without changes after which a database that had some gets a new snapshot."},
    {NUMBER("object.snapshotChanges", object.snapshot_changes, 1, 1000000000),
     .flag = "object-snapshot-changes", .env = "SYNC_OBJECT_SNAPSHOT_CHANGES", .initial = "100000",
     .help = "Changes after which it gets one earlier, though not while it rests after the last."},
    {NUMBER("object.snapshotsRetained", object.snapshots_retained, 1, 1000),
     .flag = "object-snapshots-retained", .env = "SYNC_OBJECT_SNAPSHOTS_RETAINED", .initial = "5",
     .help = "Snapshots of a database that are kept."},
    {NUMBER("object.cleanupIntervalMs", object.cleanup_interval_ms, 1000, 36525ull * DAY_MS),
     .flag = "object-cleanup-interval-ms", .env = "SYNC_OBJECT_CLEANUP_INTERVAL_MS", .initial = "86400000",
     .unit = "ms",
     .help = "Time between two searches for what nobody needs any more: snapshots beyond the kept ones, "
             "unfinished uploads, leftovers of probes. In a cluster the leader says when."},
    {NUMBER("object.threads", object.threads, 1, 64), .flag = "object-threads", .env = "SYNC_OBJECT_THREADS",
     .initial = "4", .help = "Threads that write and read snapshots in the object store."},
    {NUMBER("object.uploadBytesPerS", object.upload_bytes_per_s, 0, 1048576ull * MIB),
     .flag = "object-upload-bytes-per-s", .env = "SYNC_OBJECT_UPLOAD_BYTES_PER_S", .initial = "0",
     .unit = "bytes/s", .help = "Ceiling for everything that goes up to S3, at least 1024; 0: none."},
    {NUMBER("object.readyBacklogMs", object.ready_backlog_ms, 0, 36525ull * DAY_MS),
     .flag = "object-ready-backlog-ms", .env = "SYNC_OBJECT_READY_BACKLOG_MS", .initial = "0", .unit = "ms",
     .help = "Age of the oldest change that waits for its upload at which the server is not ready; 0: any."},
    {NUMBER("object.readyBacklogBytes", object.ready_backlog_bytes, 0, 1048576ull * MIB),
     .flag = "object-ready-backlog-bytes", .env = "SYNC_OBJECT_READY_BACKLOG_BYTES", .initial = "0",
     .unit = "bytes", .help = "The same in bytes that wait, about; 0: any."},
    {BOOLEAN("diskEviction.enabled", object.evict), .flag = "disk-eviction-enabled",
     .env = "DISK_EVICTION_ENABLED", .initial = "false",
     .help = "Do idle databases leave the disk, once the object store has all of them?"},
    {NUMBER("diskEviction.idleMs", object.evict_idle_ms, 100, 36525ull * DAY_MS),
     .flag = "disk-eviction-idle-ms", .env = "DISK_EVICTION_IDLE_MS", .initial = "3600000", .unit = "ms",
     .help = "Time without use after which a database leaves the disk."},

    {CHOICE("logging.level", logging.level, log_levels), .flag = "log-level", .env = "SYNC_LOG_LEVEL",
     .initial = "info", .traits = OPTION_RELOADABLE, .help = "Least level of the lines that are logged."},
    {CHOICE("logging.format", logging.format, log_formats), .flag = "log-format", .env = "SYNC_LOG_FORMAT",
     .initial = "text", .traits = OPTION_RELOADABLE, .help = "Form of the logged lines."},
    {TEXT("logging.namespaces", logging.namespaces), .flag = "debug", .env = "DEBUG", .initial = "",
     .traits = OPTION_EMPTY_OK | OPTION_RELOADABLE,
     .help = "Parts whose debug lines are logged: patterns like sync-coordinator:*,-sync-coordinator:ws."},

    {NUMBER("limits.bodyBytes", limits.body_bytes, 1024, 1024 * MIB), .flag = "limit-body-bytes",
     .env = "SYNC_LIMIT_BODY_BYTES", .initial = "33554432", .unit = "bytes", .traits = OPTION_RELOADABLE,
     .help = "Largest HTTP body that is taken, unpacked."},
    {NUMBER("limits.messageBytes", limits.message_bytes, 1024, 1024 * MIB), .flag = "limit-message-bytes",
     .env = "SYNC_LIMIT_MESSAGE_BYTES", .initial = "104857600", .unit = "bytes", .traits = OPTION_RELOADABLE,
     .help = "Largest WebSocket message that is taken."},
    {NUMBER("limits.deltaBytes", limits.delta_bytes, 1024, 1024 * MIB), .flag = "limit-delta-bytes",
     .env = "SYNC_LIMIT_DELTA_BYTES", .initial = "33554432", .unit = "bytes", .traits = OPTION_RELOADABLE,
     .help = "Size at which an answer with changes is continued on a second page."},
    {NUMBER("limits.sessionQueueBytes", limits.session_queue_bytes, 1024, 1024 * MIB),
     .flag = "limit-session-queue-bytes", .env = "SYNC_LIMIT_SESSION_QUEUE_BYTES", .initial = "4194304",
     .unit = "bytes", .traits = OPTION_RELOADABLE,
     .help = "Pushes that may wait for one client; past it they are dropped and it is asked to catch up."},
    {NUMBER("limits.sessionQueueFrames", limits.session_queue_frames, 1, 65536),
     .flag = "limit-session-queue-frames", .env = "SYNC_LIMIT_SESSION_QUEUE_FRAMES", .initial = "1024",
     .traits = OPTION_RELOADABLE, .help = "The same in messages."},
    {NUMBER("limits.requestsInFlight", limits.requests_in_flight, 1, 1024),
     .flag = "limit-requests-in-flight", .env = "SYNC_LIMIT_REQUESTS_IN_FLIGHT", .initial = "16",
     .traits = OPTION_RELOADABLE,
     .help = "Unanswered requests of one connection before no more is read from it."},
    {NUMBER("limits.requestsInFlightAll", limits.requests_in_flight_all, 1, 1000000),
     .flag = "limit-requests-in-flight-all", .env = "SYNC_LIMIT_REQUESTS_IN_FLIGHT_ALL", .initial = "4096",
     .traits = OPTION_RELOADABLE,
     .help = "Batches, deltas and snapshots under way, all connections together; past it new ones wait or "
             "get 503."},
    {NUMBER("limits.connections", limits.connections, 1, 1000000), .flag = "limit-connections",
     .env = "SYNC_LIMIT_CONNECTIONS", .initial = "20000", .help = "Connections at one time."},
    {NUMBER("limits.addressConnections", limits.address_connections, 0, 1000000),
     .flag = "limit-address-connections", .env = "SYNC_LIMIT_ADDRESS_CONNECTIONS", .initial = "0",
     .traits = OPTION_RELOADABLE,
     .help = "Connections of one IPv4 address or IPv6 /64 at one time; 0 for any number."},
    {NUMBER("limits.upgradesPerS", limits.upgrades_per_s, 0, 1000000), .flag = "limit-upgrades-per-s",
     .env = "SYNC_LIMIT_UPGRADES_PER_S", .initial = "0", .traits = OPTION_RELOADABLE,
     .help = "WebSocket connections that are let in within a second; others get 503. 0 for any number."},
    {NUMBER("limits.siteChangesPerS", limits.site_changes_per_s, 0, 1000000000),
     .flag = "limit-site-changes-per-s", .env = "SYNC_LIMIT_SITE_CHANGES_PER_S", .initial = "0",
     .traits = OPTION_RELOADABLE,
     .help = "Changes that one site may write to a database in a second; more wait, or get 429. 0 for any "
             "number."},
    {NUMBER("limits.databaseChangesPerS", limits.database_changes_per_s, 0, 1000000000),
     .flag = "limit-database-changes-per-s", .env = "SYNC_LIMIT_DATABASE_CHANGES_PER_S", .initial = "0",
     .traits = OPTION_RELOADABLE, .help = "The same for all sites of a database together."},
    {NUMBER("limits.headTimeoutMs", limits.head_timeout_ms, 1, 3600000), .flag = "limit-head-timeout-ms",
     .env = "SYNC_LIMIT_HEAD_TIMEOUT_MS", .initial = "10000", .unit = "ms",
     .help = "Time that the whole head of a request may take, counted in full seconds."},
    {NUMBER("limits.idleTimeoutMs", limits.idle_timeout_ms, 1, 3600000), .flag = "limit-idle-timeout-ms",
     .env = "SYNC_LIMIT_IDLE_TIMEOUT_MS", .initial = "65000", .unit = "ms",
     .help = "Time that an HTTP connection may wait for its next request, counted in full seconds."},
    {NUMBER("limits.bodyBytesPerS", limits.body_bytes_per_s, 0, 1024 * MIB), .flag = "limit-body-bytes-per-s",
     .env = "SYNC_LIMIT_BODY_BYTES_PER_S", .initial = "1024", .unit = "bytes", .traits = OPTION_RELOADABLE,
     .help = "Least rate at which a body has to come once limits.httpTimeoutMs have passed; 0 for any."},
    {NUMBER("limits.handshakeTimeoutMs", limits.handshake_timeout_ms, 1, 3600000),
     .flag = "limit-handshake-timeout-ms", .env = "SYNC_LIMIT_HANDSHAKE_TIMEOUT_MS", .initial = "10000",
     .unit = "ms", .traits = OPTION_RELOADABLE,
     .help = "Time that a WebSocket connection has for its handshake message."},
    {NUMBER("limits.httpTimeoutMs", limits.http_timeout_ms, 1, 3600000), .flag = "limit-http-timeout-ms",
     .env = "SYNC_LIMIT_HTTP_TIMEOUT_MS", .initial = "30000", .unit = "ms",
     .help = "Longest time without progress while a request is read or answered."},
    {NUMBER("limits.longPollMaxMs", limits.long_poll_max_ms, 0, 3600000), .flag = "limit-long-poll-max-ms",
     .env = "SYNC_LIMIT_LONG_POLL_MAX_MS", .initial = "60000", .unit = "ms", .traits = OPTION_RELOADABLE,
     .help = "Longest wait that a long poll may ask for."},
    {NUMBER("limits.jsonDepth", limits.json_depth, 16, 1024), .flag = "limit-json-depth",
     .env = "SYNC_LIMIT_JSON_DEPTH", .initial = "128", .traits = OPTION_RELOADABLE,
     .help = "Deepest nesting of a message or body."},
    {NUMBER("limits.hookHeaderBytes", hooks.header_bytes, 256, 65536), .flag = "limit-hook-header-bytes",
     .env = "SYNC_LIMIT_HOOK_HEADER_BYTES", .initial = "8192", .unit = "bytes", .traits = OPTION_RELOADABLE,
     .help = "Values of request headers that are kept for hooks, for each connection."},
    {NUMBER("limits.receivingBytes", limits.receiving_bytes, 1024, 1048576ull * MIB),
     .flag = "limit-receiving-bytes", .env = "SYNC_LIMIT_RECEIVING_BYTES", .initial = "268435456",
     .unit = "bytes", .traits = OPTION_RELOADABLE,
     .help = "Messages and bodies that are being received, all connections together."},

    {BOOLEAN("coordinator.enabled", coordinator.enabled), .flag = "coordinator-enabled",
     .env = "SYNC_COORDINATOR_ENABLED", .initial = "false",
     .help = "Take part in electing the instance that does the work of the whole cluster."},
    {CHOICE("coordinator.mode", coordinator.mode, coordination_modes), .flag = "coordinator-mode",
     .env = "SYNC_COORDINATOR_MODE", .initial = "global",
     .help = "global: one election for all tasks of a namespace; per-task: each task has its own."},
    {TEXT("coordinator.namespace", coordinator.namespace_name), .flag = "coordinator-namespace",
     .env = "SYNC_COORDINATOR_NAMESPACE", .initial = "default",
     .help = "Who shares an election: instances with the same object store and the same namespace."},
    {TEXT("coordinator.workerId", coordinator.worker_id), .flag = "coordinator-worker-id",
     .env = "SYNC_COORDINATOR_WORKER_ID", .initial = "", .traits = OPTION_EMPTY_OK,
     .help = "Name of this instance among the workers; none: made anew with each start."},
    {TEXT("coordinator.url", coordinator.url), .flag = "coordinator-url", .env = "SYNC_COORDINATOR_URL",
     .initial = "", .traits = OPTION_EMPTY_OK,
     .help = "Where other instances reach this one, base path included; none: made from host, port and base "
             "path."},
    {NUMBER("coordinator.heartbeatIntervalMs", coordinator.heartbeat_interval_ms, ELECTION_HEARTBEAT_MS_MIN,
            ELECTION_TIME_MS_MAX),
     .flag = "coordinator-heartbeat-interval-ms", .env = "SYNC_COORDINATOR_HEARTBEAT_INTERVAL_MS",
     .initial = "5000", .unit = "ms",
     .help = "Time between heartbeats; also the pace of requests, at most one an interval over time."},
    {NUMBER("coordinator.heartbeatJitterMs", coordinator.heartbeat_jitter_ms, 0, ELECTION_TIME_MS_MAX),
     .flag = "coordinator-heartbeat-jitter-ms", .env = "SYNC_COORDINATOR_HEARTBEAT_JITTER_MS",
     .initial = "1000", .unit = "ms", .help = "A heartbeat comes up to so much earlier, at random."},
    {NUMBER("coordinator.leaseTimeoutMs", coordinator.lease_timeout_ms, ELECTION_LEASE_MS_MIN,
            ELECTION_TIME_MS_MAX),
     .flag = "coordinator-lease-timeout-ms", .env = "SYNC_COORDINATOR_LEASE_TIMEOUT_MS", .initial = "15000",
     .unit = "ms", .help = "A leader that is silent for so long is replaced."},
    {NUMBER("coordinator.workerTimeoutMs", coordinator.worker_timeout_ms, 1, ELECTION_TIME_MS_MAX),
     .flag = "coordinator-worker-timeout-ms", .env = "SYNC_COORDINATOR_WORKER_TIMEOUT_MS", .initial = "20000",
     .unit = "ms", .help = "A worker that is silent for so long does not count as live."},
    {BOOLEAN("coordinator.diagnostics", coordinator.diagnostics), .flag = "coordinator-diagnostics",
     .env = "SYNC_COORDINATOR_DIAGNOSTICS", .initial = "false", .help = "Log a line for every heartbeat."},
    {NUMBER("coordinator.snapshotRoundMs", coordinator.snapshot_round_ms, 1000, 36525ull * DAY_MS),
     .flag = "coordinator-snapshot-round-ms", .env = "SYNC_COORDINATOR_SNAPSHOT_ROUND_MS",
     .initial = "3600000", .unit = "ms",
     .help =
         "Time between two rounds in which the leader has every instance take the snapshots that are due."},
    {NUMBER("coordinator.perTask.heartbeatIntervalMs", coordinator.per_task.heartbeat_interval_ms,
            ELECTION_HEARTBEAT_MS_MIN, ELECTION_TIME_MS_MAX),
     .flag = "coordinator-per-task-heartbeat-interval-ms",
     .env = "SYNC_COORDINATOR_PER_TASK_HEARTBEAT_INTERVAL_MS", .initial = "30000", .unit = "ms",
     .help = "Time between two heartbeats of a task that has its own election."},
    {NUMBER("coordinator.perTask.workerTimeoutMs", coordinator.per_task.worker_timeout_ms,
            ELECTION_LEASE_MS_MIN, ELECTION_TIME_MS_MAX),
     .flag = "coordinator-per-task-worker-timeout-ms", .env = "SYNC_COORDINATOR_PER_TASK_WORKER_TIMEOUT_MS",
     .initial = "90000", .unit = "ms",
     .help = "Time without a heartbeat after which a worker of such a task is gone; its lease as well."},
    {NUMBER("coordinator.perTask.minEpochDurationMs", coordinator.per_task.epoch_min_ms, 0,
            ELECTION_TIME_MS_MAX),
     .flag = "coordinator-per-task-min-epoch-duration-ms",
     .env = "SYNC_COORDINATOR_PER_TASK_MIN_EPOCH_DURATION_MS", .initial = "60000", .unit = "ms",
     .help = "No forced election before the leader has led for so long."},
    {NUMBER("coordinator.perTask.maxEpochDurationMs", coordinator.per_task.epoch_max_ms, 0,
            ELECTION_TIME_MS_MAX),
     .flag = "coordinator-per-task-max-epoch-duration-ms",
     .env = "SYNC_COORDINATOR_PER_TASK_MAX_EPOCH_DURATION_MS", .initial = "300000", .unit = "ms",
     .help = "Then an election is held; 0: never."},
    {NUMBER("coordinator.coldStart.observationWindowMs", coordinator.cold_start.observation_window_ms, 0,
            ELECTION_TIME_MS_MAX),
     .flag = "coordinator-cold-start-observation-window-ms",
     .env = "SYNC_COORDINATOR_COLD_START_OBSERVATION_WINDOW_MS", .initial = "15000", .unit = "ms",
     .help = "How long an instance that starts listens who is there before it runs for leader."},
    {NUMBER("coordinator.coldStart.preparationDelayMs", coordinator.cold_start.preparation_delay_ms, 0,
            ELECTION_TIME_MS_MAX),
     .flag = "coordinator-cold-start-preparation-delay-ms",
     .env = "SYNC_COORDINATOR_COLD_START_PREPARATION_DELAY_MS", .initial = "5000", .unit = "ms",
     .help = "Time that the first leader gives the others to see it before it works."},
    {BOOLEAN("coordinator.coldStart.skip", coordinator.cold_start.skip),
     .flag = "coordinator-cold-start-skip", .env = "SYNC_COORDINATOR_COLD_START_SKIP", .initial = "false",
     .help = "Elect at once when starting."},
    {NUMBER("coordinator.circuitBreaker.failureThreshold", coordinator.circuit_breaker.failure_threshold, 1,
            1000000),
     .flag = "coordinator-circuit-breaker-failure-threshold",
     .env = "SYNC_COORDINATOR_CIRCUIT_BREAKER_FAILURE_THRESHOLD", .initial = "5",
     .help = "Failed requests in a row after which only what a lease needs is asked for."},
    {NUMBER("coordinator.circuitBreaker.resetTimeoutMs", coordinator.circuit_breaker.reset_timeout_ms, 1,
            ELECTION_TIME_MS_MAX),
     .flag = "coordinator-circuit-breaker-reset-timeout-ms",
     .env = "SYNC_COORDINATOR_CIRCUIT_BREAKER_RESET_TIMEOUT_MS", .initial = "30000", .unit = "ms",
     .help = "Until a request of the usual kind is tried again."},
    {DECIMAL("coordinator.contention.threshold", coordinator.contention.threshold_percent, 100, 100000),
     .flag = "coordinator-contention-threshold", .env = "SYNC_COORDINATOR_CONTENTION_THRESHOLD",
     .initial = "2.0", .help = "A heartbeat that takes more than so many intervals is contention."},
    {NUMBER("coordinator.contention.rateLimitMs", coordinator.contention.rate_limit_ms, 0,
            ELECTION_TIME_MS_MAX),
     .flag = "coordinator-contention-rate-limit-ms", .env = "SYNC_COORDINATOR_CONTENTION_RATE_LIMIT_MS",
     .initial = "30000", .unit = "ms", .help = "Contention is told at most so often."},
};

const size_t config_option_count = sizeof config_options / sizeof config_options[0];
static_assert(sizeof config_options / sizeof config_options[0] <= CONFIG_OPTIONS_MAX, "origins");

const char *durability_name(enum durability d)
{
    return durabilities[d];
}

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
