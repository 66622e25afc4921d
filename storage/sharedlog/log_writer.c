#include "storage/sharedlog/log_writer.h"

#include "storage/sharedlog/log_list.h"
#include "storage/sharedlog/log_names.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct log_writer {
    struct log_writer_config config;
    struct object_call call;
    uint64_t number; /* of the newest object that is confirmed */
    struct log_gather *gather;
    struct log_pack pack;
    struct buf object; /* being put; empty: none */
    struct log_progress *progress;
    size_t progress_count;
    struct log_step_info info;
    bool created; /* it is in the log, and its positions are not moved yet */
    bool lost;
    struct log_rival rival;
};

const struct log_rival *log_writer_rival(const struct log_writer *w)
{
    return &w->rival;
}

void log_writer_hurry(struct log_writer *w, uint32_t timeout_ms)
{
    w->call.timeout_ms = timeout_ms < LOG_CALL_MS ? timeout_ms : LOG_CALL_MS;
}

uint64_t log_writer_number(const struct log_writer *w)
{
    return w->number;
}

void log_writer_close(struct log_writer *w)
{
    if (w == NULL) return;
    log_gather_free(w->gather);
    log_pack_deinit(&w->pack);
    buf_deinit(&w->object);
    free(w);
}

static struct log_state state_at(const struct log_writer *w, uint64_t number)
{
    struct log_state s = {.sequence = number};
    memcpy(s.identity, w->config.meta.identity, LOG_IDENTITY_BYTES);
    return s;
}

static struct log_head head_of(const struct log_writer *w, unsigned flags)
{
    struct log_head h = {.flags = flags,
                         .wall_ms = w->config.wall_ms(),
                         .partition = w->config.partition,
                         .first = w->number + 1,
                         .last = w->number + 1,
                         .host = slice_str(w->config.host)};
    if (w->config.object_durable) h.flags |= LOG_OBJECT_DURABLE;
    if (h.host.len > LOG_HOST_MAX) h.host.len = LOG_HOST_MAX;
    memcpy(h.writer, w->config.writer, LOG_WRITER_BYTES);
    memcpy(h.run, w->config.run, LOG_RUN_BYTES);
    return h;
}

/* ---- moving positions */

/* Those of one shard, with the state where it is shard 0. */
static enum sync_err confirm_shard(struct log_writer *w, uint32_t shard, const struct log_state *state,
                                   struct upload_position *positions, bool *complete, struct err_ctx *ec)
{
    size_t count = 0;
    for (size_t i = 0; i < w->progress_count; i++) {
        const struct log_progress *p = &w->progress[i];
        if (p->shard != shard) continue;
        positions[count] = (struct upload_position){.database = p->database, .position = p->position};
        complete[count++] = p->complete;
    }
    if (count == 0 && state == NULL) return SYNC_OK;
    return w->config.uploaded(w->config.arg, shard, positions, complete, count, state, ec);
}

/* The object is in the log: notes that. Until this has worked nothing else is written; it may be repeated. */
static enum sync_err confirm(struct log_writer *w, struct err_ctx *ec)
{
    const struct log_state state = state_at(w, w->number + 1);
    size_t count = w->progress_count == 0 ? 1 : w->progress_count;
    struct upload_position *positions = malloc(count * sizeof *positions);
    bool *complete = malloc(count * sizeof *complete);
    enum sync_err rc = SYNC_OK;
    if (positions == NULL || complete == NULL)
        rc = err_set(ec, SYNC_ENOMEM, "no memory to note what is uploaded");
    for (uint32_t i = 0; i < store_shard_count(w->config.store) && rc == SYNC_OK; i++)
        rc = confirm_shard(w, i, i == 0 ? &state : NULL, positions, complete, ec);
    free(positions);
    free(complete);
    if (rc != SYNC_OK) return rc;
    w->number++;
    w->created = false;
    buf_clear(&w->object);
    log_pack_clear(&w->pack);
    w->progress_count = 0;
    return SYNC_OK;
}

/* ---- opening: what happened before */

static void writer_text(const uint8_t writer[LOG_WRITER_BYTES], char ret[2 * LOG_WRITER_BYTES + 1])
{
    for (size_t i = 0; i < LOG_WRITER_BYTES; i++) (void)sprintf(ret + 2 * i, "%02x", writer[i]);
}

static enum sync_err other_server(const struct log_rival *r, const char *what, struct err_ctx *ec)
{
    char id[2 * LOG_WRITER_BYTES + 1];
    writer_text(r->writer, id);
    return err_set(ec, SYNC_ECONFIG, "%s: server %s on host %s", what, id, r->host);
}

static bool is_ours(const struct log_writer *w, const struct log_head *h)
{
    return memcmp(w->config.writer, h->writer, LOG_WRITER_BYTES) == 0;
}

static enum sync_err too_old(struct slice what, struct err_ctx *ec)
{
    return err_set(
        ec, SYNC_ECONFIG,
        "this data directory is older than what it has written to the log: %.*s is behind. Start with "
        "an empty one, and databases are restored",
        SLICE_ARG(what));
}

/* The data directory must hold what the section says that this server accepted. */
static enum sync_err take_over_section(struct log_writer *w, const struct log_section *s, struct err_ctx *ec)
{
    uint32_t shard = store_shard_of(w->config.store, s->database);
    const struct upload_position position = {.database = s->database, .position = s->last};
    bool complete = (s->flags & LOG_SECTION_CUT) == 0;
    struct view *v = NULL;
    enum sync_err rc = view_open(store_shard(w->config.store, shard), s->database, &v, ec);
    if (rc != SYNC_OK) return rc;
    bool behind = stamp_cmp(&view_database(v)->last, &s->last) < 0;
    view_close(v);
    if (behind) return too_old(s->database, ec);
    return w->config.uploaded(w->config.arg, shard, &position, &complete, 1, NULL, ec);
}

/* What an earlier run created and did not note, or somebody else. `noted`: the data directory says how far
 * this server had come; a segment is only made of what it had noted durably. */
static enum sync_err take_over(struct log_writer *w, const struct log_part *p, bool noted, struct err_ctx *ec)
{
    struct arena arena = {0};
    struct log_head head;
    struct log_section *sections;
    struct log_rival rival;
    size_t count;
    uint32_t head_bytes;
    enum sync_err rc = log_part_head(w->config.objects, &w->call, w->config.partition, p, &arena, &head,
                                     &sections, &count, &head_bytes, ec);
    if (rc == SYNC_OK && !is_ours(w, &head)) {
        log_rival_of(&head, &rival);
        rc = other_server(
            &rival,
            "another server has taken this log over, and this data directory is out of date; start "
            "with an empty one",
            ec);
    }
    if (rc == SYNC_OK && noted && p->is_segment) rc = too_old(slice_str("the log's position"), ec);
    for (size_t i = 0; i < count && rc == SYNC_OK; i++) rc = take_over_section(w, &sections[i], ec);
    arena_deinit(&arena);
    return rc;
}

static bool store_is_empty(struct store *s)
{
    for (uint32_t i = 0; i < store_shard_count(s); i++)
        if (shard_database_count(store_shard(s, i)) > 0) return false;
    return true;
}

/* A data directory that comes to this log for the first time. */
static enum sync_err first_time(struct log_writer *w, const struct log_list *list, bool had_other,
                                struct err_ctx *ec)
{
    struct arena arena = {0};
    struct log_head head;
    struct log_section *sections;
    struct log_rival rival;
    size_t count;
    uint32_t head_bytes;
    enum sync_err rc = SYNC_OK;
    if (list->count > 0 && !store_is_empty(w->config.store)) {
        rc = log_part_head(w->config.objects, &w->call, w->config.partition, &list->parts[list->count - 1],
                           &arena, &head, &sections, &count, &head_bytes, ec);
        if (rc == SYNC_OK && !is_ours(w, &head)) {
            log_rival_of(&head, &rival);
            rc = other_server(
                &rival,
                "the log is another server's and this data directory holds databases of its own; "
                "use another bucket or key prefix, or an empty data directory",
                ec);
        }
        arena_deinit(&arena);
        for (size_t i = 0; i < list->count && rc == SYNC_OK; i++)
            rc = take_over(w, &list->parts[i], false, ec);
        return rc;
    }
    /* The positions are another log's. */
    for (uint32_t i = 0; i < store_shard_count(w->config.store) && had_other && rc == SYNC_OK; i++) {
        char name[DATABASE_ID_MAX];
        size_t len = 0;
        bool found = true;
        while (rc == SYNC_OK && found) {
            rc = shard_next_database(store_shard(w->config.store, i), slice_of(name, len), name, &len, &found,
                                     ec);
            if (rc == SYNC_OK && found &&
                log_partition_of(slice_of(name, len), w->config.meta.partitions) == w->config.partition)
                rc = w->config.wait_from_start(w->config.arg, slice_of(name, len), ec);
        }
    }
    return rc;
}

static enum sync_err find_end(struct log_writer *w, struct err_ctx *ec)
{
    struct log_list list = {0};
    struct log_state state = {0};
    bool found = false;
    enum sync_err rc =
        shard_get_log_state(store_shard(w->config.store, 0), w->config.partition, &state, &found, ec);
    if (rc == SYNC_OK) rc = log_list_read(w->config.objects, &w->call, w->config.partition, &list, ec);
    uint64_t end = log_list_last(&list);
    bool known = found && memcmp(state.identity, w->config.meta.identity, LOG_IDENTITY_BYTES) == 0;
    if (rc == SYNC_OK && !known) {
        rc = first_time(w, &list, found, ec);
    } else if (rc == SYNC_OK && end < state.sequence) {
        rc = err_set(ec, SYNC_ECONFIG,
                     "the log ends at number %" PRIu64 ", and this server has written number %" PRIu64
                     ": objects were deleted from the bucket",
                     end, state.sequence);
    } else if (rc == SYNC_OK) {
        for (size_t i = 0; i < list.count && rc == SYNC_OK; i++)
            if (list.parts[i].last > state.sequence) rc = take_over(w, &list.parts[i], true, ec);
    }
    log_list_deinit(&list);
    w->number = end;
    return rc;
}

/* Creates an object without sections. */
static enum sync_err mark(struct log_writer *w, unsigned flags, enum log_created *ret, struct err_ctx *ec)
{
    const struct log_head head = head_of(w, flags);
    enum sync_err rc = SYNC_OK;
    assert(w->pack.count == 0);
    if (w->object.len == 0) rc = log_pack_finish(&w->pack, &head, &w->object, ec); /* else the same again */
    if (rc == SYNC_OK)
        rc = log_create(w->config.objects, &w->call, w->config.partition, w->number + 1,
                        buf_slice(&w->object), ret, &w->rival, ec);
    return rc;
}

enum { OPEN_ATTEMPTS = 5 };

static enum sync_err begin(struct log_writer *w, struct err_ctx *ec)
{
    enum log_created created = LOG_LATER;
    for (int i = 0; i < OPEN_ATTEMPTS; i++) {
        enum sync_err rc = mark(w, LOG_OPENED, &created, ec);
        if (rc != SYNC_OK) return rc;
        if (created == LOG_CREATED) {
            const struct log_state state = state_at(w, w->number + 1);
            buf_clear(&w->object);
            rc = w->config.put_state(w->config.arg, &state, ec);
            if (rc == SYNC_OK) w->number++;
            return rc;
        }
        if (created == LOG_LATER) continue;
        buf_clear(&w->object);
        if (memcmp(w->rival.writer, w->config.writer, LOG_WRITER_BYTES) != 0)
            return other_server(&w->rival, "another server began to write this log at the same time", ec);
        /* A request of an earlier run of ours has landed late. */
        const struct log_part p = {.first = w->number + 1, .last = w->number + 1};
        rc = take_over(w, &p, true, ec);
        if (rc != SYNC_OK) return rc;
        w->number++;
    }
    err_wrap(ec, "begin to write the log");
    return SYNC_EBUSY;
}

enum sync_err log_writer_open(const struct log_writer_config *cfg, struct log_writer **ret,
                              struct err_ctx *ec)
{
    struct log_writer *w = calloc(1, sizeof *w);
    if (w == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to write the shared log");
    w->config = *cfg;
    w->call = (struct object_call){.timeout_ms = LOG_CALL_MS, .cancel = cfg->cancel};
    w->object = buf_make(OBJECT_PUT_BYTES_MAX);
    log_pack_init(&w->pack, OBJECT_PUT_BYTES_MAX);
    enum sync_err rc =
        log_gather_new(cfg->store, cfg->partition, cfg->meta.partitions, cfg->bytes, &w->gather, ec);
    if (rc == SYNC_OK) rc = find_end(w, ec);
    if (rc == SYNC_OK) rc = begin(w, ec);
    if (rc != SYNC_OK) {
        err_wrap(ec, "shared log in %s, partition %" PRIu32, object_store_name(cfg->objects), cfg->partition);
        log_writer_close(w);
        return rc;
    }
    *ret = w;
    return SYNC_OK;
}

/* ---- a step */

static enum sync_err make_object(struct log_writer *w, struct err_ctx *ec)
{
    struct log_step_info *info = &w->info;
    *info = (struct log_step_info){.number = w->number + 1};
    enum sync_err rc = log_gather_next(w->gather, &w->pack, w->config.wall_ms(), &w->progress,
                                       &w->progress_count, &info->more, &info->backlog, ec);
    for (uint32_t i = 0; i < store_shard_count(w->config.store) && rc == SYNC_OK && w->config.sync != NULL &&
                         w->progress_count > 0;
         i++)
        rc = w->config.sync(w->config.arg, i, ec);
    if (rc == SYNC_OK && w->progress_count > 0) {
        const struct log_head head = head_of(w, 0);
        rc = log_pack_finish(&w->pack, &head, &w->object, ec);
    }
    if (rc != SYNC_OK) {
        log_pack_clear(&w->pack);
        buf_clear(&w->object);
        w->progress_count = 0;
        log_gather_reset(w->gather);
        return rc;
    }
    info->bytes = w->object.len;
    info->entries = w->pack.entries;
    info->databases = w->progress_count;
    return SYNC_OK;
}

enum sync_err log_writer_step(struct log_writer *w, enum log_step *ret, struct log_step_info *ret_info,
                              struct err_ctx *ec)
{
    enum log_created created = LOG_CREATED;
    enum sync_err rc = SYNC_OK;
    *ret = LOG_LOST;
    if (w->lost) return SYNC_OK;
    bool again = w->object.len > 0;
    if (!again) rc = make_object(w, ec);
    if (rc != SYNC_OK) return rc;
    *ret = LOG_IDLE;
    *ret_info = w->info;
    if (again) ret_info->more = true; /* whatever came since it was made: the next step finds out */
    if (w->object.len == 0) return SYNC_OK;
    ret_info->pending_bytes = w->object.len;
    if (!w->created)
        rc = log_create(w->config.objects, &w->call, w->config.partition, w->number + 1,
                        buf_slice(&w->object), &created, &w->rival, ec);
    if (rc != SYNC_OK) return rc;
    switch (created) {
    case LOG_CREATED: break;
    case LOG_LATER: *ret = LOG_WAITS; return SYNC_OK;
    case LOG_TAKEN:
        w->lost = true;
        *ret = LOG_LOST;
        return SYNC_OK;
    }
    w->created = true;
    rc = confirm(w, ec);
    if (rc != SYNC_OK) return rc;
    ret_info->pending_bytes = 0;
    *ret = LOG_WROTE;
    return SYNC_OK;
}

enum sync_err log_writer_close_mark(struct log_writer *w, enum log_step *ret, struct err_ctx *ec)
{
    enum log_created created = LOG_LATER;
    *ret = w->lost ? LOG_LOST : LOG_WAITS;
    if (w->lost) return SYNC_OK;
    enum sync_err rc = mark(w, LOG_CLOSED, &created, ec);
    if (rc == SYNC_OK && created == LOG_CREATED) {
        w->created = true;
        rc = confirm(w, ec);
        if (rc == SYNC_OK) *ret = LOG_WROTE;
    } else if (rc == SYNC_OK && created == LOG_TAKEN) {
        w->lost = true;
        *ret = LOG_LOST;
    }
    return rc;
}
