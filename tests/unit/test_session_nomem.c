/* Memory that is short in the middle of a conversation. Linked with --wrap (CMakeLists.txt): only our own
 * allocations are failed and counted. */
#include "session_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>

void *__real_malloc(size_t len);
void *__real_realloc(void *block, size_t len);
void __real_free(void *block);
void *__wrap_malloc(size_t len);
void *__wrap_realloc(void *block, size_t len);
void __wrap_free(void *block);

static size_t fail_malloc_of; /* bytes; 0: none */
static bool fail_realloc;
static long live_blocks;

void *__wrap_malloc(size_t len)
{
    void *block = len == fail_malloc_of ? NULL : __real_malloc(len);
    live_blocks += block != NULL;
    return block;
}

void *__wrap_realloc(void *block, size_t len)
{
    void *moved = fail_realloc ? NULL : __real_realloc(block, len);
    live_blocks += block == NULL && moved != NULL;
    return moved;
}

void __wrap_free(void *block)
{
    live_blocks -= block != NULL;
    __real_free(block);
}

static struct session_fixture x;

Test(session_nomem, a_database_name_that_finds_no_room_closes_and_is_not_fatal)
{
    session_fixture_init(&x);
    fail_malloc_of = strlen("shop");
    cr_assert_str_eq(says(&x, SAYS_HANDSHAKE), "error MESSAGE_ERROR, close 1011");
    fail_malloc_of = 0;
    session_fixture_free(&x);
    cr_assert_eq(live_blocks, 0);
}

/* Whoever carries it out sees that the text is not to be sent, and closes: an answer must not be waited for.
 */
Test(session_nomem, a_text_that_finds_no_room_is_marked)
{
    struct session_update u;
    session_fixture_init(&x);
    go_live(&x);
    session_lagged(&x.session);
    fail_realloc = true;
    session_drained(&x.session, x.now_ms, &u);
    fail_realloc = false;
    cr_assert_eq(u.count, 1);
    cr_assert_eq(u.actions[0].text.failed, SYNC_ENOMEM);
    session_update_deinit(&u);
    session_fixture_free(&x);
    cr_assert_eq(live_blocks, 0);
}

Test(session_nomem, an_update_that_nobody_carries_out_is_freed)
{
    static const char *const texts[] = {SAYS_HANDSHAKE, SAYS_APPLY, SAYS_GET_SNAPSHOT};
    session_fixture_init(&x);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        (void)says(&x, texts[i]); /* tells what came of it, and takes nothing */
        if (i == 0) (void)opened(&x, SYNC_OK);
    }
    (void)says_hlc(&x, SAYS_RESUME, 9); /* waits */
    cr_assert_gt(live_blocks, 0);
    session_fixture_free(&x);
    cr_assert_eq(live_blocks, 0);
}
