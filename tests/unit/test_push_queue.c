#include "server/ws/push_queue.h"

#include "frame_fixture.h"

#include <criterion/criterion.h>

static struct push_queue queue;

static void end(void)
{
    push_queue_deinit(&queue);
}

TestSuite(push_queue, .fini = end);

/* Puts a frame, or gives it back where it is not taken. */
static bool put(size_t len)
{
    struct frame *f = frame_of("shop", 1, len);
    if (push_queue_put(&queue, f)) return true;
    frame_unref(f);
    return false;
}

Test(push_queue, gives_frames_in_their_order)
{
    queue = push_queue_make(100, 1 << 20);
    cr_assert_null(push_queue_take(&queue));
    cr_assert_null(push_queue_peek(&queue));
    size_t next = 1;
    for (size_t i = 1; i <= 60; i++) { /* more in than out: the ring grows while it is turned */
        cr_assert(put(i));
        if (i % 3 != 0) continue;
        cr_assert_eq(push_queue_peek(&queue)->sets.len, next);
        struct frame *f = push_queue_take(&queue);
        cr_assert_eq(f->sets.len, next++);
        frame_unref(f);
    }
    for (struct frame *f; (f = push_queue_take(&queue)) != NULL; frame_unref(f))
        cr_assert_eq(f->sets.len, next++);
    cr_assert_eq(next, 61);
    cr_assert_eq(queue.bytes, 0);
}

Test(push_queue, is_full_at_its_frames)
{
    queue = push_queue_make(5, 1 << 20);
    for (int i = 0; i < 5; i++) cr_assert(put(1));
    cr_assert_not(put(1));
    frame_unref(push_queue_take(&queue));
    cr_assert(put(1));
}

Test(push_queue, is_full_at_its_bytes)
{
    queue = push_queue_make(100, 10);
    cr_assert(put(6));
    cr_assert(put(4));
    cr_assert_not(put(1));
    cr_assert(put(0));
    cr_assert_eq(queue.bytes, 10);
}

Test(push_queue, one_frame_fits_however_long_and_then_no_other)
{
    queue = push_queue_make(100, 10);
    cr_assert(put(1000));
    cr_assert_not(put(0));
    cr_assert_not(put(SIZE_MAX / 1024 / 1024 / 1024 / 1024)); /* nothing wraps */
    frame_unref(push_queue_take(&queue));
    cr_assert(put(10));
}

Test(push_queue, dropping_empties_it_and_tells_how_much_went)
{
    queue = push_queue_make(5, 1 << 20);
    struct frame *shared = frame_of("shop", 1, 7);
    cr_assert(put(3));
    cr_assert(push_queue_put(&queue, frame_ref(shared)));
    cr_assert_eq(push_queue_drop(&queue), 10);
    cr_assert_eq(queue.count, 0);
    cr_assert_eq(shared->refs, 1, "its reference was given back");
    cr_assert_eq(push_queue_drop(&queue), 0);
    cr_assert(push_queue_put(&queue, shared), "and is used again");
    cr_assert_eq(push_queue_peek(&queue), shared);
}
