#include "server/net/auth.h"

#include <criterion/criterion.h>

static enum sync_err check(const struct config_auth *config, const char *token)
{
    struct err_ctx ec = {""};
    struct auth *a = auth_new(config);
    cr_assert_not_null(a);
    enum sync_err rc = auth_check(a, slice_str(token), &ec);
    cr_assert_eq(rc == SYNC_OK, ec.text[0] == '\0', "a refusal has a text");
    cr_assert(token[0] == '\0' || strstr(ec.text, token) == NULL, "and does not repeat the token");
    auth_free(a);
    return rc;
}

Test(auth, without_a_mode_everybody_comes_in)
{
    const struct config_auth config = {.mode = AUTH_MODE_NONE};
    cr_assert_eq(check(&config, ""), SYNC_OK);
    cr_assert_eq(check(&config, "anything"), SYNC_OK);
}

Test(auth, only_listed_tokens_come_in)
{
    struct slice tokens[] = {slice_str("secret-one"), slice_str("secret-two"), slice_str("s")};
    const struct config_auth config = {.mode = AUTH_MODE_TOKEN_WHITELIST,
                                       .tokens = {.items = tokens, .count = 3}};
    for (size_t i = 0; i < 3; i++) cr_assert_eq(check(&config, tokens[i].bytes), SYNC_OK);
    static const char *const others[] = {"",   "secret-on", "secret-one2", "Secret-one", "secret-one ",
                                         " s", "S"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_assert_eq(check(&config, others[i]), SYNC_EAUTH, "\"%s\"", others[i]);
}

Test(auth, an_empty_list_lets_nobody_in)
{
    const struct config_auth config = {.mode = AUTH_MODE_TOKEN_WHITELIST};
    cr_assert_eq(check(&config, "x"), SYNC_EAUTH);
    cr_assert_eq(check(&config, ""), SYNC_EAUTH);
}

Test(auth, a_mode_without_its_hook_lets_nobody_in)
{
    const struct config_auth config = {.mode = AUTH_MODE_CUSTOM};
    cr_assert_eq(check(&config, "x"), SYNC_EAUTH);
}
