/* Every allocation of ours fails once: loading then says so, and leaves nothing behind. The calls are wrapped
 * by the linker, so only our own code's count. */
#include "core/config.h"

#include "config_input.h"

#include <criterion/criterion.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

static int calls_until_failure = -1; /* -1: none fails */
static int calls;
static long live_blocks;

static bool fails_now(void)
{
    calls++;
    return calls_until_failure >= 0 && calls_until_failure-- == 0;
}

void *__wrap_malloc(size_t size)
{
    void *block = fails_now() ? NULL : __real_malloc(size);
    live_blocks += block != NULL;
    return block;
}

void *__wrap_realloc(void *block, size_t size)
{
    void *moved = fails_now() ? NULL : __real_realloc(block, size);
    live_blocks += block == NULL && moved != NULL;
    return moved;
}

void __wrap_free(void *block)
{
    live_blocks -= block != NULL;
    __real_free(block);
}

static enum sync_err load_all(struct loaded_config *ret, struct err_ctx *ec)
{
    struct memory_file *files =
        FILES({"sync-coordinator.json", "{\"host\":\"h\",\"cors\":{\"origin\":[\"x\",\"y\"]}}"},
              {"t", "one\ntwo\n"});
    return load(STRINGS("--auth-tokens-file=t", "--auth-mode=none"),
                STRINGS("SYNC_BASE_PATH=/x", "SYNC_PROT=1"), files, ret, ec);
}

Test(config_fault, each_failing_allocation_is_an_error_and_leaves_nothing)
{
    struct loaded_config c;
    struct err_ctx ec;
    cr_assert_eq(load_all(&c, &ec), SYNC_OK);
    cr_assert_eq(c.warnings.count, 4);
    config_unload(&c);
    cr_assert_eq(live_blocks, 0);
    int all = calls;
    cr_assert_gt(all, 5);
    for (int i = 0; i < all; i++) {
        ec.text[0] = '\0';
        calls_until_failure = i;
        enum sync_err rc = load_all(&c, &ec);
        calls_until_failure = -1;
        cr_assert_eq(rc, SYNC_ENOMEM, "allocation %d: %d %s", i, rc, ec.text);
        cr_assert_eq(live_blocks, 0, "allocation %d", i);
        cr_assert_neq(ec.text[0], '\0', "allocation %d", i);
    }
}
