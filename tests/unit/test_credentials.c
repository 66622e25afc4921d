#include "storage/objects/credentials.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct credentials_keys parsed(const char *text, const char *profile)
{
    struct credentials_keys keys = {0};
    cr_assert(credentials_parse(text, profile, &keys));
    return keys;
}

Test(credentials, a_profile_is_read_as_the_aws_tools_write_it)
{
    static const char text[] =
        "# comment\n; another\n\n[default]\r\naws_access_key_id = AKID\r\n"
        "aws_secret_access_key=SE/CR+ET=\n\n  [ other ]\n  aws_access_key_id\t=\tOTHER\n"
        "region = eu-west-1\naws_secret_access_key = S2\naws_session_token = TOK==\n"
        "[profile third]\naws_secret_access_key = S3\naws_access_key_id = THIRD";
    struct credentials_keys keys = parsed(text, "default");
    cr_assert_str_eq(keys.access_key_id, "AKID");
    cr_assert_str_eq(keys.secret_access_key, "SE/CR+ET=");
    cr_assert_str_eq(keys.session_token, "");
    keys = parsed(text, "other");
    cr_assert_str_eq(keys.access_key_id, "OTHER");
    cr_assert_str_eq(keys.secret_access_key, "S2");
    cr_assert_str_eq(keys.session_token, "TOK==");
    cr_assert_str_eq(parsed(text, "third").access_key_id, "THIRD");
}

Test(credentials, profiles_without_both_halves_or_with_impossible_keys_are_none)
{
    struct credentials_keys keys = {.access_key_id = "kept"};
    static char huge[400] = "[default]\naws_secret_access_key = s\naws_access_key_id = ";
    memset(huge + strlen(huge), 'x', 200);
    static const char *const bad[] = {"",
                                      "[default]",
                                      "[default]\naws_access_key_id = a",
                                      "[default]\naws_secret_access_key = s",
                                      "aws_access_key_id = a\naws_secret_access_key = s",
                                      "[x]\naws_access_key_id = a\naws_secret_access_key = s",
                                      "[default]\naws_access_key_id = a b\naws_secret_access_key = s",
                                      "[default]\naws_access_key_id = a\rb\naws_secret_access_key = s",
                                      huge};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(credentials_parse(bad[i], "default", &keys), "case %zu", i);
    cr_assert_str_eq(keys.access_key_id, "kept", "a failure leaves what was there");
}

/* ---- sources */

static const char *fake[8][2];

static const char *fake_environment(const char *name)
{
    for (size_t i = 0; i < 8 && fake[i][0] != NULL; i++)
        if (strcmp(fake[i][0], name) == 0) return fake[i][1];
    return NULL;
}

static char path[] = "/tmp/test_credentials_XXXXXX";

static void write_profile(const char *text)
{
    char next[sizeof path + 4];
    snprintf(next, sizeof next, "%s.new", path);
    FILE *f = fopen(next, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(rename(next, path), 0);
}

static void make_file(void)
{
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
}

static void remove_file(void)
{
    unlink(path);
}

static struct credentials *opened(struct credentials_config cfg)
{
    struct credentials *c;
    struct err_ctx ec;
    cfg.environment = fake_environment;
    cr_assert_eq(credentials_new(&cfg, &c, &ec), SYNC_OK, "%s", ec.text);
    return c;
}

static void check_id(struct credentials *c, const char *id)
{
    struct credentials_keys keys;
    credentials_get(c, &keys);
    cr_assert_str_eq(keys.access_key_id, id);
}

Test(credentials, settings_come_before_the_environment_and_that_before_the_file, .init = make_file,
     .fini = remove_file)
{
    write_profile("[default]\naws_access_key_id = FILE\naws_secret_access_key = s\n"
                  "[p]\naws_access_key_id = FILE-P\naws_secret_access_key = s\n");
    fake[0][0] = "AWS_SHARED_CREDENTIALS_FILE", fake[0][1] = path;
    struct credentials *c = opened((struct credentials_config){0});
    check_id(c, "FILE");
    cr_assert(strstr(credentials_source(c), "profile default") != NULL);
    credentials_free(c);

    fake[1][0] = "AWS_PROFILE", fake[1][1] = "p";
    c = opened((struct credentials_config){0});
    check_id(c, "FILE-P");
    credentials_free(c);
    c = opened((struct credentials_config){.profile = "default"});
    check_id(c, "FILE");
    credentials_free(c);

    fake[2][0] = "AWS_ACCESS_KEY_ID", fake[2][1] = "ENV";
    fake[3][0] = "AWS_SECRET_ACCESS_KEY", fake[3][1] = "s";
    c = opened((struct credentials_config){0});
    check_id(c, "ENV");
    cr_assert_str_eq(credentials_source(c), "the environment");
    credentials_free(c);

    c = opened((struct credentials_config){.access_key_id = "SET", .secret_access_key = "s"});
    check_id(c, "SET");
    credentials_free(c);
}

Test(credentials, a_changed_file_is_read_again_and_a_broken_one_is_not_believed, .init = make_file,
     .fini = remove_file)
{
    write_profile("[default]\naws_access_key_id = FIRST\naws_secret_access_key = s\n");
    struct credentials *c = opened((struct credentials_config){.file = path});
    check_id(c, "FIRST");
    write_profile("[default]\naws_access_key_id = NEXT\naws_secret_access_key = s\naws_session_token = t\n");
    check_id(c, "NEXT");
    write_profile("[default]\naws_access_key_id = CUT");
    check_id(c, "NEXT");
    cr_assert_eq(unlink(path), 0);
    check_id(c, "NEXT");
    write_profile("[default]\naws_access_key_id = LAST\naws_secret_access_key = s\n");
    struct credentials_keys keys;
    credentials_get(c, &keys);
    cr_assert_str_eq(keys.access_key_id, "LAST");
    cr_assert_str_eq(keys.session_token, "", "no token is left over from the keys before");
    credentials_free(c);
}

Test(credentials, where_there_are_none_the_text_says_where_was_looked)
{
    struct credentials *c;
    struct err_ctx ec;
    struct credentials_config cfg = {.file = "/nonexistent/credentials", .environment = fake_environment};
    cr_assert_eq(credentials_new(&cfg, &c, &ec), SYNC_ECONFIG);
    cr_assert(strstr(ec.text, "S3_ACCESS_KEY_ID") != NULL &&
                  strstr(ec.text, "/nonexistent/credentials") != NULL,
              "%s", ec.text);
    cfg.access_key_id = "id";
    cr_assert_eq(credentials_new(&cfg, &c, &ec), SYNC_ECONFIG);
    cr_assert_str_eq(ec.text, "S3 access key without its secret, from the settings");
    cfg.secret_access_key = "s\r\nX-Evil: 1";
    cr_assert_eq(credentials_new(&cfg, &c, &ec), SYNC_ECONFIG);
}
