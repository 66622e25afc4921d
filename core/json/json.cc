// The one C++ file: simdjson's On-Demand reader behind json.h. No exception and no C++ type leaves it.
//
// On-Demand checks the structure of a text (UTF-8, quotes, brackets on the way) but trusts what it skips.
// A server that relays what it did not check would hand one client's mistake to every other, so nothing is
// skipped here: take() walks down to every scalar, and scalars are checked by the grammar of RFC 8259.
// Its own string and number conversions are not used: they refuse lone surrogates and large numbers.

#include "core/json/json.h"

#include "core/json/json_text.h"

#include <cassert>
#include <cstring>
#include <new>
#include <simdjson.h>
#include <type_traits>

namespace ondemand = simdjson::ondemand;

struct json_reader {
    ondemand::parser parser;
    ondemand::document document;
    uint32_t depth_max;
    uint32_t depth;
    enum sync_err failed;
    const char *what; // static text
    bool too_deep;
    const char *text_end;
};

namespace
{

struct walk_state {
    const char *first; // the opening bracket
    union {
        ondemand::object_iterator members;
        ondemand::array_iterator elements;
    };
    walk_state() : first(nullptr) {}
};

static_assert(simdjson::SIMDJSON_PADDING <= JSON_PADDING, "callers leave enough room");
static_assert(sizeof(ondemand::value) <= sizeof(json_value::opaque), "a value fits its C face");
static_assert(sizeof(walk_state) <= sizeof(json_walk::opaque), "a walk fits its C face");
static_assert(std::is_trivially_copyable<ondemand::value>::value, "values are copied as bytes");
static_assert(std::is_trivially_copyable<ondemand::object_iterator>::value, "walks are copied as bytes");
static_assert(std::is_trivially_copyable<ondemand::array_iterator>::value, "walks are copied as bytes");

json_value face_of(json_reader *r, const ondemand::value &v)
{
    json_value face = {};
    face.reader = r;
    memcpy(face.opaque, &v, sizeof v);
    return face;
}

ondemand::value value_of(const json_value *v)
{
    ondemand::value value;
    memcpy(static_cast<void *>(&value), v->opaque, sizeof value);
    return value;
}

// The state lives in the walk's own bytes, which are aligned for it.
walk_state *state_of(json_walk *w)
{
    return reinterpret_cast<walk_state *>(w->opaque);
}

void fail(json_reader *r, enum sync_err code, const char *what)
{
    if (r->failed != SYNC_OK) return;
    r->failed = code;
    r->what = what;
}

void fail_with(json_reader *r, simdjson::error_code error)
{
    if (error == simdjson::MEMALLOC)
        fail(r, SYNC_ENOMEM, "no memory to read it");
    else if (error == simdjson::CAPACITY)
        fail(r, SYNC_ELIMIT, "text over 4 GiB");
    else
        fail(r, SYNC_EBADMSG, simdjson::error_message(error));
}

bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

slice trimmed(std::string_view text)
{
    size_t len = text.size();
    while (len > 0 && is_blank(text[len - 1])) len--;
    return slice_of(text.data(), len);
}

bool digits(const char *&at, const char *end)
{
    const char *first = at;
    while (at < end && *at >= '0' && *at <= '9') at++;
    return at > first;
}

// number = [ "-" ] ( "0" / digit1-9 *digit ) [ "." 1*digit ] [ ("e" / "E") [ "+" / "-" ] 1*digit ]
bool is_number(slice s)
{
    const char *at = s.bytes, *end = s.bytes + s.len;
    if (at < end && *at == '-') at++;
    if (at < end && *at == '0')
        at++;
    else if (!digits(at, end))
        return false;
    if (at < end && *at == '.') {
        at++;
        if (!digits(at, end)) return false;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        if (!digits(at, end)) return false;
    }
    return at == end;
}

enum json_type type_of_first(char c)
{
    switch (c) {
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case '"': return JSON_STRING;
    case 't':
    case 'f': return JSON_BOOLEAN;
    case 'n': return JSON_NULL;
    default: return c == '-' || (c >= '0' && c <= '9') ? JSON_NUMBER : JSON_INVALID;
    }
}

// A scalar's text runs up to the next token, so what follows it is blanks or an error.
slice take_scalar(json_reader *r, const json_value *v, enum json_type type)
{
    ondemand::value value = value_of(v);
    slice text = trimmed(value.raw_json_token());
    bool good = false;
    switch (type) {
    case JSON_NUMBER: good = is_number(text); break;
    case JSON_BOOLEAN: good = slice_is(text, "true") || slice_is(text, "false"); break;
    case JSON_NULL: good = slice_is(text, "null"); break;
    case JSON_STRING:
        good = text.len >= 2 && text.bytes[text.len - 1] == '"' &&
               json_text_check(slice_of(text.bytes + 1, text.len - 2), nullptr);
        break;
    default: break;
    }
    // A string must be moved past by name: the generic skip would take `"b":` of a broken text for a key.
    if (good && type == JSON_STRING) (void)value.get_raw_json_string();
    if (good) return text;
    fail(r, SYNC_EBADMSG, type == JSON_STRING ? "bad escape in a string" : "not a JSON value");
    return slice_of(nullptr, 0);
}

json_walk walk_of(const json_value *v)
{
    json_walk w = {};
    w.reader = v->reader;
    new (static_cast<void *>(w.opaque)) walk_state();
    json_reader *r = v->reader;
    if (r->failed == SYNC_OK && r->depth == r->depth_max) {
        r->too_deep = true;
        fail(r, SYNC_EBADMSG, "nested too deeply");
    }
    if (r->failed != SYNC_OK) {
        w.ended = true;
        return w;
    }
    w.depth = ++r->depth;
    return w;
}

bool end_walk(json_walk *w)
{
    if (!w->ended) {
        w->ended = true;
        w->reader->depth = w->depth - 1;
    }
    return false;
}

// A container that ended: did it end within the text? Behind the last token simdjson sees the first byte of
// the padding, twice, and then the start of the text again; a bracket there must not close what the text left
// open.
bool close_walk(json_walk *w)
{
    json_reader *r = w->reader;
    const char *first = state_of(w)->first, *next;
    if (r->document.current_location().get(next) == simdjson::SUCCESS &&
        (next <= first || next >= r->text_end))
        fail(r, SYNC_EBADMSG, "a bracket is not closed");
    return end_walk(w);
}

} // namespace

json_reader *json_reader_new(uint32_t depth_max)
{
    json_reader *r = new (std::nothrow) json_reader();
    if (r == nullptr) return nullptr;
    r->depth_max = depth_max;
    return r;
}

void json_reader_free(json_reader *r)
{
    delete r;
}

json_value json_open(json_reader *r, const char *text, size_t len)
{
    r->failed = SYNC_OK;
    r->what = "";
    r->depth = 0;
    r->too_deep = false;
    r->text_end = text + len;
    auto document = r->parser.iterate(text, len, len + simdjson::SIMDJSON_PADDING);
    simdjson::error_code error = std::move(document).get(r->document);
    ondemand::value root;
    if (error == simdjson::SUCCESS) error = r->document.get_value().get(root);
    json_value none = {};
    none.reader = r;
    if (error == simdjson::SUCCESS) return face_of(r, root);
    if (error == simdjson::SCALAR_DOCUMENT_AS_VALUE)
        fail(r, SYNC_EBADMSG, "neither an object nor an array");
    else
        fail_with(r, error);
    return none;
}

bool json_is_too_deep(const json_reader *r)
{
    return r->too_deep;
}

enum sync_err json_check(const json_reader *r, err_ctx *ec)
{
    if (r->failed == SYNC_OK) return SYNC_OK;
    return err_set(ec, r->failed, "JSON: %s", r->what);
}

enum sync_err json_close(json_reader *r, err_ctx *ec)
{
    const char *next;
    if (r->failed == SYNC_OK && r->document.current_location().get(next) == simdjson::SUCCESS)
        fail(r, SYNC_EBADMSG, "text after the end");
    enum sync_err rc = json_check(r, ec);
    if (r->parser.capacity() > JSON_KEEP_BYTES) {
        r->document = ondemand::document();
        r->parser = ondemand::parser();
    }
    return rc;
}

enum json_type json_type(const json_value *v)
{
    if (v->reader->failed != SYNC_OK) return JSON_INVALID;
    std::string_view token = value_of(v).raw_json_token();
    enum json_type type = token.empty() ? JSON_INVALID : type_of_first(token[0]);
    if (type == JSON_INVALID) fail(v->reader, SYNC_EBADMSG, "not a JSON value");
    return type;
}

json_raw json_take(const json_value *v)
{
    enum json_type type = json_type(v);
    json_raw raw = {type, slice_of(nullptr, 0)};
    json_value child;
    switch (type) {
    case JSON_OBJECT: {
        json_walk w = json_members(v);
        slice key;
        while (json_next_member(&w, &key, &child)) (void)json_take(&child);
        raw.text = json_walk_text(&w);
        break;
    }
    case JSON_ARRAY: {
        json_walk w = json_elements(v);
        while (json_next_element(&w, &child)) (void)json_take(&child);
        raw.text = json_walk_text(&w);
        break;
    }
    case JSON_INVALID: break;
    default: raw.text = take_scalar(v->reader, v, type);
    }
    if (v->reader->failed != SYNC_OK) raw = {JSON_INVALID, slice_of(nullptr, 0)};
    return raw;
}

bool json_take_string(const json_value *v, slice *ret)
{
    if (json_type(v) != JSON_STRING) return false;
    slice text = take_scalar(v->reader, v, JSON_STRING);
    if (v->reader->failed != SYNC_OK) return false;
    *ret = slice_of(text.bytes + 1, text.len - 2);
    return true;
}

json_walk json_members(const json_value *v)
{
    json_walk w = walk_of(v);
    if (w.ended) return w;
    walk_state *s = state_of(&w);
    ondemand::value value = value_of(v);
    s->first = value.raw_json_token().data();
    ondemand::object object;
    simdjson::error_code error = value.get_object().get(object);
    if (error == simdjson::SUCCESS) error = object.begin().get(s->members);
    if (error != simdjson::SUCCESS) {
        fail_with(w.reader, error);
        end_walk(&w);
    }
    return w;
}

bool json_next_member(json_walk *w, slice *ret_key, json_value *ret)
{
    json_reader *r = w->reader;
    if (w->ended || r->failed != SYNC_OK) return end_walk(w);
    walk_state *s = state_of(w);
    r->depth = w->depth; // an inner walk may have been given up
    if (w->started) ++s->members;
    w->started = true;
    if (s->members == s->members) return close_walk(w); // compares depth with the reader's: true at the end
    ondemand::field field;
    simdjson::error_code error = (*s->members).get(field);
    if (error != simdjson::SUCCESS) {
        fail_with(r, error);
        return end_walk(w);
    }
    const char *key = field.key().raw();
    size_t len = json_text_len(key);
    if (!json_text_check(slice_of(key, len), nullptr)) {
        fail(r, SYNC_EBADMSG, "bad escape in a key");
        return end_walk(w);
    }
    *ret_key = slice_of(key, len);
    *ret = face_of(r, field.value());
    return true;
}

json_walk json_elements(const json_value *v)
{
    json_walk w = walk_of(v);
    if (w.ended) return w;
    walk_state *s = state_of(&w);
    ondemand::value value = value_of(v);
    s->first = value.raw_json_token().data();
    ondemand::array array;
    simdjson::error_code error = value.get_array().get(array);
    if (error == simdjson::SUCCESS) error = array.begin().get(s->elements);
    if (error != simdjson::SUCCESS) {
        fail_with(w.reader, error);
        end_walk(&w);
    }
    return w;
}

bool json_next_element(json_walk *w, json_value *ret)
{
    json_reader *r = w->reader;
    if (w->ended || r->failed != SYNC_OK) return end_walk(w);
    walk_state *s = state_of(w);
    r->depth = w->depth; // an inner walk may have been given up
    if (w->started) ++s->elements;
    w->started = true;
    if (s->elements == s->elements) return close_walk(w); // as above
    ondemand::value value;
    simdjson::error_code error = (*s->elements).get(value);
    if (error != simdjson::SUCCESS) {
        fail_with(r, error);
        return end_walk(w);
    }
    *ret = face_of(r, value);
    return true;
}

slice json_walk_text(json_walk *w)
{
    json_reader *r = w->reader;
    if (r->failed != SYNC_OK) return slice_of(nullptr, 0);
    assert(w->ended);
    // The reader stands on the token behind the closing bracket, or at the end of the text.
    const char *first = state_of(w)->first, *end;
    if (r->document.current_location().get(end) != simdjson::SUCCESS) end = r->text_end;
    return trimmed(std::string_view(first, static_cast<size_t>(end - first)));
}
