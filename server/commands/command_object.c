#include "server/commands/command_object.h"

#include "core/protocol/session.h"
#include "server/commands/command.h"
#include "server/commands/object_file.h"
#include "server/commands/object_work.h"
#include "server/commands/predecessor.h"
#include "storage/objects/object_walk.h"
#include "storage/shard/shard_upload.h"
#include "storage/snapshots/facts_digest.h"
#include "storage/views/view.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage_text[] =
    "Usage: sync-coordinator object list [FLAG]...\n"
    "       sync-coordinator object verify DATABASE|--all [--compare DIR] [FLAG]...\n"
    "       sync-coordinator object restore DATABASE [--until TIME] [--as NAME] [FLAG]...\n"
    "       sync-coordinator object export DATABASE FILE [FLAG]...\n"
    "       sync-coordinator object import DATABASE FILE [FLAG]...\n"
    "       sync-coordinator object import DATABASE --predecessor [FLAG]...\n"
    "\n"
    "  list      the databases that have snapshots, and the newest of each\n"
    "  verify    reads everything back, restores it into a temporary directory, and shows a digest of all "
    "facts;\n"
    "            --compare: it must be that of the database in this data directory\n"
    "  restore   brings a database into the data directory; --until: as it was then (2026-01-31T12:00:00Z),\n"
    "            under the new name of --as\n"
    "  export    writes what is in the object store of a database to a file (gzip, one JSON line a fact)\n"
    "  import    makes a new database in the data directory of such a file; --predecessor: merges the "
    "batches and\n"
    "            the newest snapshot that the TypeScript coordinator left in the object store into it\n"
    "\n"
    "FLAG: as for the server, which finds the same object store and data directory by them (--config,\n"
    "--object-dir, --s3-bucket, --data-dir, ...). The server must not run on a data directory that is "
    "named.\n";

/* What stands between the verb and the flags. */
struct arguments {
    const char *words[2]; /* database, file */
    size_t word_count;
    bool all, predecessor;
    const char *compare, *until, *as; /* NULL: not given */
    int used;                         /* of argv, the verb included */
};

static int usage(void)
{
    (void)fputs(usage_text, stderr);
    return COMMAND_USAGE;
}

static int failed(const struct err_ctx *ec)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "sync-coordinator: %s\n", ec->text);
    return COMMAND_FAILED;
}

/* ---- list */

static enum sync_err list_one(struct object_work *w, struct snapshot_place at, struct err_ctx *ec)
{
    struct slice database = at.database;
    struct snapshot_list l;
    enum sync_err rc = snapshot_list(w->objects, &w->call, at, &l, ec);
    if (rc != SYNC_OK) return rc;
    for (size_t i = 0; i < l.count; i++) {
        char stamp[STAMP_TEXT + 1], made[32];
        time_t seconds = (time_t)(l.entries[i].id.made_ms / 1000);
        struct tm tm;
        stamp_format(&l.entries[i].id.stamp, stamp);
        if (gmtime_r(&seconds, &tm) == NULL || strftime(made, sizeof made, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
            strcpy(made, "?");
        (void)printf("%.*s  %s  %s  %" PRIu64 " bytes%s\n", SLICE_ARG(database), made, stamp,
                     l.entries[i].bytes, l.entries[i].damaged ? "  damaged" : "");
    }
    snapshot_list_deinit(&l);
    return SYNC_OK;
}

/* The last place that for_all() came across. Its keys come one after the other. */
struct last_place {
    char database[DATABASE_ID_MAX];
    size_t database_len;
    char path[OBJECT_KEY_MAX];
    size_t path_len;
};

static bool is_last(const struct last_place *l, struct snapshot_place at)
{
    return slice_eq(at.database, slice_of(l->database, l->database_len)) &&
           slice_eq(at.path, slice_of(l->path, l->path_len));
}

static struct snapshot_place note_last(struct last_place *l, struct snapshot_place at)
{
    memcpy(l->database, at.database.bytes, at.database.len);
    l->database_len = at.database.len;
    if (at.path.len > 0) memcpy(l->path, at.path.bytes, at.path.len);
    l->path_len = at.path.len;
    return (struct snapshot_place){.database = slice_of(l->database, l->database_len),
                                   .path = slice_of(l->path, l->path_len)};
}

struct finding {
    struct object_work *w;
    enum sync_err (*each)(struct object_work *w, struct snapshot_place at, struct err_ctx *ec);
    struct last_place last;
};

static enum sync_err find(void *arg, const struct object_entry *e, struct err_ctx *ec)
{
    struct finding *f = arg;
    char name[DATABASE_ID_MAX];
    size_t len;
    struct snapshot_id id;
    struct snapshot_place at = {.path = slice_of(NULL, 0)};
    if (!snapshot_key_parse(e->key, &id) ||
        !snapshot_key_database(SNAPSHOTS_PREFIX, e->key, name, &len, &at.path))
        return SYNC_OK;
    at.database = slice_of(name, len);
    return is_last(&f->last, at) ? SYNC_OK : f->each(f->w, note_last(&f->last, at), ec);
}

/* Calls `each` for every database that has snapshots. They are found by the snapshots themselves, not by
 * folders: hooks may have put them at any depth. */
static enum sync_err for_all(struct object_work *w,
                             enum sync_err (*each)(struct object_work *w, struct snapshot_place at,
                                                   struct err_ctx *ec),
                             struct err_ctx *ec)
{
    const struct object_query query = {.prefix = slice_str(SNAPSHOTS_PREFIX)};
    struct finding f = {.w = w, .each = each};
    return object_walk(w->objects, &w->call, &query, find, &f, ec);
}

static enum sync_err run_list(struct object_work *w, const struct arguments *a, struct err_ctx *ec)
{
    (void)a;
    return for_all(w, list_one, ec);
}

/* ---- verify */

static const char *compare_dir; /* of the command under way: for_all()'s callback has no room for it */

static enum sync_err digest_of(struct work_store *s, struct slice database, struct facts_digest *ret,
                               struct err_ctx *ec)
{
    struct view *v = NULL;
    enum sync_err rc = view_open(work_shard(s, database), database, &v, ec);
    if (rc == SYNC_OK) rc = facts_digest(v, ret, ec);
    view_close(v);
    return rc;
}

static enum sync_err compare(struct object_work *w, struct slice database, const struct facts_digest *found,
                             struct err_ctx *ec)
{
    struct work_store live;
    struct facts_digest digest;
    enum sync_err rc = work_store_open(w, compare_dir, &live, ec);
    if (rc == SYNC_OK) rc = digest_of(&live, database, &digest, ec);
    if (rc == SYNC_OK && strcmp(digest.counts.sha256, found->counts.sha256) != 0)
        rc = err_set(ec, SYNC_EFORMAT, "database %.*s: the data directory has other facts, digest %s",
                     SLICE_ARG(database), digest.counts.sha256);
    work_store_close(&live);
    return rc;
}

static enum sync_err verify_one(struct object_work *w, struct slice database, struct err_ctx *ec)
{
    struct work_store to;
    struct restore_result result;
    struct facts_digest digest;
    enum sync_err rc = work_store_temporary(&to, ec);
    if (rc == SYNC_OK) rc = work_restore(w, database, &to, database, 0, &result, ec);
    if (rc == SYNC_OK) rc = digest_of(&to, database, &digest, ec);
    work_store_close(&to);
    if (rc == SYNC_OK)
        (void)printf("%.*s  %" PRIu64 " cells, %" PRIu64 " deletes, %" PRIu64 " migrations  %s  %s\n",
                     SLICE_ARG(database), digest.counts.cells, digest.counts.deletes,
                     digest.counts.migrations, digest.counts.sha256,
                     result.complete ? "complete" : "its end may be missing");
    if (rc == SYNC_OK && result.set_aside > 0)
        rc = err_set(ec, SYNC_EFORMAT, "database %.*s: %u snapshots are damaged", SLICE_ARG(database),
                     result.set_aside);
    if (rc == SYNC_OK && compare_dir != NULL) rc = compare(w, database, &digest, ec);
    return rc;
}

/* As the server will look for it: where the hooks say. */
static enum sync_err verify_at(struct object_work *w, struct snapshot_place at, struct err_ctx *ec)
{
    return verify_one(w, at.database, ec);
}

static enum sync_err run_verify(struct object_work *w, const struct arguments *a, struct err_ctx *ec)
{
    compare_dir = a->compare;
    return a->all ? for_all(w, verify_at, ec) : verify_one(w, slice_str(a->words[0]), ec);
}

/* ---- restore */

static bool parse_time(const char *text, uint64_t *ret_ms)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (end == NULL || (strcmp(end, "Z") != 0 && *end != '\0')) return false;
    time_t seconds = timegm(&tm);
    if (seconds <= 0) return false;
    *ret_ms = (uint64_t)seconds * 1000;
    return true;
}

static enum sync_err run_restore(struct object_work *w, const struct arguments *a, struct err_ctx *ec)
{
    struct slice database = slice_str(a->words[0]), as = slice_str(a->as == NULL ? a->words[0] : a->as);
    struct work_store to;
    struct restore_result result;
    uint64_t until_ms = 0;
    if (a->until != NULL && !parse_time(a->until, &until_ms))
        return err_set(ec, SYNC_ECONFIG, "--until: not a time like 2026-01-31T12:00:00Z (UTC)");
    if (a->until != NULL && slice_eq(database, as))
        return err_set(ec, SYNC_ECONFIG,
                       "--until needs --as: clients of %s have what came later, and would bring it back",
                       a->words[0]);
    if (!database_id_is_valid(as)) return err_set(ec, SYNC_ECONFIG, "--as: not a database's id");
    enum sync_err rc = work_store_open(w, NULL, &to, ec);
    if (rc == SYNC_OK) rc = work_restore(w, database, &to, as, until_ms, &result, ec);
    /* A copy is in no object store yet. */
    if (rc == SYNC_OK && !slice_eq(database, as))
        rc = shard_wait_from_start(work_shard(&to, as), as, (uint64_t)time(NULL) * 1000, ec);
    work_store_close(&to);
    if (rc == SYNC_OK)
        (void)printf("%.*s  %" PRIu64 " facts from the snapshot, %" PRIu64 " from the log%s\n", SLICE_ARG(as),
                     result.snapshot_facts, result.log_facts,
                     result.complete ? "" : "; its end may be missing, clients are asked for it");
    return rc;
}

/* ---- export and import */

static enum sync_err run_export(struct object_work *w, const struct arguments *a, struct err_ctx *ec)
{
    struct slice database = slice_str(a->words[0]);
    struct work_store to;
    struct restore_result result;
    enum sync_err rc = work_store_temporary(&to, ec);
    if (rc == SYNC_OK) rc = work_restore(w, database, &to, database, 0, &result, ec);
    if (rc == SYNC_OK) rc = object_file_write(&to, database, a->words[1], ec);
    work_store_close(&to);
    return rc;
}

static void complain(void *arg, struct slice key, const struct err_ctx *why)
{
    (void)arg;
    (void)fprintf(stderr, "sync-coordinator: %.*s: %s; left out\n", SLICE_ARG(key), why->text);
}

static enum sync_err import_predecessor(struct object_work *w, struct slice database, struct err_ctx *ec)
{
    struct work_store to;
    struct predecessor_result r = {0};
    enum sync_err rc = work_store_open(w, NULL, &to, ec);
    if (rc == SYNC_OK) {
        const struct predecessor_import p = {.objects = w->objects,
                                             .call = &w->call,
                                             .shard = work_shard(&to, database),
                                             .database = database,
                                             .complain = complain};
        rc = predecessor_run(&p, &r, ec);
    }
    work_store_close(&to);
    if (r.batches + r.snapshots > 0)
        (void)printf("%.*s  %" PRIu64 " batches, %" PRIu64 " snapshots, %" PRIu64 " facts, %" PRIu64
                     " known or outdated\n",
                     SLICE_ARG(database), r.batches, r.snapshots, r.applied, r.skipped);
    if (rc == SYNC_OK && r.complaints > 0)
        rc = err_set(ec, SYNC_EFORMAT, "database %.*s: %" PRIu64 " objects were left out",
                     SLICE_ARG(database), r.complaints);
    return rc;
}

static enum sync_err run_import(struct object_work *w, const struct arguments *a, struct err_ctx *ec)
{
    struct slice database = slice_str(a->words[0]);
    struct work_store to;
    uint64_t facts = 0;
    if (!database_id_is_valid(database)) return err_set(ec, SYNC_ECONFIG, "not a database's id");
    if (a->predecessor) return import_predecessor(w, database, ec);
    enum sync_err rc = work_store_open(w, NULL, &to, ec);
    if (rc == SYNC_OK) rc = object_file_read(&to, database, a->words[1], &facts, ec);
    if (rc == SYNC_OK)
        rc = shard_wait_from_start(work_shard(&to, database), database, (uint64_t)time(NULL) * 1000, ec);
    work_store_close(&to);
    if (rc == SYNC_OK) (void)printf("%s  %" PRIu64 " facts\n", a->words[0], facts);
    return rc;
}

/* ---- the command line */

struct verb {
    const char *name;
    size_t words; /* that it takes */
    enum sync_err (*run)(struct object_work *w, const struct arguments *a, struct err_ctx *ec);
};

static const struct verb verbs[] = {{"list", 0, run_list},
                                    {"verify", 1, run_verify},
                                    {"restore", 1, run_restore},
                                    {"export", 2, run_export},
                                    {"import", 2, run_import}};

/* argv[0] is the verb. False: wrong use. */
static bool read_arguments(const struct verb *v, int argc, char *const argv[], struct arguments *ret)
{
    struct arguments a = {.used = 1};
    size_t words = v->words;
    while (a.used < argc) {
        const char *word = argv[a.used], *value = a.used + 1 < argc ? argv[a.used + 1] : NULL;
        const char **option = NULL;
        if (v->run == run_verify && strcmp(word, "--compare") == 0) option = &a.compare;
        if (v->run == run_restore && strcmp(word, "--until") == 0) option = &a.until;
        if (v->run == run_restore && strcmp(word, "--as") == 0) option = &a.as;
        if (v->run == run_verify && strcmp(word, "--all") == 0) {
            a.all = true;
            words = 0;
            a.used++;
        } else if (v->run == run_import && strcmp(word, "--predecessor") == 0) {
            a.predecessor = true;
            words = 1;
            a.used++;
        } else if (option != NULL) {
            if (value == NULL) return false;
            *option = value;
            a.used += 2;
        } else if (word[0] != '-' && a.word_count < words) {
            a.words[a.word_count++] = word;
            a.used++;
        } else {
            break; /* the server's flags */
        }
    }
    *ret = a;
    return a.word_count == words &&
           (words == 0 || (a.words[0][0] != '\0' && strlen(a.words[0]) <= DATABASE_ID_MAX));
}

int command_object(int argc, char *const argv[])
{
    const struct verb *verb = NULL;
    struct object_work w = {0};
    struct arguments a;
    struct err_ctx ec;
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return fputs(usage_text, stdout) < 0 ? COMMAND_FAILED : COMMAND_DONE;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0] && argc > 1; i++)
        if (strcmp(argv[1], verbs[i].name) == 0) verb = &verbs[i];
    if (verb == NULL || !read_arguments(verb, argc - 1, argv + 1, &a)) return usage();
    (void)signal(SIGPIPE, SIG_IGN);
    int first = a.used; /* what config_source() takes for the program's name */
    enum sync_err rc = object_work_open(&w, argc - first, argv + first, &ec);
    if (rc == SYNC_OK) rc = verb->run(&w, &a, &ec);
    object_work_close(&w);
    if (rc != SYNC_OK) return failed(&ec);
    return fflush(stdout) == 0 ? COMMAND_DONE : COMMAND_FAILED;
}
