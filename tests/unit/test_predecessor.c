#include "server/commands/json_split.h"
#include "server/commands/predecessor.h"
#include "storage/objects/object_dir.h"
#include "store_fixture.h"
#include "temp_dir.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <zlib.h>

/* ---- taking a long object apart */

static struct buf seen;

static enum sync_err note(void *arg, struct slice text, struct err_ctx *ec)
{
    (void)arg, (void)ec;
    buf_put_slice(&seen, text);
    buf_put_char(&seen, '|');
    return SYNC_OK;
}

/* All elements, each with a bar behind it, or what is wrong; fed in pieces of `step` bytes. */
static const char *split(const char *text, size_t step, char name[64])
{
    static char result[4096];
    struct err_ctx ec = {""};
    struct json_split s;
    enum sync_err rc = SYNC_OK;
    seen = buf_make(4000);
    json_split_init(&s, "chunks", "databaseId", 100, note, NULL);
    for (size_t at = 0, len = strlen(text); at < len && rc == SYNC_OK; at += step)
        rc = json_split_put(&s, slice_of(text + at, len - at < step ? len - at : step), &ec);
    if (rc == SYNC_OK) rc = json_split_end(&s, &ec);
    if (rc == SYNC_OK)
        snprintf(result, sizeof result, "%.*s", (int)seen.len, seen.len == 0 ? "" : seen.bytes);
    else
        snprintf(result, sizeof result, "%s: %s", err_name(rc), ec.text);
    snprintf(name, 64, "%.*s", (int)s.named_len, s.named);
    json_split_deinit(&s);
    buf_deinit(&seen);
    return result;
}

Test(predecessor, a_long_object_is_taken_apart_wherever_it_is_cut)
{
    static const char text[] =
        " { \"a\" : {\"chunks\":[{\"not\":1}]}, \"databaseId\":\"o:a\", \"x\":[[1,\"]}{\"]],\n"
        "\"chunks\": [ {\"b\":\"}\\\"{\"} ,{},\n {\"c\":[{\"d\":[]}]}], \"z\":\"chunks\" } ";
    char name[64];
    for (size_t step = 1; step <= sizeof text; step++) {
        cr_assert_str_eq(split(text, step, name), "{\"b\":\"}\\\"{\"}|{}|{\"c\":[{\"d\":[]}]}|", "%zu", step);
        cr_assert_str_eq(name, "o:a");
    }
}

Test(predecessor, what_is_no_such_object_is_named)
{
    char name[64], longer[200], text[300];
    cr_assert_not_null(strstr(split("", 1, name), "it is cut"));
    cr_assert_not_null(strstr(split("{\"chunks\":[{}", 3, name), "it is cut"));
    cr_assert_not_null(strstr(split("{\"chunk\":[{}]}", 3, name), "no list \"chunks\""));
    cr_assert_not_null(strstr(split("{\"chunks\":[1]}", 3, name), "not a JSON object with a list"));
    cr_assert_not_null(strstr(split("[{\"chunks\":[]}]", 3, name), "not a JSON object with a list"));
    cr_assert_not_null(strstr(split("{\"chunks\":[]} x", 3, name), "not a JSON object with a list"));
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    snprintf(text, sizeof text, "{\"chunks\":[{\"a\":\"%s\"}]}", longer);
    cr_assert_not_null(strstr(split(text, 50, name), "over 164 bytes"), "%s", split(text, 50, name));
}

/* ---- importing */

#define HLC(n) "AAAAAAAAA" n "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define SITE   "AQAAAAAAAAAAAAAAAAAAAA"
#define SET_OF(hlc, changes)                                                                                 \
    "{\"siteId\":\"" SITE "\",\"transactionId\":\"1:0:" SITE "\",\"hlc\":\"" hlc "\",\"changes\":[" changes  \
    "],\"schemaMigrations\":[]}"
#define CELL(pk, value, hlc)                                                                                 \
    "{\"type\":\"column\",\"schema\":\"main\",\"table\":\"t\",\"pk\":[" pk                                   \
    "],\"column\":\"c\",\"value\":" value ",\"hlc\":\"" hlc "\"}"
#define BATCH(database, sets)                                                                                \
    "{\"batchId\":\"x\",\"databaseId\":\"" database                                                          \
    "\",\"timestamp\":1,\"clientId\":\"y\",\"changes\":[" sets "],\"metadata\":{}}"

static struct store_fixture x;
static struct temp_dir dir;
static struct object_store *objects;
static struct arena arena;
static char complaints[4096];

static void begin(void)
{
    struct err_ctx ec = {""};
    fixture_init(&x);
    temp_dir_make(&dir);
    cr_assert_eq(object_dir_open(&(struct object_dir_config){.path = dir.path}, &objects, &ec), SYNC_OK);
    complaints[0] = '\0';
}

static void end(void)
{
    object_store_close(objects);
    temp_dir_remove(&dir);
    fixture_free(&x);
    arena_deinit(&arena);
}

TestSuite(predecessor_import, .init = begin, .fini = end);

static void put(const char *key, struct slice bytes)
{
    struct err_ctx ec = {""};
    cr_assert_eq(object_put(objects, NULL, slice_str(key), bytes, NULL, &ec), SYNC_OK, "%s", ec.text);
}

static void put_gzip(const char *key, const char *text, size_t cut)
{
    static uint8_t out[8192];
    z_stream z = {0};
    cr_assert_eq(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (uint8_t *)(uintptr_t)text;
    z.avail_in = (uInt)strlen(text);
    z.next_out = out;
    z.avail_out = sizeof out;
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    put(key, slice_of(out, sizeof out - z.avail_out - cut));
    deflateEnd(&z);
}

static void complain(void *arg, struct slice key, const struct err_ctx *why)
{
    (void)arg;
    size_t at = strlen(complaints);
    snprintf(complaints + at, sizeof complaints - at, "%.*s: %s\n", SLICE_ARG(key), why->text);
}

static enum sync_err run(const char *database, struct predecessor_result *ret, struct err_ctx *ec)
{
    const struct predecessor_import p = {.objects = objects,
                                         .shard = fixture_shard(&x, database),
                                         .database = slice_str(database),
                                         .complain = complain};
    return predecessor_run(&p, ret, ec);
}

static struct predecessor_result import(const char *database)
{
    struct err_ctx ec = {""};
    struct predecessor_result r;
    cr_assert_eq(run(database, &r, &ec), SYNC_OK, "%s", ec.text);
    return r;
}

static const char *cells(const char *database)
{
    return fixture_facts(&x, database, FACT_CELL, &arena);
}

#define SNAPSHOT(database)                                                                                   \
    "{\"snapshotId\":\"s\",\"databaseId\":\"" database "\",\"timestamp\":5,\"chunks\":["                     \
    "{\"type\":\"header\",\"siteId\":\"" SITE "\",\"hlc\":\"" HLC(                                           \
        "J") "\",\"tableCount\":1,"                                                                          \
             "\"migrationCount\":1,\"snapshotId\":\"s\",\"snapshotFormat\":1},"                              \
             "{\"type\":\"schema-migration\",\"migration\":{\"type\":\"create_table\",\"schema\":\"main\","  \
             "\"table\":\"t\",\"ddl\":\"create table t\",\"hlc\":\"" HLC(                                    \
                 "B") "\",\"schemaVersion\":1}},"                                                            \
                      "{\"type\":\"table-start\",\"schema\":\"main\",\"table\":\"t\",\"estimatedEntries\":"  \
                      "2},"                                                                                  \
                      "{\"type\":\"column-versions\",\"schema\":\"main\",\"table\":\"t\",\"entries\":["      \
                      "{\"column\":\"c\",\"hlc\":\"" HLC(                                                    \
                          "C") "\",\"value\":\"one\",\"pk\":[1]},"                                           \
                               "{\"column\":\"c\",\"hlc\":\"" HLC(                                           \
                                   "D") "\",\"value\":{\"__bigint\":\"2\"},\"pk\":[2]}]},"                   \
                                        "{\"type\":\"table-end\",\"schema\":\"main\",\"table\":\"t\","       \
                                        "\"entriesWritten\":2},"                                             \
                                        "{\"type\":\"tombstone\",\"schema\":\"main\",\"table\":\"t\","       \
                                        "\"entries\":["                                                      \
                                        "{\"pk\":[3],\"hlc\":\"" HLC(                                        \
                                            "E") "\",\"createdAt\":1,\"priorRow\":[3,\"x\"]}]},"             \
                                                 "{\"type\":\"footer\",\"snapshotId\":\"s\","                \
                                                 "\"totalTables\":1,\"totalEntries\":2,\"totalMigrations\":" \
                                                 "1}]}"

Test(predecessor_import, the_newest_snapshot_and_all_batches_are_merged)
{
    put_gzip("org/app/snapshots/0005_s.json", SNAPSHOT("org:app"), 0);
    put_gzip("org/app/snapshots/0004_r.json", "no object", 0); /* older: not looked at */
    put("org/app/batches/0001_a.json",
        slice_str(BATCH("org:app", SET_OF(HLC("C"), CELL("1", "\"one\"", HLC("C"))))));
    put("org/app/batches/0006_b.json",
        slice_str(BATCH("org:app", SET_OF(HLC("F"), CELL("2", "\"new\"", HLC("F"))) "," SET_OF(
                                       HLC("G"), CELL("3", "\"gone\"", HLC("G"))))));
    put("org/app/batches/more/batches/0001_a.json", slice_str("another database's"));
    struct predecessor_result r = import("org:app");
    cr_assert_str_eq(complaints, "");
    cr_assert(r.snapshots == 1 && r.batches == 2, "%d %d", (int)r.snapshots, (int)r.batches);
    cr_assert_eq(r.applied, 5, "%d", (int)r.applied);
    cr_assert_eq(r.skipped, 2, "one known, one of a deleted row");
    cr_assert_not_null(strstr(cells("org:app"), "[1] c = \"one\""), "%s", cells("org:app"));
    cr_assert_not_null(strstr(cells("org:app"), "[2] c = \"new\" (was {\"__bigint\":\"2\"})"), "%s",
                       cells("org:app"));
    cr_assert_null(strstr(cells("org:app"), "gone"));
    cr_assert_not_null(strstr(fixture_facts(&x, "org:app", FACT_MIGRATION, &arena), "create_table"));
    cr_assert_not_null(strstr(fixture_facts(&x, "org:app", FACT_DELETE, &arena), "[3]"));
    r = import("org:app");
    cr_assert_eq(r.applied, 0, "a second time nothing is new");
}

Test(predecessor_import, what_is_damaged_is_named_and_the_rest_comes_over)
{
    struct err_ctx ec = {""};
    struct predecessor_result r;
    put_gzip("app/snapshots/0009_s.json", SNAPSHOT("app"), 20);
    put("app/snapshots/0008_s.json", slice_str("\x1f\x8b nonsense"));
    put("app/batches/1_json.json", slice_str("{\"changes\":[}"));
    put("app/batches/2_none.json", slice_str("{\"batchId\":\"x\"}"));
    put("app/batches/3_other.json", slice_str(BATCH("other", "")));
    put("app/batches/4_fact.json", slice_str(BATCH("app", SET_OF(HLC("C"), CELL("1", "1", "AAAA")))));
    put("app/batches/5_ahead.json",
        slice_str(BATCH("app", SET_OF("//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ""))));
    put("app/batches/6_good.json", slice_str(BATCH("app", SET_OF(HLC("F"), CELL("1", "\"yes\"", HLC("F"))))));
    r = import("app");
    cr_assert(r.batches == 1 && r.snapshots == 0 && r.complaints == 7, "%d:\n%s", (int)r.complaints,
              complaints);
    static const char *const expected[] = {"app/snapshots/0009_s.json: it is cut",
                                           "app/snapshots/0008_s.json: damaged gzip",
                                           "app/batches/1_json.json: ",
                                           "app/batches/2_none.json: it has no changes",
                                           "app/batches/3_other.json: it is of database other",
                                           "app/batches/4_fact.json: [0].changes[0]",
                                           "app/batches/5_ahead.json: an HLC is "};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        cr_assert_not_null(strstr(complaints, expected[i]), "%s not in:\n%s", expected[i], complaints);
    cr_assert_not_null(strstr(cells("app"), "[1] c = \"yes\""), "%s", cells("app"));
    cr_assert_eq(run("nobody", &r, &ec), SYNC_ENOTFOUND);
    cr_assert_not_null(strstr(ec.text, "no batches and no snapshots of database nobody"), "%s", ec.text);
}

Test(predecessor_import, nothing_of_another_databases_snapshot_is_merged)
{
    put("app/snapshots/1_s.json",
        slice_str(
            "{\"snapshotId\":\"s\",\"databaseId\":\"other\",\"chunks\":[{\"type\":\"header\"},"
            "{\"type\":\"column-versions\",\"schema\":\"main\",\"table\":\"t\",\"entries\":[{\"pk\":[1],"
            "\"column\":\"c\",\"hlc\":\"" HLC("C") "\",\"value\":1}]},{\"type\":\"footer\"}]}"));
    struct predecessor_result r = import("app");
    cr_assert_eq(r.complaints, 1);
    cr_assert_not_null(strstr(complaints, "it is of database other"), "%s", complaints);
    cr_assert_eq(r.applied, 0);
    cr_assert_eq(r.snapshots, 0);
}

Test(predecessor_import, a_snapshot_says_what_it_does_not_understand)
{
    static const struct {
        const char *chunks, *complaint;
    } cases[] = {
        {"{\"type\":\"header\",\"snapshotFormat\":2}", "chunk 0: a snapshot of format 2, this build reads 1"},
        {"{\"type\":\"header\"},{\"type\":\"news\"}", "chunk 1: an unknown chunk \"news\""},
        {"{\"type\":\"tombstone\",\"schema\":\"main\",\"table\":\"t\"}", "without its entries"},
        {"{\"type\":\"column-versions\",\"schema\":\"main\",\"entries\":[{\"column\":\"c\",\"hlc\":\"" HLC(
             "C") "\",\"value\":1,\"pk\":[1]}]}",
         "table"},
        {"{\"type\":\"column-versions\",\"schema\":\"main\",\"table\":\"t\",\"entries\":[7]}", "changes[0]"},
        {"{\"type\":\"header\"}", "its last chunk is missing"},
        {"{\"type\":\"footer\",}", "chunk 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        complaints[0] = '\0';
        snprintf(text, sizeof text, "{\"databaseId\":\"app\",\"chunks\":[%s]}", cases[i].chunks);
        put("app/snapshots/1_s.json", slice_str(text)); /* not zipped, which is taken as well */
        struct predecessor_result r = import("app");
        cr_assert_eq(r.complaints, 1, "case %zu", i);
        cr_assert_not_null(strstr(complaints, cases[i].complaint), "case %zu: %s", i, complaints);
    }
}
