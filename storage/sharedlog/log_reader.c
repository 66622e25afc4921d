#include "storage/sharedlog/log_reader.h"

#include "storage/leveldb/crc32c.h"
#include "storage/sharedlog/log_list.h"
#include "storage/views/view.h"

#include <assert.h>
#include <stdlib.h>

enum {
    LIST_AGAIN_MAX = 20, /* in a row, without getting any further */
    ENTRY_BYTES_MAX = 1 << 30,
};

struct log_reader {
    struct object_store *store;
    const struct object_call *call;
    uint32_t partition;
    uint64_t until_ms;
    size_t name_len;
    char name[DATABASE_ID_MAX];

    struct log_list list;
    size_t next_part;                   /* of the list */
    uint64_t number;                    /* the newest that is done with */
    uint32_t listed;                    /* times, since the last progress */
    struct arena arena;                 /* of the part's head */
    const struct log_section *sections; /* the database's in the part */
    size_t section_count, next_section;
    uint32_t head_bytes;
    struct log_part part;

    const struct log_section *section; /* being read; NULL: none */
    uint64_t taken;                    /* bytes of it that are in the buffer or were */
    uint32_t crc;                      /* of those */
    struct buf piece;
    struct slice left; /* of the piece */

    struct stamp highest;       /* handed out, or asked for to be left out */
    struct stamp reached;       /* complete up to here, without a gap */
    uint8_t run[LOG_RUN_BYTES]; /* of the server that reads */
    bool has_run;
    uint8_t snapshot_run[LOG_RUN_BYTES]; /* of the server that took the snapshot that came before */
    bool has_snapshot_run;
    uint8_t section_run[LOG_RUN_BYTES]; /* of the server that wrote the newest section */
    bool has_section_run;
    bool any_run, run_ended, run_is_ours; /* of the part before */
    bool lossy; /* behind the database's newest section or its snapshot a server ended without closing */
    struct log_summary summary;
    bool ended;
};

static struct slice name_of(const struct log_reader *r)
{
    return slice_of(r->name, r->name_len);
}

/* Lists again, and goes through it from the beginning: entries that were handed out are left out by their
 * stamps, and how servers began and ended is only told by all parts in order. */
static enum sync_err list(struct log_reader *r, struct err_ctx *ec)
{
    struct log_list fresh;
    if (r->listed++ >= LIST_AGAIN_MAX)
        return err_set(ec, SYNC_EBUSY, "the shared log keeps changing while it is read");
    enum sync_err rc = log_list_read(r->store, r->call, r->partition, &fresh, ec);
    if (rc != SYNC_OK) return rc;
    log_list_deinit(&r->list);
    r->list = fresh;
    r->next_part = 0;
    r->section = NULL;
    r->section_count = r->next_section = 0;
    r->any_run = r->lossy = false;
    r->summary.closed = false;
    r->summary.object_durable = true;
    return SYNC_OK;
}

enum sync_err log_reader_open(struct object_store *s, const struct object_call *call, uint32_t partitions,
                              struct slice database, const struct stamp *after, uint64_t until_ms,
                              struct log_reader **ret, struct err_ctx *ec)
{
    if (database.len == 0 || database.len > DATABASE_ID_MAX)
        return err_set(ec, SYNC_ELIMIT, "a database's name has 1 to %d bytes, not %zu", DATABASE_ID_MAX,
                       database.len);
    struct log_reader *r = calloc(1, sizeof *r);
    if (r == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to read the shared log");
    r->store = s;
    r->call = call;
    r->partition = log_partition_of(database, partitions);
    r->until_ms = until_ms == 0 ? UINT64_MAX : until_ms;
    r->name_len = database.len;
    memcpy(r->name, database.bytes, database.len);
    r->piece = buf_make(ENTRY_BYTES_MAX);
    if (after != NULL) r->highest = r->reached = *after;
    enum sync_err rc = list(r, ec);
    if (rc != SYNC_OK) {
        log_reader_close(r);
        return rc;
    }
    *ret = r;
    return SYNC_OK;
}

void log_reader_is_of(struct log_reader *r, const uint8_t *run)
{
    memcpy(r->run, run, LOG_RUN_BYTES);
    r->has_run = true;
}

void log_reader_has_snapshot(struct log_reader *r, const uint8_t *run)
{
    r->has_snapshot_run = run != NULL;
    if (run != NULL) memcpy(r->snapshot_run, run, LOG_RUN_BYTES);
}

void log_reader_close(struct log_reader *r)
{
    if (r == NULL) return;
    log_list_deinit(&r->list);
    arena_deinit(&r->arena);
    buf_deinit(&r->piece);
    free(r);
}

/* ---- parts and sections */

/* What a run that wrote this part means for the database. */
static void pass_run(struct log_reader *r, const struct log_run *run, bool wrote_section)
{
    struct log_summary *sum = &r->summary;
    bool durable = (run->flags & LOG_OBJECT_DURABLE) != 0;
    bool took_snapshot = r->has_snapshot_run && memcmp(run->id, r->snapshot_run, LOG_RUN_BYTES) == 0;
    if (wrote_section) memcpy(r->section_run, run->id, LOG_RUN_BYTES);
    r->has_section_run = r->has_section_run || wrote_section;
    /* A section may have been covered by snapshots and dropped since this reader saw it. */
    bool was_there = r->has_section_run && memcmp(run->id, r->section_run, LOG_RUN_BYTES) == 0;
    if ((run->flags & LOG_OPENED) != 0 && r->any_run && !r->run_ended) r->lossy = true;
    if (was_there || took_snapshot) r->lossy = false; /* what came of it later came after that loss */
    if (!durable || took_snapshot) sum->object_durable = durable;
    r->any_run = true;
    r->run_ended = (run->flags & LOG_CLOSED) != 0;
    r->run_is_ours = r->has_run && memcmp(run->id, r->run, LOG_RUN_BYTES) == 0;
    sum->closed = !r->lossy && (r->run_ended || r->run_is_ours);
}

static bool wrote_section(const struct log_reader *r, uint32_t run)
{
    for (size_t i = 0; i < r->section_count; i++)
        if (r->sections[i].run == run) return true;
    return false;
}

static enum sync_err open_part(struct log_reader *r, struct err_ctx *ec)
{
    struct log_head head;
    struct log_section *sections;
    size_t count;
    r->part = r->list.parts[r->next_part];
    arena_deinit(&r->arena);
    r->section_count = r->next_section = 0;
    enum sync_err rc = log_part_head(r->store, r->call, r->partition, &r->part, &r->arena, &head, &sections,
                                     &count, &r->head_bytes, ec);
    if (rc != SYNC_OK) return rc;
    r->section_count = log_object_find(sections, count, name_of(r), &r->sections);
    r->summary.sequence = r->part.last;
    for (size_t i = 0; i < head.run_count; i++) pass_run(r, &head.runs[i], wrote_section(r, (uint32_t)i));
    return SYNC_OK;
}

/* Notes what the index says of a section; false: it need not be read. */
static bool begin_section(struct log_reader *r, const struct log_section *s)
{
    struct log_summary *sum = &r->summary;
    if (s->wall_ms > r->until_ms) return false;
    if (!sum->found || stamp_cmp(&s->last, &sum->last) >= 0) { /* a segment does not keep their order */
        sum->server_site = s->server_site;
        sum->wall_ms = s->wall_ms;
        sum->last = s->last;
    }
    sum->found = true;
    if (stamp_cmp(&s->pruned, &sum->pruned) > 0) sum->pruned = s->pruned;
    if (stamp_cmp(&s->last, &r->highest) <= 0) return false;
    if (stamp_cmp(&s->after, &r->reached) > 0) sum->gap = true;
    if (stamp_cmp(&s->last, &r->reached) > 0) r->reached = s->last;
    if (s->bytes == 0) return false;
    r->section = s;
    r->taken = 0;
    r->crc = 0;
    buf_clear(&r->piece);
    r->left = slice_of(NULL, 0);
    return true;
}

/* Reads on in the section: what is left of the last piece stays in front. */
static enum sync_err read_piece(struct log_reader *r, size_t want, struct err_ctx *ec)
{
    struct log_name name;
    size_t kept = r->left.len;
    uint64_t more = r->section->bytes - r->taken;
    if (more > want) more = want;
    if (kept > 0) memmove(r->piece.bytes, r->left.bytes, kept);
    r->piece.len = kept;
    const struct object_range range = {.offset = r->head_bytes + r->section->offset + r->taken,
                                       .bytes = more};
    log_part_name(r->partition, &r->part, &name);
    enum sync_err rc = object_get_buf(r->store, r->call, log_name_slice(&name), &range, &r->piece, NULL, ec);
    if (rc == SYNC_OK && r->piece.len - kept != more) rc = err_set(ec, SYNC_EFORMAT, "it is cut");
    if (rc != SYNC_OK) {
        err_wrap(ec, "%s", name.text);
        return rc;
    }
    r->taken += more;
    r->crc = crc32c_extend(r->crc, slice_of(r->piece.bytes + kept, more));
    r->left = buf_slice(&r->piece);
    if (r->taken == r->section->bytes && r->crc != r->section->crc)
        return err_set(ec, SYNC_EFORMAT, "%s: a damaged section of %.*s", name.text, SLICE_ARG(name_of(r)));
    return SYNC_OK;
}

/* The next entry of the section; *ret_found false: it is read through. */
static enum sync_err next_entry(struct log_reader *r, struct moved_entry *ret, bool *ret_found,
                                struct err_ctx *ec)
{
    *ret_found = false;
    for (;;) {
        size_t size = 0;
        if (r->left.len > 0) {
            enum sync_err rc = moved_frame_size(r->left, &size, ec);
            if (rc != SYNC_OK) return rc;
        }
        if (size > 0 && size <= r->left.len) {
            *ret_found = true;
            return moved_take_framed(&r->left, ret, ec);
        }
        if (r->taken == r->section->bytes) {
            if (r->left.len == 0) return SYNC_OK;
            return err_set(ec, SYNC_EFORMAT, "a section of %.*s ends within an entry", SLICE_ARG(name_of(r)));
        }
        size_t want = LOG_READER_PIECE_BYTES;
        if (size > r->left.len && size - r->left.len > want) want = size - r->left.len;
        enum sync_err rc = read_piece(r, want, ec);
        if (rc != SYNC_OK) return rc;
    }
}

/* One step: an entry, or on to the next section or part. */
static enum sync_err step(struct log_reader *r, struct moved_entry *ret, bool *ret_found, struct err_ctx *ec)
{
    if (r->section != NULL) {
        enum sync_err rc = next_entry(r, ret, ret_found, ec);
        if (rc == SYNC_OK && !*ret_found) r->section = NULL;
        return rc;
    }
    if (r->next_section < r->section_count) {
        (void)begin_section(r, &r->sections[r->next_section++]);
        return SYNC_OK;
    }
    if (r->part.last > r->number) {
        r->number = r->part.last;
        r->listed = 0;
    }
    if (r->next_part == r->list.count) {
        r->ended = true;
        return SYNC_OK;
    }
    enum sync_err rc = open_part(r, ec);
    if (rc == SYNC_OK) r->next_part++;
    return rc;
}

enum sync_err log_reader_next(struct log_reader *r, struct moved_entry *ret, struct stamp *ret_pruned,
                              bool *ret_found, struct err_ctx *ec)
{
    while (!r->ended) {
        bool found = false;
        enum sync_err rc = step(r, ret, &found, ec);
        if (rc ==
            SYNC_ENOTFOUND) { /* it went into a segment, or is covered by snapshots, since it was listed */
            r->part = (struct log_part){0};
            rc = list(r, ec);
            if (rc == SYNC_OK) continue;
        }
        if (rc != SYNC_OK) return rc;
        if (!found || stamp_cmp(&ret->stamp, &r->highest) <= 0) continue;
        r->highest = ret->stamp;
        *ret_pruned = r->section->pruned;
        *ret_found = true;
        return SYNC_OK;
    }
    *ret_found = false;
    return SYNC_OK;
}

void log_reader_summary(const struct log_reader *r, struct log_summary *ret)
{
    *ret = r->summary;
    if (r->list.count == 0) ret->object_durable = false;
}
