/* dir_name.h -- which file of an object directory holds which key.
 *
 * A key's segments become directories and one file:
 *
 *   log/0/000042        log/0/000042=
 *   a b/100%            a%20b/100%25=
 *   a (beside a/b)      a=                    the mark keeps the object a from the directory a
 *   .profile            %2Eprofile=           so no name is hidden, or leads up
 *   x * 64 + "yz"       xx...x+/yz=           a segment of 64 bytes or more goes on in a directory of its own
 *   x * 64              xx...x+/%=            "%" stands for nothing left
 *
 * Letters, digits, "-", "_" and "." stand for themselves, every other byte is %XX in upper case. A name is
 * cut after a fixed number of the key's bytes, not of its own, so that keys that begin alike lie together and
 * a directory's entries, read as entry_text() and sorted, are in key order.
 *
 * Pure. */
#ifndef STORAGE_OBJECTS_DIR_NAME_H
#define STORAGE_OBJECTS_DIR_NAME_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "storage/objects/object_store.h"

#include <stdbool.h>

enum {
    DIR_PIECE_BYTES = 64,                     /* of a key that one name holds */
    DIR_NAME_MAX = 3 * DIR_PIECE_BYTES + 1,   /* of a file name; 255 is what file systems take */
    DIR_ENTRY_TEXT_MAX = DIR_PIECE_BYTES + 1, /* the key's bytes, and the slash of a directory */
    /* All of a path: three bytes for one, and "/", a mark and "%" for each segment and each cut. */
    DIR_PATH_MAX = 3 * OBJECT_KEY_MAX + 3 * (OBJECT_KEY_SEGMENTS_MAX + OBJECT_KEY_MAX / DIR_PIECE_BYTES + 1),
};

/* Writes the relative path of a valid key, zero terminated. */
void dir_name_path(struct slice key, char ret[DIR_PATH_MAX + 1]);

enum dir_entry_kind {
    DIR_ENTRY_OBJECT,
    DIR_ENTRY_SEGMENT,  /* a directory: the key goes on behind a slash */
    DIR_ENTRY_CONTINUED /* a directory: the same segment goes on */
};

struct dir_entry {
    enum dir_entry_kind kind;
    size_t len;
    char text[DIR_ENTRY_TEXT_MAX]; /* what it adds to the key; a DIR_ENTRY_SEGMENT's ends in "/" */
};

/* The name that an entry was read from, zero terminated. */
void dir_name_entry(const struct dir_entry *e, char ret[DIR_NAME_MAX + 1]);

/* False for a name that dir_name_path() cannot have written: somebody else's file. */
bool dir_name_parse(const char *name, struct dir_entry *ret);

#endif
