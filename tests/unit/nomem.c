#include "nomem.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { FAILURES_MAX = 5000 };

static _Atomic long calls, first, last; /* calls since armed; those that fail; last is 0: none */
static _Atomic bool fired, paused;
static _Atomic long live_blocks;

void nomem_arm(long nth, long times)
{
    atomic_store(&fired, false);
    atomic_store(&calls, 0);
    atomic_store(&first, nth);
    atomic_store(&last, nth + times - 1);
}

bool nomem_disarm(void)
{
    atomic_store(&last, 0);
    return atomic_load(&fired);
}

void nomem_pause(void)
{
    atomic_store(&paused, true);
}

void nomem_resume(void)
{
    atomic_store(&paused, false);
}

long nomem_live_blocks(void)
{
    return atomic_load(&live_blocks);
}

static bool fails(void)
{
    if (atomic_load(&last) == 0 || atomic_load(&paused)) return false;
    long n = atomic_fetch_add(&calls, 1) + 1;
    if (n < atomic_load(&first) || n > atomic_load(&last)) return false;
    atomic_store(&fired, true);
    errno = ENOMEM;
    return true;
}

void nomem_each(enum sync_err (*job)(struct err_ctx *ec))
{
    long at = 1;
    for (bool failed = true; failed && at < FAILURES_MAX; at++) {
        struct err_ctx ec = {""};
        long before = nomem_live_blocks();
        nomem_arm(at, 1);
        enum sync_err rc = job(&ec);
        failed = nomem_disarm();
        cr_assert_eq(nomem_live_blocks(), before, "allocation %ld leaks %ld blocks", at,
                     nomem_live_blocks() - before);
        cr_assert_eq(rc, failed ? SYNC_ENOMEM : SYNC_OK, "allocation %ld: %d %s", at, rc, ec.text);
        if (failed) cr_assert_neq(ec.text[0], '\0', "allocation %ld", at);
    }
    cr_assert_gt(at, 2, "nothing was allocated");
    cr_assert_lt(at, FAILURES_MAX);
}

/* ---- what the linker's --wrap sends here */

void *__real_malloc(size_t len);
void *__real_calloc(size_t count, size_t len);
void *__real_realloc(void *p, size_t len);
char *__real_strdup(const char *text);
void __real_free(void *p);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t count, size_t len);
void *__wrap_realloc(void *p, size_t len);
char *__wrap_strdup(const char *text);
void __wrap_free(void *p);

static void *counted(void *p)
{
    if (p != NULL) atomic_fetch_add(&live_blocks, 1);
    return p;
}

void *__wrap_malloc(size_t len)
{
    return fails() ? NULL : counted(__real_malloc(len));
}

void *__wrap_calloc(size_t count, size_t len)
{
    return fails() ? NULL : counted(__real_calloc(count, len));
}

void *__wrap_realloc(void *p, size_t len)
{
    if (fails()) return NULL;
    return p == NULL ? counted(__real_realloc(NULL, len)) : __real_realloc(p, len);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : counted(__real_strdup(text));
}

void __wrap_free(void *p)
{
    if (p != NULL) atomic_fetch_sub(&live_blocks, 1);
    __real_free(p);
}

/* operator new (std::size_t, std::nothrow_t const &) */
void *__real__ZnwmRKSt9nothrow_t(size_t len, const void *tag);
void *__wrap__ZnwmRKSt9nothrow_t(size_t len, const void *tag);

void *__wrap__ZnwmRKSt9nothrow_t(size_t len, const void *tag)
{
    return fails() ? NULL : __real__ZnwmRKSt9nothrow_t(len, tag);
}
