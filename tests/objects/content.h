/* content.h -- bytes that can be made and checked at any offset, so that no test holds a large object. */
#ifndef TESTS_OBJECTS_CONTENT_H
#define TESTS_OBJECTS_CONTENT_H

#include "storage/objects/object_store.h"
#include "tests/objects/check.h"

#include <stdint.h>

static inline unsigned char content_byte(uint64_t seed, uint64_t offset)
{
    uint64_t z = seed + offset / 8 * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (unsigned char)(z >> offset % 8 * 8);
}

static inline void content_fill(uint64_t seed, uint64_t offset, char *ret, size_t len)
{
    for (size_t i = 0; i < len; i++) ret[i] = (char)content_byte(seed, offset + i);
}

/* A sink that checks what comes and keeps nothing. */
struct content_check {
    uint64_t seed, offset;
};

static inline enum sync_err content_take(void *arg, struct slice bytes, struct err_ctx *ec)
{
    struct content_check *c = arg;
    (void)ec;
    for (size_t i = 0; i < bytes.len; i++)
        CHECK((unsigned char)bytes.bytes[i] == content_byte(c->seed, c->offset + i), "byte %ju",
              (uintmax_t)(c->offset + i));
    c->offset += bytes.len;
    return SYNC_OK;
}

/* The object must be these bytes. */
static inline void content_check_object(struct object_store *s, struct slice key, uint64_t seed,
                                        uint64_t bytes)
{
    struct content_check c = {.seed = seed};
    struct object_sink sink = {.put = content_take, .arg = &c};
    struct err_ctx ec;
    CHECK_OK(object_get(s, NULL, key, NULL, &sink, NULL, &ec), &ec);
    CHECK(c.offset == bytes, "%ju bytes, not %ju", (uintmax_t)c.offset, (uintmax_t)bytes);
}

#endif
