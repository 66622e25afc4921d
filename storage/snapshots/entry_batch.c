#include "storage/snapshots/entry_batch.h"

#include "core/facts/fact_key.h"

#include <assert.h>
#include <stdlib.h>

bool entry_batch_is_full(const struct entry_batch *b)
{
    return b->count == ENTRY_BATCH_MAX || b->arena.bytes >= ENTRY_BATCH_BYTES_MAX;
}

enum sync_err entry_batch_add(struct entry_batch *b, const struct moved_entry *e, struct err_ctx *ec)
{
    assert(b->count < ENTRY_BATCH_MAX);
    if (b->entries == NULL) b->entries = malloc(ENTRY_BATCH_MAX * sizeof *b->entries);
    if (b->entries == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for facts");
    b->entries[b->count++] = *e;
    return SYNC_OK;
}

static bool copy(struct arena *arena, struct slice *s)
{
    struct slice bytes = arena_copy(arena, *s);
    if (bytes.bytes == NULL && s->len > 0) return false;
    *s = bytes;
    return true;
}

static bool copy_texts(struct arena *arena, struct fact *f)
{
    if (!copy(arena, &f->schema) || !copy(arena, &f->table)) return false;
    switch (f->type) {
    case FACT_CELL:
        return copy(arena, &f->cell.column) && copy(arena, &f->cell.pk) && copy(arena, &f->cell.value) &&
               (!f->cell.has_prior || copy(arena, &f->cell.prior_value));
    case FACT_DELETE:
        return copy(arena, &f->del.pk) && (!f->del.has_prior_row || copy(arena, &f->del.prior_row));
    case FACT_MIGRATION: break;
    }
    return copy(arena, &f->migration.ddl) && copy(arena, &f->migration.schema_version) &&
           (!f->migration.has_from_table || copy(arena, &f->migration.from_table));
}

enum sync_err entry_batch_copy(struct entry_batch *b, struct json_reader *reader, const struct moved_entry *e,
                               struct err_ctx *ec)
{
    struct moved_entry own = *e;
    if (!copy_texts(&b->arena, &own.fact)) return err_set(ec, SYNC_ENOMEM, "no memory for facts");
    enum sync_err rc = fact_key_make(reader, &b->arena, &own.fact, ec);
    return rc == SYNC_OK ? entry_batch_add(b, &own, ec) : rc;
}

void entry_batch_clear(struct entry_batch *b)
{
    arena_deinit(&b->arena);
    b->arena = (struct arena){0};
    b->count = 0;
}

void entry_batch_deinit(struct entry_batch *b)
{
    arena_deinit(&b->arena);
    free(b->entries);
    *b = (struct entry_batch){0};
}
