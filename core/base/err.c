#include "core/base/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum sync_err err_set(struct err_ctx *ec, enum sync_err code, const char *fmt, ...)
{
    va_list ap;
    assert(code != SYNC_OK);
    va_start(ap, fmt);
    (void)vsnprintf(ec->text, sizeof ec->text, fmt, ap); /* cut texts are fine: a person reads them */
    va_end(ap);
    return code;
}

static void put_in_front(struct err_ctx *ec, const char *between, const char *fmt, va_list ap)
{
    char inner[ERR_TEXT_MAX];
    memcpy(inner, ec->text, sizeof inner);
    int n = vsnprintf(ec->text, sizeof ec->text, fmt, ap);
    size_t used = n < 0 ? 0 : (size_t)n, gap = strlen(between);
    if (used + gap + 1 >= sizeof ec->text) return; /* no room for a character of the rest */
    int room = (int)(sizeof ec->text - used - gap - 1);
    (void)snprintf(ec->text + used, sizeof ec->text - used, "%s%.*s", between, room, inner);
}

void err_wrap(struct err_ctx *ec, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put_in_front(ec, ": ", fmt, ap);
    va_end(ap);
}

void err_place(struct err_ctx *ec, const char *fmt, ...)
{
    bool in_path = ec->text[0] == '[' || ec->text[0] == '.';
    va_list ap;
    va_start(ap, fmt);
    put_in_front(ec, in_path ? "" : ": ", fmt, ap);
    va_end(ap);
}

const char *err_name(enum sync_err code)
{
    switch (code) {
#define X(c, http, name)                                                                                     \
    case SYNC_##c: return name;
        SYNC_ERR_MAP(X)
#undef X
    }
    return "unknown";
}

int err_http_status(enum sync_err code)
{
    switch (code) {
#define X(c, http, name)                                                                                     \
    case SYNC_##c: return http;
        SYNC_ERR_MAP(X)
#undef X
    }
    return 500;
}
