#include "storage/shard/snapshot_note.h"

#include "store_fixture.h"

#include <criterion/criterion.h>

static const struct snapshot_note some = {.newest = {.wall_ms = 7, .counter = 3},
                                          .made_ms = 1700000000000,
                                          .before = {.wall_ms = 5},
                                          .bytes = 123456789};

Test(snapshot_note, comes_back_as_it_was_noted)
{
    uint8_t bytes[SNAPSHOT_NOTE_BYTES];
    struct snapshot_note back;
    struct err_ctx ec;
    snapshot_note_put(&some, bytes);
    cr_assert_eq(snapshot_note_get(slice_of(bytes, sizeof bytes), &back, &ec), SYNC_OK);
    cr_assert(snapshot_note_eq(&back, &some) && back.bytes == some.bytes);
}

/* Stores that were written before it held the size. */
Test(snapshot_note, one_without_a_size_is_read_too)
{
    uint8_t bytes[SNAPSHOT_NOTE_BYTES];
    struct snapshot_note back;
    struct err_ctx ec;
    snapshot_note_put(&some, bytes);
    bytes[0] = 1;
    cr_assert_eq(snapshot_note_get(slice_of(bytes, sizeof bytes - 8), &back, &ec), SYNC_OK);
    cr_assert(snapshot_note_eq(&back, &some) && back.bytes == 0);
}

Test(snapshot_note, anything_else_is_refused)
{
    uint8_t bytes[SNAPSHOT_NOTE_BYTES + 1] = {0};
    struct snapshot_note back;
    struct err_ctx ec;
    for (unsigned format = 0; format < 4; format++) {
        for (size_t len = 0; len <= sizeof bytes; len++) {
            bytes[0] = (uint8_t)format;
            bool good = (format == 1 && len == SNAPSHOT_NOTE_BYTES - 8) ||
                        (format == 2 && len == SNAPSHOT_NOTE_BYTES);
            enum sync_err rc = snapshot_note_get(slice_of(bytes, len), &back, &ec);
            cr_assert_eq(rc, good ? SYNC_OK : SYNC_EFORMAT, "format %u, %zu bytes", format, len);
        }
    }
}

Test(snapshot_note, lies_in_the_store_under_the_name)
{
    struct store_fixture x;
    struct snapshot_note back;
    struct err_ctx ec = {""};
    bool found = true;
    fixture_init(&x);
    struct slice name = slice_str("app");
    struct shard *shard = store_shard(x.store, store_shard_of(x.store, name));
    cr_assert_eq(shard_snapshot_note(shard, name, &found, &back, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_not(found);
    cr_assert_eq(shard_note_snapshot(shard, name, &some, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(shard_snapshot_note(shard, name, &found, &back, &ec), SYNC_OK, "%s", ec.text);
    cr_assert(found && snapshot_note_eq(&back, &some) && back.bytes == some.bytes);
    fixture_free(&x);
}
