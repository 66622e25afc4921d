#include "core/config/config_args.h"

#include "core/base/nearest.h"
#include "core/config/options.h"

const struct config_flag config_flags[] = {
    {.flag = "config", .letter = 'c', .takes = "FILE", .help = "Read this JSON file; it must be there."},
    {.flag = "check-config",
     .command = CONFIG_CHECK,
     .help = "Check the whole configuration and exit: 0 when it is good, 1 when not."},
    {.flag = "print-config",
     .command = CONFIG_PRINT,
     .help = "Print every option with its value and where that came from, and exit."},
    {.flag = "help", .command = CONFIG_HELP, .help = "Print this text and exit."},
    {.flag = "version", .letter = 'V', .command = CONFIG_VERSION, .help = "Print the version and exit."},
};
const size_t config_flag_count = sizeof config_flags / sizeof config_flags[0];

/* One argument that is a flag: which one, and a value that came in the same argument. */
struct flag {
    const struct option *option;     /* one of these two */
    const struct config_flag *other; /* is not NULL */
    const char *value;               /* NULL: none attached */
};

static bool find_long(struct slice name, struct flag *ret)
{
    ret->option = option_by_flag(name);
    ret->other = NULL;
    for (size_t i = 0; i < config_flag_count; i++)
        if (slice_is(name, config_flags[i].flag)) ret->other = &config_flags[i];
    return ret->option != NULL || ret->other != NULL;
}

static bool find_short(char letter, struct flag *ret)
{
    ret->option = option_by_letter(letter);
    ret->other = NULL;
    for (size_t i = 0; i < config_flag_count; i++)
        if (letter != '\0' && config_flags[i].letter == letter) ret->other = &config_flags[i];
    return ret->option != NULL || ret->other != NULL;
}

/* False when the argument is no flag of ours. */
static bool find(const char *argument, struct flag *ret)
{
    if (argument[0] != '-' || argument[1] == '\0') return false;
    if (argument[1] == '-') {
        const char *equals = strchr(argument, '=');
        size_t len = equals == NULL ? strlen(argument) : (size_t)(equals - argument);
        ret->value = equals == NULL ? NULL : equals + 1;
        return find_long(slice_of(argument + 2, len - 2), ret);
    }
    ret->value = argument[2] == '\0' ? NULL : argument + 2;
    return find_short(argument[1], ret);
}

/* Would it have been meant as a flag where a value is missing? A value may begin with a dash too: only what
 * is a flag in full counts. */
static bool is_flag(const char *argument)
{
    struct flag f;
    return find(argument, &f) && (argument[1] == '-' || argument[2] == '\0');
}

/* `before`: the option in front of it, or NULL. */
static enum sync_err refuse_unknown(const char *argument, const struct option *before, struct err_ctx *ec)
{
    bool is_word = argument[0] != '-' || argument[1] == '\0';
    if (is_word && before != NULL && before->traits & OPTION_SECRET) /* it may be half of the secret */
        return err_set(ec, SYNC_ECONFIG, "unexpected argument after the value of --%s", before->flag);
    if (is_word)
        return err_set(ec, SYNC_ECONFIG, "unexpected argument %s", show_value(slice_str(argument)).text);

    /* What stands behind the name may be a secret. */
    bool is_long = argument[1] == '-';
    struct slice name = slice_of(argument, is_long ? strcspn(argument, "=") : 2);
    struct shown_value shown = show_value(name);
    struct nearest n = nearest_to(slice_of(name.bytes + 2, is_long ? name.len - 2 : 0));
    for (size_t i = 0; i < config_option_count && is_long; i++) nearest_offer(&n, config_options[i].flag);
    for (size_t i = 0; i < config_flag_count && is_long; i++) nearest_offer(&n, config_flags[i].flag);
    if (n.name != NULL)
        return err_set(ec, SYNC_ECONFIG, "unknown flag %s; did you mean --%s?", shown.text, n.name);
    return err_set(ec, SYNC_ECONFIG, "unknown flag %s; --help lists all", shown.text);
}

static bool takes_value(const struct flag *f)
{
    return f->option != NULL || f->other->takes != NULL;
}

static const char *name_of(const struct flag *f)
{
    return f->option != NULL ? f->option->flag : f->other->flag;
}

enum sync_err config_args_parse(int argc, const char *const *argv, struct config_args *ret,
                                struct err_ctx *ec)
{
    const struct option *before = NULL;
    *ret = (struct config_args){.command = CONFIG_RUN};
    for (int i = 1; i < argc; i++) {
        struct flag f;
        if (!find(argv[i], &f)) return refuse_unknown(argv[i], before, ec);
        before = f.option;
        if (!takes_value(&f)) {
            if (f.value != NULL) return err_set(ec, SYNC_ECONFIG, "--%s takes no value", name_of(&f));
            ret->command = f.other->command;
            if (ret->command == CONFIG_HELP || ret->command == CONFIG_VERSION) return SYNC_OK;
            continue;
        }
        if (f.value == NULL) {
            if (i + 1 == argc) return err_set(ec, SYNC_ECONFIG, "--%s needs a value", name_of(&f));
            if (is_flag(argv[i + 1]))
                return err_set(ec, SYNC_ECONFIG, "--%s needs a value, but the flag %.*s follows", name_of(&f),
                               (int)strcspn(argv[i + 1], "="), argv[i + 1]);
            f.value = argv[++i];
        }
        if (f.option != NULL && f.option->traits & OPTION_REPEATED) {
            if (ret->hook_count == CONFIG_HOOKS_MAX)
                return err_set(ec, SYNC_ECONFIG, "--%s: over %d of them", f.option->flag, CONFIG_HOOKS_MAX);
            ret->hooks[ret->hook_count++] = slice_str(f.value);
        }
        if (f.option != NULL)
            ret->texts[option_index(f.option)] = f.value;
        else
            ret->file = f.value;
    }
    return SYNC_OK;
}
