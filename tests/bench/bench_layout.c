/* bench_layout.c -- where should a fact's body rest: in the arrival log, under its own key, or in both?
 *
 * Writes the same cells to one LevelDB after the other, set up as the store's are, with the store's own keys
 * and records, and measures what the server does all day: apply, overwrite, read a delta, read a snapshot.
 * The layouts take turns within a round, so that what else the machine does meets them all; figures are
 * medians of the rounds, and those in brackets are ratios to layout "both" of the same round.
 *
 *     bench-layout [DIRECTORY [SECONDS [WRITE_BUFFER_BYTES]]]
 *
 * SECONDS: a round that would end later does not begin, unless it is the first. */
#include "bench_util.h"

#include "core/base/buf.h"
#include "storage/records/keys.h"
#include "storage/records/record.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DATABASE = 1,
    BATCH_FACTS = 500,
    BATCH_BYTES_MAX = 4 << 20, /* a batch of large facts has fewer */
    ROUNDS_MAX = 31,
    READS = 3, /* in a round */
    SECONDS = 60,
    VALUE_POOL_BYTES = 16 << 20, /* values are pieces of it */
    VALUE_BYTES_MAX = 64 << 10,
    WALL_MS = 1700000000, /* of the first batch */
    /* As storage/store.c and storage/shard/shard_apply.c have them. */
    BLOOM_BITS_PER_KEY = 10,
    BLOCK_CACHE_BYTES = 8 << 20,
    WRITE_BUFFER_BYTES = 4 << 20,
    LOG_INLINE_BYTES_MAX = 4096,
};

struct layout {
    const char *name;
    bool in_cell;       /* is the body under the fact's own key? Else its stamp alone */
    size_t log_len_max; /* of a log record with a body; where it would be longer, it points to the key */
};

static const struct layout layouts[] = {
    {"log", false, SIZE_MAX},
    {"cell", true, 0},
    {"both", true, SIZE_MAX},
    {"threshold", true, LOG_INLINE_BYTES_MAX},
};

struct size {
    const char *name;
    size_t value_bytes, cells_per_row, facts;
};

static const struct size sizes[] = {
    {"5 cells of 20 bytes", 20, 5, 20000}, {"1 KiB", 1 << 10, 1, 6000},         {"4 KiB", 4 << 10, 1, 1600},
    {"16 KiB", 16 << 10, 1, 400},          {"64 KiB", VALUE_BYTES_MAX, 1, 120},
};

enum { LAYOUTS = sizeof layouts / sizeof layouts[0], SIZES = sizeof sizes / sizeof sizes[0], BOTH = 2 };

enum figure { APPLY, APPLY_CPU, OVERWRITE, OVERWRITE_CPU, OPEN, DELTA, SNAPSHOT, DISK, FIGURES };

static const char *const figure_names[FIGURES] = {
    "apply facts/s", "CPU µs",         "overwrite facts/s", "CPU µs",
    "open ms",       "delta MB/CPU s", "snapshot MB/CPU s", "disk MB",
};

/* One LevelDB under measurement. */
struct run {
    const struct layout *layout;
    const struct size *size;
    const char *pool;
    const char *dir;
    leveldb_options_t *options;
    leveldb_t *db;
    leveldb_readoptions_t *read;
    leveldb_writeoptions_t *write;
    leveldb_writebatch_t *batch;
    uint8_t *record; /* scratch */
    size_t record_capacity;
    struct stamp stamp; /* of the fact written last */
};

static void check(char *failed, const char *doing)
{
    if (failed != NULL) die("%s: %s", doing, failed);
}

static void must_do(enum sync_err rc, const struct err_ctx *ec)
{
    if (rc != SYNC_OK) die("%s", ec->text);
}

/* ---- the facts ---- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Random words out of a thousand: like text, it shrinks a little under Snappy. */
static char *make_pool(void)
{
    enum { WORDS = 1024, WORD_BYTES_MAX = 10 };
    static char words[WORDS][WORD_BYTES_MAX];
    uint64_t state = 88172645463325252u;
    char *pool = must(malloc(VALUE_POOL_BYTES));
    for (size_t i = 0; i < WORDS; i++)
        for (size_t j = 0; j < WORD_BYTES_MAX; j++) words[i][j] = (char)('a' + next_random(&state) % 26);
    for (size_t at = 0; at < VALUE_POOL_BYTES;) {
        const char *word = words[next_random(&state) % WORDS];
        size_t len = 2 + next_random(&state) % (WORD_BYTES_MAX - 2);
        for (size_t j = 0; j < len && at < VALUE_POOL_BYTES; j++) pool[at++] = word[j];
        if (at < VALUE_POOL_BYTES) pool[at++] = ' ';
    }
    return pool;
}

struct names {
    char key[64], pk[32];
};

/* The fact's texts lie in `names` and in the pool. */
static void make_fact(const struct run *r, size_t index, size_t version, const struct stamp *s,
                      struct names *names, struct fact *ret)
{
    static const char *const columns[] = {"title", "notes", "done", "position", "color"};
    static const char table[] = "main.items";
    size_t row = index / r->size->cells_per_row;
    const char *column = columns[index % r->size->cells_per_row];
    int pk_len = snprintf(names->pk, sizeof names->pk, "[%zu]", row);
    int key_len = snprintf(names->key, sizeof names->key, "%s%s%s", table, names->pk, column);
    uint64_t seed = (index + 1) * 0x9e3779b97f4a7c15u + version * 0xbf58476d1ce4e5b9u;
    size_t at = (next_random(&seed) >> 20) % (VALUE_POOL_BYTES - VALUE_BYTES_MAX);
    *ret = (struct fact){
        .type = FACT_CELL,
        .hlc = {.wall_ms = s->wall_ms, .site = {.bytes = {1, 2, 3}}, .op_seq = s->op_seq},
        .schema = slice_str("main"),
        .table = slice_str("items"),
        .key = slice_of(names->key, (size_t)key_len),
        .table_key_len = sizeof table - 1,
        .row_key_len = (uint32_t)(sizeof table - 1 + (size_t)pk_len),
        .cell = {.column = slice_str(column),
                 .pk = slice_of(names->pk, (size_t)pk_len),
                 .value = slice_of(r->pool + at, r->size->value_bytes)},
    };
}

/* ---- one fact, as each layout keeps it ---- */

/* What was got from LevelDB for one fact; to be freed. */
struct found {
    struct stored_record record;
    char *cell, *log;
};

static char *get(const struct run *r, const uint8_t *key, size_t key_len, size_t *ret_len)
{
    char *failed = NULL;
    char *value = leveldb_get(r->db, r->read, (const char *)key, key_len, ret_len, &failed);
    check(failed, "get");
    return value;
}

static void free_found(struct found *f)
{
    leveldb_free(f->cell);
    leveldb_free(f->log);
}

/* The body that belongs to a cell's value: there, or where its stamp leads. *ret_log is to be freed. */
static void resolve_cell(const struct run *r, struct slice value, struct stored_record *ret, char **ret_log)
{
    struct err_ctx ec;
    struct logged_record logged;
    struct key key;
    size_t len;
    *ret_log = NULL;
    if (r->layout->in_cell) {
        must_do(record_get_stored(value, FACT_CELL, ret, &ec), &ec);
        return;
    }
    if (!key_parse_stamp(value, &ret->stamp)) die("a cell without its stamp");
    key_log(DATABASE, &ret->stamp, &key);
    *ret_log = get(r, key.bytes, key.len, &len);
    if (*ret_log == NULL) die("a cell points to nothing");
    must_do(record_get_logged(slice_of(*ret_log, len), &logged, &ec), &ec);
    ret->fact = logged.fact;
}

static void resolve_log(const struct run *r, struct slice value, struct fact *ret, char **ret_cell)
{
    struct err_ctx ec;
    struct logged_record logged;
    struct stored_record stored;
    struct key key;
    size_t len;
    *ret_cell = NULL;
    must_do(record_get_logged(value, &logged, &ec), &ec);
    *ret = logged.fact;
    if (!logged.is_pointer) return;
    uint8_t *at = key_put_be(key.bytes, DATABASE, KEY_HEAD_BYTES - 1);
    memcpy(at, logged.pointer.bytes, logged.pointer.len);
    *ret_cell = get(r, key.bytes, KEY_HEAD_BYTES - 1 + logged.pointer.len, &len);
    if (*ret_cell == NULL) die("a log record points to nothing");
    must_do(record_get_stored(slice_of(*ret_cell, len), FACT_CELL, &stored, &ec), &ec);
    *ret = stored.fact;
}

static uint8_t *scratch(struct run *r, size_t len)
{
    if (len > r->record_capacity) {
        r->record_capacity = len * 2;
        r->record = must(realloc(r->record, r->record_capacity));
    }
    return r->record;
}

static void put(struct run *r, const struct key *key, size_t len)
{
    leveldb_writebatch_put(r->batch, (const char *)key->bytes, key->len, (const char *)r->record, len);
}

static void put_cell(struct run *r, const struct key *key, const struct fact *f)
{
    size_t len = r->layout->in_cell ? record_stored_size(f, false) : KEY_STAMP_BYTES;
    uint8_t *at = scratch(r, len);
    if (r->layout->in_cell) {
        record_put_stored(f, &r->stamp, 0, false, at);
    } else {
        at = key_put_be(at, r->stamp.wall_ms, 8);
        at = key_put_be(at, r->stamp.counter, 2);
        (void)key_put_be(at, r->stamp.op_seq, 4);
    }
    put(r, key, len);
}

static void put_log(struct run *r, const struct key *key, const struct fact *f)
{
    struct key log_key;
    size_t len = record_logged_size(f);
    if (len <= r->layout->log_len_max) {
        record_put_logged(f, 0, scratch(r, len));
    } else {
        struct slice rest = slice_of(key->bytes + KEY_HEAD_BYTES - 1, key->len - (KEY_HEAD_BYTES - 1));
        len = 1 + rest.len;
        record_put_pointer(FACT_CELL, rest, scratch(r, len));
    }
    key_log(DATABASE, &r->stamp, &log_key);
    put(r, &log_key, len);
}

/* Looks for what the fact replaces, as the merge does, and adds to the batch what its winning changes. */
static void apply_fact(struct run *r, size_t index, size_t version)
{
    struct err_ctx ec;
    struct key key, log_key;
    struct names names;
    struct fact f;
    struct found before = {0};
    uint32_t row_len;
    bool whole;
    size_t len;
    make_fact(r, index, version, &r->stamp, &names, &f);
    must_do(key_fact(DATABASE, &f, &key, &row_len, &whole, &ec), &ec);
    before.cell = get(r, key.bytes, key.len, &len);
    if ((before.cell != NULL) != (version > 0)) die("fact %zu is not as it was left", index);
    if (before.cell != NULL) {
        resolve_cell(r, slice_of(before.cell, len), &before.record, &before.log);
        f.cell.has_prior = true;
        f.cell.prior_value = before.record.fact.cell.value;
        f.cell.prior_hlc = before.record.fact.hlc;
        key_log(DATABASE, &before.record.stamp, &log_key);
        leveldb_writebatch_delete(r->batch, (const char *)log_key.bytes, log_key.len);
    }
    put_cell(r, &key, &f);
    put_log(r, &key, &f);
    free_found(&before);
}

/* ---- the measurements ---- */

static double seconds_since(uint64_t began_ns)
{
    return (double)(now_ns() - began_ns) / NS_PER_S;
}

/* Returns facts per second, and the CPU time of one in µs, with what LevelDB compacts meanwhile. Rows are
 * taken in an order that is not that of their keys. */
static double apply_all(struct run *r, size_t version, double *ret_cpu_us)
{
    enum { STRIDE = 7919 }; /* a prime that divides no count of rows */
    size_t each = r->size->cells_per_row, rows = r->size->facts / each, bytes = 0, batch_facts = 0;
    uint64_t began_ns = now_ns(), cpu_ns = process_cpu_ns();
    r->stamp.wall_ms++;
    r->stamp.op_seq = 0;
    for (size_t i = 0; i < r->size->facts; i++) {
        apply_fact(r, i / each * STRIDE % rows * each + i % each, version);
        r->stamp.op_seq++;
        batch_facts++;
        bytes += r->size->value_bytes;
        if (batch_facts < BATCH_FACTS && bytes < BATCH_BYTES_MAX && i + 1 < r->size->facts) continue;
        char *failed = NULL;
        leveldb_write(r->db, r->write, r->batch, &failed);
        check(failed, "write");
        leveldb_writebatch_clear(r->batch);
        r->stamp.wall_ms++;
        r->stamp.op_seq = 0;
        batch_facts = bytes = 0;
    }
    *ret_cpu_us = (double)(process_cpu_ns() - cpu_ns) / 1000 / (double)r->size->facts;
    return (double)r->size->facts / seconds_since(began_ns);
}

/* Reads every fact by the log or by the cells. Returns MB per second of CPU time, since the files are in the
 * kernel's cache and what others do on the machine should not count; of facts' bytes as the log spells
 * them. */
static double read_all(const struct run *r, enum key_kind kind, uint64_t *ret_bytes)
{
    struct key prefix;
    char *failed = NULL;
    size_t count = 0;
    uint64_t cpu_ns = process_cpu_ns();
    key_kind_prefix(DATABASE, kind, &prefix);
    leveldb_iterator_t *it = leveldb_create_iterator(r->db, r->read);
    *ret_bytes = 0;
    for (leveldb_iter_seek(it, (const char *)prefix.bytes, prefix.len); leveldb_iter_valid(it);
         leveldb_iter_next(it), count++) {
        size_t key_len, len;
        struct stored_record stored;
        char *other;
        const char *key = leveldb_iter_key(it, &key_len);
        const char *value = leveldb_iter_value(it, &len);
        if (!slice_starts_with(slice_of(key, key_len), key_slice(&prefix))) break;
        if (kind == KEY_LOG)
            resolve_log(r, slice_of(value, len), &stored.fact, &other);
        else
            resolve_cell(r, slice_of(value, len), &stored, &other);
        *ret_bytes += record_logged_size(&stored.fact);
        leveldb_free(other);
    }
    leveldb_iter_get_error(it, &failed);
    check(failed, "iterate");
    leveldb_iter_destroy(it);
    if (count != r->size->facts) die("%zu facts were found, not %zu", count, r->size->facts);
    return (double)*ret_bytes * 1000 / (double)(process_cpu_ns() - cpu_ns);
}

static double disk_mb(const char *path)
{
    double bytes = 0;
    DIR *d = opendir(path);
    if (d == NULL) die("open %s: %s", path, strerror(errno));
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        struct stat st;
        if (fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode)) bytes += (double)st.st_size;
    }
    (void)closedir(d); /* only listed */
    return bytes / 1e6;
}

static void open_db(struct run *r)
{
    char *failed = NULL;
    r->db = leveldb_open(r->options, r->dir, &failed);
    check(failed, "open");
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, const double *divisors, size_t count)
{
    double sorted[ROUNDS_MAX];
    assert(count > 0 && count <= ROUNDS_MAX);
    for (size_t i = 0; i < count; i++) sorted[i] = divisors == NULL ? values[i] : values[i] / divisors[i];
    qsort(sorted, count, sizeof *sorted, compare);
    return count % 2 == 1 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

/* Each time with an empty block cache: LevelDB opened anew uses none of the blocks it left there. */
static void read_often(struct run *r, double ret[FIGURES])
{
    double delta[READS], snapshot[READS];
    uint64_t by_log, by_cell;
    for (size_t i = 0; i < READS; i++) {
        open_db(r);
        delta[i] = read_all(r, KEY_LOG, &by_log);
        leveldb_close(r->db);
        open_db(r);
        snapshot[i] = read_all(r, KEY_CELL, &by_cell);
        leveldb_close(r->db);
        if (by_log != by_cell) die("log and cells differ");
    }
    ret[DELTA] = median(delta, NULL, READS);
    ret[SNAPSHOT] = median(snapshot, NULL, READS);
}

static void measure(struct run *r, double ret[FIGURES])
{
    char *failed = NULL;
    r->stamp = (struct stamp){.wall_ms = WALL_MS};
    open_db(r);
    ret[APPLY] = apply_all(r, 0, &ret[APPLY_CPU]);
    ret[OVERWRITE] = apply_all(r, 1, &ret[OVERWRITE_CPU]);
    leveldb_close(r->db);
    uint64_t began_ns = now_ns();
    open_db(r); /* what was still in the write buffer is read from LevelDB's log */
    ret[OPEN] = seconds_since(began_ns) * 1000;
    leveldb_compact_range(r->db, NULL, 0, NULL, 0);
    leveldb_close(r->db);
    ret[DISK] = disk_mb(r->dir);
    read_often(r, ret);
    leveldb_destroy_db(r->options, r->dir, &failed);
    check(failed, "remove");
}

static double figures[SIZES][LAYOUTS][FIGURES][ROUNDS_MAX];

static void run_round(struct run *r, size_t round)
{
    for (size_t s = 0; s < SIZES; s++) {
        for (size_t i = 0; i < LAYOUTS; i++) {
            size_t l = (i + round) % LAYOUTS; /* nobody is always first */
            double measured[FIGURES];
            r->size = &sizes[s];
            r->layout = &layouts[l];
            leveldb_cache_t *cache = leveldb_cache_create_lru(BLOCK_CACHE_BYTES);
            leveldb_options_set_cache(r->options, cache);
            measure(r, measured);
            leveldb_cache_destroy(cache);
            for (size_t f = 0; f < FIGURES; f++) figures[s][l][f][round] = measured[f];
        }
    }
}

static void report(size_t rounds)
{
    (void)printf("Medians of %zu rounds; in brackets, ratios to \"both\".\n\n| value | body in |", rounds);
    for (size_t f = 0; f < FIGURES; f++) (void)printf(" %s |", figure_names[f]);
    (void)printf("\n|---|---|");
    for (size_t f = 0; f < FIGURES; f++) (void)printf("---:|");
    for (size_t s = 0; s < SIZES; s++) {
        for (size_t l = 0; l < LAYOUTS; l++) {
            (void)printf("\n| %s | %s |", sizes[s].name, layouts[l].name);
            for (size_t f = 0; f < FIGURES; f++) {
                double value = median(figures[s][l][f], NULL, rounds);
                double ratio = median(figures[s][l][f], figures[s][BOTH][f], rounds);
                (void)printf(" %.*f (%.2f) |", value < 100 ? 1 : 0, value, ratio);
            }
        }
    }
    (void)printf("\n");
}

int main(int argc, char **argv)
{
    char parent[4000], dir[sizeof parent + 16];
    double seconds_max = argc > 2 ? strtod(argv[2], NULL) : SECONDS;
    size_t write_buffer = argc > 3 ? strtoul(argv[3], NULL, 10) : WRITE_BUFFER_BYTES;
    if (write_buffer < 64 << 10) die("a write buffer of at least 64 KiB is needed");
    if (snprintf(parent, sizeof parent, "%s/bench-layout-XXXXXX", argc > 1 ? argv[1] : "/tmp") >=
        (int)sizeof parent)
        die("the directory's name is too long");
    if (mkdtemp(parent) == NULL) die("make %s: %s", parent, strerror(errno));
    (void)snprintf(dir, sizeof dir, "%s/leveldb", parent);

    char *pool = make_pool();
    leveldb_filterpolicy_t *bloom = leveldb_filterpolicy_create_bloom(BLOOM_BITS_PER_KEY);
    struct run r = {.pool = pool, .dir = dir};
    r.options = leveldb_options_create();
    r.read = leveldb_readoptions_create();
    r.write = leveldb_writeoptions_create();
    r.batch = leveldb_writebatch_create();
    leveldb_options_set_create_if_missing(r.options, 1);
    leveldb_options_set_filter_policy(r.options, bloom);
    leveldb_options_set_write_buffer_size(r.options, write_buffer);
    leveldb_options_set_compression(r.options, leveldb_snappy_compression);
    leveldb_options_set_paranoid_checks(r.options, 1);
    leveldb_readoptions_set_verify_checksums(r.read, 1);
    leveldb_writeoptions_set_sync(r.write, 1);

    size_t rounds = 0;
    double longest_s = 0;
    for (uint64_t began_ns = now_ns(); rounds < ROUNDS_MAX; rounds++) {
        double at_s = seconds_since(began_ns);
        if (rounds > 0 && at_s + longest_s > seconds_max) break;
        run_round(&r, rounds);
        double took_s = seconds_since(began_ns) - at_s;
        if (took_s > longest_s) longest_s = took_s;
    }
    report(rounds);

    leveldb_writebatch_destroy(r.batch);
    leveldb_writeoptions_destroy(r.write);
    leveldb_readoptions_destroy(r.read);
    leveldb_options_destroy(r.options);
    leveldb_filterpolicy_destroy(bloom);
    free(r.record);
    free(pool);
    if (rmdir(parent) != 0) die("remove %s: %s", parent, strerror(errno));
    return 0;
}
