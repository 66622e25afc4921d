#include "server/commands/json_split.h"

#include "core/json/json.h"

#include <string.h>

void json_split_init(struct json_split *s, const char *list, const char *name, size_t bytes_max,
                     enum sync_err (*element)(void *arg, struct slice text, struct err_ctx *ec), void *arg)
{
    *s = (struct json_split){.list = list,
                             .name = name,
                             .element = element,
                             .arg = arg,
                             .text = buf_make(bytes_max + JSON_PADDING)};
}

void json_split_deinit(struct json_split *s)
{
    buf_deinit(&s->text);
}

static enum sync_err hand_over(struct json_split *s, struct err_ctx *ec)
{
    static const char padding[JSON_PADDING];
    size_t len = s->text.len;
    s->in_element = false;
    buf_put(&s->text, padding, sizeof padding);
    enum sync_err rc = buf_check(&s->text, ec);
    if (rc == SYNC_OK) rc = s->element(s->arg, slice_of(s->text.bytes, len), ec);
    buf_clear(&s->text);
    return rc;
}

/* A text of the top object has ended: a key, or a value. */
static void end_text(struct json_split *s)
{
    if (!s->is_value) return;
    if (!slice_eq(slice_of(s->key, s->key_len), slice_str(s->name))) return;
    if (s->value_len > JSON_SPLIT_TEXT_MAX) return;
    memcpy(s->named, s->value, s->value_len);
    s->named_len = s->value_len;
    s->has_named = true;
}

static void take_text(struct json_split *s, char c)
{
    if (s->is_value && s->value_len < sizeof s->value) s->value[s->value_len++] = c;
    if (!s->is_value && s->key_len < sizeof s->key) s->key[s->key_len++] = c;
}

static void in_string(struct json_split *s, char c)
{
    bool ends = !s->escaped && c == '"';
    s->escaped = !s->escaped && c == '\\';
    if (ends) s->in_string = false;
    if (s->depth == 1 && !ends) take_text(s, c);
    if (s->depth == 1 && ends) end_text(s);
}

static enum sync_err malformed(struct err_ctx *ec)
{
    return err_set(ec, SYNC_EBADMSG, "not a JSON object with a list of objects in it");
}

static enum sync_err step(struct json_split *s, char c, struct err_ctx *ec)
{
    bool blank = c == ' ' || c == '\n' || c == '\r' || c == '\t';
    if (s->ended || (s->depth == 0 && c != '{')) return blank ? SYNC_OK : malformed(ec);
    /* Between the elements there are only commas and blanks. */
    if (s->in_list && s->depth == 2 && !s->in_element && c != '{' && c != ',' && c != ']' && !blank)
        return malformed(ec);
    switch (c) {
    case '"':
        s->in_string = true;
        if (s->depth == 1 && s->is_value) s->value_len = 0;
        if (s->depth == 1 && !s->is_value) s->key_len = 0;
        break;
    case ':':
        if (s->depth == 1) s->is_value = true;
        break;
    case ',':
        if (s->depth == 1) s->is_value = false;
        break;
    case '[':
        if (s->depth == 1 && s->is_value && slice_eq(slice_of(s->key, s->key_len), slice_str(s->list)))
            s->in_list = s->has_list = true;
        s->depth++;
        break;
    case '{':
        if (s->in_list && s->depth == 2) s->in_element = true;
        s->depth++;
        break;
    case ']':
    case '}':
        s->depth--;
        if (s->depth == 1) s->in_list = false;
        if (s->depth == 0) s->ended = true;
        break;
    default: break;
    }
    return SYNC_OK;
}

enum sync_err json_split_put(struct json_split *s, struct slice bytes, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    size_t from = 0; /* of what belongs to the element and is not copied yet */
    for (size_t i = 0; i < bytes.len && rc == SYNC_OK; i++) {
        char c = bytes.bytes[i];
        bool was_in_element = s->in_element;
        if (s->in_string)
            in_string(s, c);
        else
            rc = step(s, c, ec);
        if (rc == SYNC_OK && s->in_element && !was_in_element) from = i;
        if (rc != SYNC_OK || !s->in_element || s->in_string || s->depth != 2) continue;
        buf_put(&s->text, bytes.bytes + from, i + 1 - from);
        rc = hand_over(s, ec);
    }
    if (rc != SYNC_OK || !s->in_element) return rc;
    buf_put(&s->text, bytes.bytes + from, bytes.len - from);
    return buf_check(&s->text, ec);
}

enum sync_err json_split_end(const struct json_split *s, struct err_ctx *ec)
{
    if (!s->ended) return err_set(ec, SYNC_EBADMSG, "it is cut");
    if (!s->has_list) return err_set(ec, SYNC_EBADMSG, "it has no list \"%s\"", s->list);
    return SYNC_OK;
}
