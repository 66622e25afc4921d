#include "storage/objects/dir_name.h"

#include <assert.h>

static_assert(DIR_NAME_MAX <= 255, "longer than file systems take");
static_assert(DIR_PATH_MAX < 4096 - 256, "PATH_MAX, and room for the directory itself");

static const char hex_digits[] = "0123456789ABCDEF";

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

/* Appends the name of one piece and its mark (0: none). */
static char *put_piece(char *at, struct slice piece, char mark)
{
    if (piece.len == 0) *at++ = '%';
    for (size_t i = 0; i < piece.len; i++) {
        unsigned char c = (unsigned char)piece.bytes[i];
        if (is_plain(piece.bytes[i]) && !(i == 0 && c == '.')) {
            *at++ = piece.bytes[i];
        } else {
            *at++ = '%';
            *at++ = hex_digits[c >> 4];
            *at++ = hex_digits[c & 15];
        }
    }
    if (mark != 0) *at++ = mark;
    return at;
}

void dir_name_path(struct slice key, char ret[DIR_PATH_MAX + 1])
{
    char *at = ret;
    for (;;) {
        const char *slash = memchr(key.bytes, '/', key.len);
        size_t segment = slash == NULL ? key.len : (size_t)(slash - key.bytes);
        size_t piece = segment >= DIR_PIECE_BYTES ? DIR_PIECE_BYTES : segment;
        bool continued = segment >= DIR_PIECE_BYTES;
        bool last = !continued && slash == NULL;
        at = put_piece(at, slice_of(key.bytes, piece), continued ? '+' : last ? '=' : 0);
        if (last) break;
        *at++ = '/';
        size_t used = piece + (continued ? 0 : 1);
        key = slice_of(key.bytes + used, key.len - used);
    }
    *at = '\0';
    assert((size_t)(at - ret) <= DIR_PATH_MAX);
}

void dir_name_entry(const struct dir_entry *e, char ret[DIR_NAME_MAX + 1])
{
    bool segment = e->kind == DIR_ENTRY_SEGMENT;
    char mark = segment ? 0 : e->kind == DIR_ENTRY_CONTINUED ? '+' : '=';
    *put_piece(ret, slice_of(e->text, segment ? e->len - 1 : e->len), mark) = '\0';
}

static int hex_value(char c)
{
    const char *digit = c == '\0' ? NULL : strchr(hex_digits, c);
    return digit == NULL ? -1 : (int)(digit - hex_digits);
}

bool dir_name_parse(const char *name, struct dir_entry *ret)
{
    size_t len = strlen(name);
    char mark = len > 0 ? name[len - 1] : 0;
    ret->kind = mark == '=' ? DIR_ENTRY_OBJECT : mark == '+' ? DIR_ENTRY_CONTINUED : DIR_ENTRY_SEGMENT;
    if (ret->kind != DIR_ENTRY_SEGMENT) len--;
    ret->len = 0;
    if (len == 0) return false;
    bool nothing_left = len == 1 && name[0] == '%';
    for (size_t i = 0; i < len && !nothing_left; i++) {
        char c = name[i];
        if (ret->len == DIR_PIECE_BYTES) return false;
        if (c == '%') {
            int high = i + 2 < len ? hex_value(name[i + 1]) : -1;
            int low = high < 0 ? -1 : hex_value(name[i + 2]);
            if (low < 0) return false;
            c = (char)(high << 4 | low);
            if (is_plain(c) && !(c == '.' && i == 0)) return false; /* one key, one name */
            i += 2;
        } else if (!is_plain(c) || (c == '.' && i == 0)) {
            return false;
        }
        ret->text[ret->len++] = c;
    }
    if (ret->kind == DIR_ENTRY_CONTINUED) return ret->len == DIR_PIECE_BYTES;
    if (ret->len == DIR_PIECE_BYTES) return false; /* would have been continued */
    if (ret->kind == DIR_ENTRY_SEGMENT) ret->text[ret->len++] = '/';
    return true;
}
