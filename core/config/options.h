/* options.h -- the table of all options, and how one option takes, checks and shows a value.
 *
 * A row names an option in the file, on the command line and in the environment, and says where in
 * struct config its value lies. Defaults are texts and take the same way as a value from the environment.
 *
 * Pure. Threads: the table is constant; values belong to one thread while they are set. */
#ifndef CORE_CONFIG_OPTIONS_H
#define CORE_CONFIG_OPTIONS_H

#include "core/config/config.h"

enum option_kind {
    OPTION_TEXT,      /* const char * */
    OPTION_NUMBER,    /* uint16_t, uint32_t, uint64_t or size_t */
    OPTION_DECIMAL,   /* uint32_t, in hundredths: 2.5 is 250; min and max as well */
    OPTION_BOOLEAN,   /* bool */
    OPTION_CHOICE,    /* an enum; the index of the name is the value */
    OPTION_LIST,      /* struct text_list; in a text: between commas, blanks around an item do not count */
    OPTION_ORIGIN,    /* struct cors_origin; true, false or a list; in a list `*` means all */
    OPTION_BASE_PATH, /* const char *; as struct config_server says */
    OPTION_HOOKS,     /* struct config_hook_list; in a text: PATH[:CONFIG] between semicolons or on lines */
};

enum {
    OPTION_SECRET = 1 << 0,     /* its value is never shown */
    OPTION_RELOADABLE = 1 << 1, /* a running server can take a new value over */
    OPTION_EMPTY_OK = 1 << 2,   /* a text that may be empty */
    OPTION_REPEATED = 1 << 3,   /* its flag may be given several times, for several items */
};

struct option {
    const char *path; /* in the file: "cors.origin" */
    const char *flag; /* without the dashes in front */
    char letter;      /* short flag, or 0 */
    const char *env;
    enum option_kind kind;
    unsigned traits; /* OPTION_SECRET, ... */
    size_t offset;   /* in struct config */
    size_t size;     /* of a number */
    uint64_t min, max;
    const char *const *choices; /* ended by NULL */
    const char *initial;        /* the default; NULL for an empty list */
    const char *unit;           /* of a number; or NULL */
    const char *help;           /* one sentence */
};

extern const struct option config_options[];
extern const size_t config_option_count; /* at most CONFIG_OPTIONS_MAX */

static inline size_t option_index(const struct option *o)
{
    return (size_t)(o - config_options);
}

/* NULL when there is none. */
const struct option *option_by_path(struct slice path);
const struct option *option_by_flag(struct slice flag);
const struct option *option_by_letter(char letter);

/* Do any paths start with `section` and a dot? */
bool option_is_section(struct slice section);

/* Take a value. Texts are copied into the arena. Errors: SYNC_ECONFIG ("\"x\" is not true or false"; a
 * secret's value is not named), SYNC_ENOMEM; the configuration is then unchanged. */
enum sync_err option_set_text(const struct option *o, struct config *c, struct arena *a, struct slice text,
                              struct err_ctx *ec);
enum sync_err option_set_list(const struct option *o, struct config *c, struct arena *a,
                              const struct slice *items, size_t count, struct err_ctx *ec);

void option_set_hooks(const struct option *o, struct config *c, const struct config_hook_list *list);
/* Takes the other configuration's value; texts stay where they are. */
void option_copy_value(const struct option *o, struct config *c, const struct config *from);

/* What the option takes, for a person: "a whole number from 0 to 65535". Zero terminated, cut when long. */
enum { OPTION_TAKES_MAX = 128 };
void option_takes(const struct option *o, char ret[OPTION_TAKES_MAX]);

/* Appends the value as JSON, or of a secret how much there is of it. */
void option_put_value(const struct option *o, const struct config *c, struct buf *ret);

/* Appends the value, a secret too: to compare two configurations, never to show. */
void option_put_value_unmasked(const struct option *o, const struct config *c, struct buf *ret);

/* A value as it is shown in an error: quoted, escaped, cut when long. */
struct shown_value {
    char text[80];
};
struct shown_value show_value(struct slice value);

#endif
