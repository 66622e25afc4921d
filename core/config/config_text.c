/* The texts for people that are made from the table of options: the second half of config.h. */
#include "core/config/config_args.h"
#include "core/config/options.h"

#include <inttypes.h>
#include <stdio.h>

/* Appends blanks up to `width` bytes after `first`, and at least two. */
static void pad(struct buf *b, size_t first, size_t width)
{
    size_t used = b->failed == SYNC_OK ? b->len - first : width;
    for (size_t blanks = 0; blanks < 2 || used + blanks < width; blanks++) buf_put_char(b, ' ');
}

void config_write(const struct loaded_config *c, struct buf *ret)
{
    enum { PATH_WIDTH = 28 };
    for (size_t i = 0; i < config_option_count; i++) {
        size_t first = ret->len;
        buf_put_str(ret, config_options[i].path);
        pad(ret, first, PATH_WIDTH);
        option_put_value(&config_options[i], &c->config, ret);
        BUF_PUT_LIT(ret, "  (");
        buf_put_str(ret, c->origins[i].text);
        BUF_PUT_LIT(ret, ")\n");
    }
}

/* What a value looks like: "NUMBER", "fsync|os". */
static void put_takes(struct buf *b, const struct option *o, const char *between)
{
    switch (o->kind) {
    case OPTION_TEXT: buf_put_str(b, "TEXT"); break;
    case OPTION_NUMBER:
    case OPTION_DECIMAL: buf_put_str(b, "NUMBER"); break;
    case OPTION_BASE_PATH: buf_put_str(b, "PATH"); break;
    case OPTION_LIST: buf_put_str(b, "LIST"); break;
    case OPTION_HOOKS: buf_put_str(b, "PATH[:CONFIG]"); break;
    case OPTION_BOOLEAN: buf_printf(b, "true%sfalse", between); break;
    case OPTION_ORIGIN: buf_printf(b, "true%sfalse%sLIST", between, between); break;
    case OPTION_CHOICE:
        for (size_t i = 0; o->choices[i] != NULL; i++)
            buf_printf(b, "%s%s", i > 0 ? between : "", o->choices[i]);
        break;
    }
}

static void put_range(struct buf *b, const struct option *o)
{
    uint64_t unit = o->kind == OPTION_DECIMAL ? 100 : 1;
    buf_printf(b, "%" PRIu64 " to %" PRIu64, o->min / unit, o->max / unit);
    if (o->unit != NULL) buf_printf(b, " %s", o->unit);
}

/* Words on lines of at most 100 bytes, each indented. */
static void put_wrapped(struct buf *b, struct slice text)
{
    enum { INDENT = 10, LINE_BYTES_MAX = 100 };
    size_t column = LINE_BYTES_MAX; /* the first word starts a line too */
    for (size_t at = 0, end; at < text.len; at = end + 1) {
        for (end = at; end < text.len && text.bytes[end] != ' ';) end++;
        if (column + 1 + (end - at) > LINE_BYTES_MAX) {
            if (at > 0) buf_put_char(b, '\n');
            for (column = 0; column < INDENT; column++) buf_put_char(b, ' ');
        } else {
            buf_put_char(b, ' ');
            column++;
        }
        buf_put(b, text.bytes + at, end - at);
        column += end - at;
    }
    buf_put_char(b, '\n');
}

/* A further column of a line that began at `line`, or where it does not fit any more, on a line of its
 * own. */
static void put_column(struct buf *b, size_t *line, size_t width, const char *text)
{
    enum { INDENT = 10, LINE_BYTES_MAX = 104 };
    size_t used = b->failed == SYNC_OK ? b->len - *line : 0;
    if ((used < width ? width : used + 2) + strlen(text) <= LINE_BYTES_MAX) {
        pad(b, *line, width);
    } else {
        buf_put_char(b, '\n');
        *line = b->len;
        pad(b, *line, INDENT);
    }
    buf_put_str(b, text);
}

static void put_option_help(struct buf *b, const struct option *o)
{
    enum { FLAG_WIDTH = 48, ENV_WIDTH = 81 };
    struct buf text = buf_make(CONFIG_TEXT_BYTES_MAX);
    size_t line = b->len;
    if (o->letter != '\0')
        buf_printf(b, "  -%c, --%s ", o->letter, o->flag);
    else
        buf_printf(b, "      --%s ", o->flag);
    put_takes(b, o, "|");
    put_column(b, &line, FLAG_WIDTH, o->env);
    BUF_PUT_LIT(b, " ");
    put_column(b, &line, ENV_WIDTH, o->path);
    BUF_PUT_LIT(b, "\n");

    buf_put_str(&text, o->help);
    if (o->initial != NULL && o->initial[0] != '\0') {
        buf_printf(&text, " Default: %s", o->initial);
        if (o->kind == OPTION_NUMBER || o->kind == OPTION_DECIMAL) {
            BUF_PUT_LIT(&text, ", from ");
            put_range(&text, o);
        }
        buf_put_char(&text, '.');
    }
    put_wrapped(b, buf_slice(&text));
    if (text.failed != SYNC_OK) b->failed = text.failed;
    buf_deinit(&text);
}

void config_write_help(struct buf *ret)
{
    BUF_PUT_LIT(ret, "Usage: sync-coordinator [FLAG]...\n\n"
                     "The server through which CRDT databases sync, over HTTP and WebSocket.\n\n");
    for (size_t i = 0; i < config_flag_count; i++) {
        const struct config_flag *f = &config_flags[i];
        if (f->letter != '\0')
            buf_printf(ret, "  -%c, --%s", f->letter, f->flag);
        else
            buf_printf(ret, "      --%s", f->flag);
        if (f->takes != NULL) buf_printf(ret, " %s", f->takes);
        buf_put_char(ret, '\n');
        put_wrapped(ret, slice_str(f->help));
    }
    BUF_PUT_LIT(ret,
                "\nOptions: as a flag, as a variable of the environment, and as a key in the file. Flags\n"
                "win over the environment, that over the file, and that over the defaults. Without\n"
                "--config the file is " CONFIG_FILE_DEFAULT ", if there is one here. A LIST stands between\n"
                "commas (in the file it is a JSON list), and section.key is an object in the file.\n"
                "--hook may be given several times, for a chain; in the variable hooks stand between\n"
                "semicolons.\n\n");
    for (size_t i = 0; i < config_option_count; i++) put_option_help(ret, &config_options[i]);
}

void config_write_markdown(struct buf *ret)
{
    BUF_PUT_LIT(ret, "| Key in the file | Flag | Variable | Value | Default | Meaning | Reload |\n"
                     "|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *o = &config_options[i];
        buf_printf(ret, "| `%s` | `--%s`", o->path, o->flag);
        if (o->letter != '\0') buf_printf(ret, " `-%c`", o->letter);
        buf_printf(ret, " | `%s` | ", o->env);
        if (o->kind == OPTION_NUMBER || o->kind == OPTION_DECIMAL)
            put_range(ret, o);
        else
            put_takes(ret, o, ", ");
        if (o->initial != NULL && o->initial[0] != '\0')
            buf_printf(ret, " | `%s` | ", o->initial);
        else
            BUF_PUT_LIT(ret, " | none | ");
        buf_printf(ret, "%s%s | %s |\n", o->help,
                   !(o->traits & OPTION_SECRET) ? ""
                   : o->kind == OPTION_HOOKS    ? " Configuration strings are never shown."
                                                : " Never shown.",
                   o->traits & OPTION_RELOADABLE ? "yes" : "");
    }
}
