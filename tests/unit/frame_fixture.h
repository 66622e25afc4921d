/* frame_fixture.h -- frames of any length, without a batch. */
#ifndef TESTS_FRAME_FIXTURE_H
#define TESTS_FRAME_FIXTURE_H

#include "server/ws/frame.h"

#include <stdlib.h>
#include <string.h>

/* For frame_unref(). */
static inline struct frame *frame_of(const char *database, uint8_t sender, size_t sets_len)
{
    size_t name_len = strlen(database);
    struct frame *f = malloc(sizeof *f + name_len + sets_len);
    if (f == NULL) abort();
    *f = (struct frame){.refs = 1, .sender.bytes = {sender}};
    memcpy(f->bytes, database, name_len);
    memset(f->bytes + name_len, ' ', sets_len);
    f->database = slice_of(f->bytes, name_len);
    f->sets = slice_of(f->bytes + name_len, sets_len);
    return f;
}

#endif
