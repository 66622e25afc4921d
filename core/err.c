#include "core/err.h"

#include <assert.h>
#include <stdarg.h>
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

void err_wrap(struct err_ctx *ec, const char *fmt, ...)
{
    char inner[ERR_TEXT_MAX];
    va_list ap;
    memcpy(inner, ec->text, sizeof inner);
    va_start(ap, fmt);
    int n = vsnprintf(ec->text, sizeof ec->text, fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used >= sizeof ec->text - 3) return; /* no room for ": " and a character */
    int room = (int)(sizeof ec->text - used) - 3;
    (void)snprintf(ec->text + used, sizeof ec->text - used, ": %.*s", room, inner);
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
