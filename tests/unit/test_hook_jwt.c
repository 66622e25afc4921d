#include "tests/unit/hook_fixture.h"

#include <criterion/criterion.h>
#include <jwt.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SECRET       "0123456789abcdef0123456789abcdef"
#define OTHER_SECRET "fedcba9876543210fedcba9876543210"

static struct hook_watcher watcher;
static char folder[] = "/tmp/sync-jwt-test-XXXXXX";

/* A key pair: the public half in a file, the private half as text. */
struct pair {
    char path[64];
    char private_pem[4096];
    char public_pem[2048];
};

static struct pair make_pair(const char *name, EVP_PKEY *key)
{
    struct pair p = {0};
    cr_assert_not_null(key);
    BIO *private = BIO_new(BIO_s_mem()), *public = BIO_new(BIO_s_mem());
    cr_assert(PEM_write_bio_PrivateKey(private, key, NULL, NULL, 0, NULL, NULL));
    cr_assert(PEM_write_bio_PUBKEY(public, key));
    cr_assert_gt(BIO_read(private, p.private_pem, sizeof p.private_pem - 1), 0);
    cr_assert_gt(BIO_read(public, p.public_pem, sizeof p.public_pem - 1), 0);
    (void)snprintf(p.path, sizeof p.path, "%s/%s", folder, name);
    FILE *f = fopen(p.path, "w");
    cr_assert_not_null(f);
    cr_assert_geq(fputs(p.public_pem, f), 0);
    cr_assert_eq(fclose(f), 0);
    BIO_free(private);
    BIO_free(public);
    EVP_PKEY_free(key);
    return p;
}

static struct hook_runner *with(const char *settings)
{
    struct hook_config hook = {.path = SHIPPED("jwt"), .config = settings, .timeout_ms = 20000};
    watcher_init(&watcher);
    return runner_of(&watcher, &hook, 1);
}

/* A token of claims in JSON, in which EXP+n and EXP-n stand for seconds from now. */
static char *token_of(jwt_alg_t alg, const char *key, const char *kid, const char *claims)
{
    char text[1024];
    size_t len = 0;
    jwt_t *jwt;
    while (*claims != '\0' && len < sizeof text - 32) {
        if (strncmp(claims, "EXP", 3) == 0) {
            char *end;
            long offset = strtol(claims + 3, &end, 10);
            len += (size_t)snprintf(text + len, sizeof text - len, "%ld", (long)time(NULL) + offset);
            claims = end;
        } else {
            text[len++] = *claims++;
        }
    }
    text[len] = '\0';
    cr_assert_eq(jwt_new(&jwt), 0);
    cr_assert_eq(jwt_add_grants_json(jwt, text), 0, "%s", text);
    if (kid != NULL) cr_assert_eq(jwt_add_header(jwt, "kid", kid), 0);
    cr_assert_eq(jwt_set_alg(jwt, alg, (const unsigned char *)key, key == NULL ? 0 : (int)strlen(key)), 0);
    char *token = jwt_encode_str(jwt);
    cr_assert_not_null(token);
    jwt_free(jwt);
    return token;
}

#define GOOD "{\"sub\":\"ann\",\"databases\":[\"other\",\"sh*\"],\"exp\":EXP+1000}"

static void assert_outcome(struct hook_runner *r, const char *token, enum hook_outcome want, const char *text)
{
    struct hook_result result = ask_token(r, &watcher, token);
    cr_assert_eq(result.outcome, want, "%s: %s", token, result.text);
    if (text != NULL) cr_assert_str_eq(result.text, text);
    hook_result_deinit(&result);
}

static void set_up(void)
{
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(setenv("JWT_TEST_SECRET", SECRET, 1), 0);
    cr_assert_eq(setenv("JWT_TEST_OTHER", OTHER_SECRET, 1), 0);
}

static void tear_down(void)
{
    char command[64];
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(hook_jwt, .init = set_up, .fini = tear_down);

Test(hook_jwt, a_good_token_lets_in_as_its_user_until_its_expiry)
{
    struct hook_runner *r = with("key=HS256:env:JWT_TEST_SECRET leeway_s=5 recheck_s=7");
    char *token = token_of(JWT_ALG_HS256, SECRET, NULL, GOOD);
    uint64_t now_ms = (uint64_t)time(NULL) * 1000;
    struct hook_result result = ask_token(r, &watcher, token);
    cr_assert_eq(result.outcome, HOOK_APPROVED, "%s", result.text);
    cr_assert_str_eq(result.identity->user_id, "ann");
    cr_assert(result.identity->expires_ms >= now_ms + 1003000 &&
              result.identity->expires_ms <= now_ms + 1010000);
    cr_assert(result.identity->recheck_ms >= now_ms + 6000 && result.identity->recheck_ms <= now_ms + 30000);
    hook_result_deinit(&result);
    free(token);
    cr_assert(hook_runner_close(r, 10000));
}

Test(hook_jwt, claims_are_held_to)
{
    struct hook_runner *r = with("key=HS256:env:JWT_TEST_SECRET leeway_s=10 issuer=me audience=sync");
#define MINE "\"iss\":\"me\",\"aud\":[\"x\",\"sync\"],"
    static const struct {
        const char *claims;
        const char *text; /* NULL: approved */
    } cases[] = {
        {"{" MINE "\"sub\":\"a\",\"databases\":\"shop\",\"exp\":EXP+60}", NULL},
        {"{" MINE "\"sub\":\"a\",\"databases\":\"shop\",\"exp\":EXP-5}", NULL}, /* within the leeway */
        {"{" MINE "\"sub\":\"a\",\"databases\":\"shop\",\"exp\":EXP-15}", "the token has expired"},
        {"{" MINE "\"sub\":\"a\",\"databases\":\"shop\"}", "the token has no expiry"},
        {"{" MINE "\"sub\":\"a\",\"databases\":\"shop\",\"exp\":\"9999999999\"}", "the token has no expiry"},
        {"{" MINE "\"sub\":\"a\",\"databases\":\"shop\",\"exp\":EXP+60,\"nbf\":EXP+5}", NULL},
        {"{" MINE "\"sub\":\"a\",\"databases\":\"shop\",\"exp\":EXP+60,\"nbf\":EXP+30}",
         "the token is not valid yet"},
        {"{" MINE "\"sub\":\"a\",\"databases\":\"shop\",\"exp\":EXP+60,\"nbf\":\"no\"}",
         "the token is not valid yet"},
        {"{" MINE "\"sub\":\"a\",\"databases\":[\"sho\",\"shop?\"],\"exp\":EXP+60}",
         "the token is not for this database"},
        {"{" MINE "\"sub\":\"a\",\"databases\":[],\"exp\":EXP+60}", "the token is not for this database"},
        {"{" MINE "\"sub\":\"a\",\"databases\":[1,null],\"exp\":EXP+60}",
         "the token is not for this database"},
        {"{" MINE "\"sub\":\"a\",\"exp\":EXP+60}", "the token is not for this database"},
        {"{" MINE "\"databases\":\"*\",\"exp\":EXP+60}", "the token names no user"},
        {"{" MINE "\"sub\":7,\"databases\":\"*\",\"exp\":EXP+60}", "the token names no user"},
        {"{" MINE "\"sub\":\"a\",\"databases\":\"*\",\"exp\":EXP+60,\"site_id\":\"" SITE_A "\"}", NULL},
        {"{" MINE "\"sub\":\"a\",\"databases\":\"*\",\"exp\":EXP+60,\"site_id\":\"x\"}",
         "the token is for another site id"},
        {"{" MINE "\"sub\":\"a\",\"databases\":\"*\",\"exp\":EXP+60,\"access\":\"root\"}",
         "the token's access is neither read-only nor read-write"},
        {"{\"iss\":\"you\",\"aud\":\"sync\",\"sub\":\"a\",\"databases\":\"*\",\"exp\":EXP+60}",
         "the token is from another issuer"},
        {"{\"iss\":\"me\",\"sub\":\"a\",\"databases\":\"*\",\"exp\":EXP+60}",
         "the token is for another audience"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked *a = asked_new(&watcher, HOOK_AUTHENTICATE);
        char *token = token_of(JWT_ALG_HS256, SECRET, NULL, cases[i].claims);
        a->call.input.token = slice_str(token);
        a->call.input.site_text = slice_str(SITE_A);
        struct hook_result result = ask(r, a);
        cr_assert_eq(result.outcome, cases[i].text == NULL ? HOOK_APPROVED : HOOK_REFUSED, "%s: %s",
                     cases[i].claims, result.text);
        if (cases[i].text != NULL) cr_assert_str_eq(result.text, cases[i].text, "%s", cases[i].claims);
        hook_result_deinit(&result);
        free(token);
    }
    cr_assert(hook_runner_close(r, 10000));
}

Test(hook_jwt, a_read_only_token_may_not_write)
{
    struct hook_runner *r = with("key=HS256:env:JWT_TEST_SECRET any_database=yes");
    for (int write = 0; write < 2; write++) {
        char *token = token_of(JWT_ALG_HS256, SECRET, NULL,
                               write ? "{\"sub\":\"a\",\"exp\":EXP+60}"
                                     : "{\"sub\":\"a\",\"exp\":EXP+60,\"access\":\"read-only\"}");
        struct hook_result in = ask_token(r, &watcher, token);
        cr_assert_eq(in.outcome, HOOK_APPROVED, "%s", in.text);
        for (uint32_t op = SYNC_GET_CHANGES; op <= SYNC_CONNECT; op++) {
            struct asked *a = asked_new(&watcher, HOOK_AUTHORIZE);
            hook_identity_unref(a->call.input.identity);
            a->call.input.identity = hook_identity_ref(in.identity);
            a->call.input.operation = op;
            cr_assert_eq(ask(r, a).outcome,
                         !write && op == SYNC_APPLY_CHANGES ? HOOK_REFUSED : HOOK_APPROVED);
        }
        hook_result_deinit(&in);
        free(token);
    }
    cr_assert(hook_runner_close(r, 10000));
}

Test(hook_jwt, each_algorithm_is_checked_with_its_key)
{
    struct pair rsa = make_pair("rsa.pem", EVP_RSA_gen(2048)), ec = make_pair("ec.pem", EVP_EC_gen("P-256"));
    struct pair stranger = make_pair("stranger.pem", EVP_RSA_gen(2048)),
                curve = make_pair("c.pem", EVP_EC_gen("P-256"));
    char settings[512];
    (void)snprintf(settings, sizeof settings, "key=RS256:file:%s key=ES256:file:%s", rsa.path, ec.path);
    struct hook_runner *r = with(settings);
    const struct {
        jwt_alg_t alg;
        const char *key;
        enum hook_outcome want;
    } cases[] = {
        {JWT_ALG_RS256, rsa.private_pem, HOOK_APPROVED},     {JWT_ALG_ES256, ec.private_pem, HOOK_APPROVED},
        {JWT_ALG_RS256, stranger.private_pem, HOOK_REFUSED}, {JWT_ALG_ES256, curve.private_pem, HOOK_REFUSED},
        {JWT_ALG_RS512, rsa.private_pem, HOOK_REFUSED},      {JWT_ALG_HS256, SECRET, HOOK_REFUSED},
        {JWT_ALG_HS256, rsa.public_pem, HOOK_REFUSED}, /* the public key as a secret */
        {JWT_ALG_HS256, ec.public_pem, HOOK_REFUSED},        {JWT_ALG_NONE, NULL, HOOK_REFUSED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *token = token_of(cases[i].alg, cases[i].key, NULL, GOOD);
        struct hook_result result = ask_token(r, &watcher, token);
        cr_assert_eq(result.outcome, cases[i].want, "case %zu: %s", i, result.text);
        hook_result_deinit(&result);
        free(token);
    }
    cr_assert(hook_runner_close(r, 10000));
}

Test(hook_jwt, keys_rotate_by_kid)
{
    struct hook_runner *r = with("key=HS256/new:env:JWT_TEST_OTHER key=HS256/old:env:JWT_TEST_SECRET");
    const struct {
        const char *key, *kid;
        enum hook_outcome want;
    } cases[] = {{SECRET, "old", HOOK_APPROVED}, {OTHER_SECRET, "new", HOOK_APPROVED},
                 {SECRET, "new", HOOK_REFUSED},  {SECRET, NULL, HOOK_REFUSED},
                 {SECRET, "else", HOOK_REFUSED}, {SECRET, "", HOOK_REFUSED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *token = token_of(JWT_ALG_HS256, cases[i].key, cases[i].kid, GOOD);
        assert_outcome(r, token, cases[i].want, NULL);
        free(token);
    }
    cr_assert(hook_runner_close(r, 10000));
}

Test(hook_jwt, what_is_no_token_is_refused)
{
    struct hook_runner *r = with("key=HS256:env:JWT_TEST_SECRET");
    static char huge[40000];
    memset(huge, 'a', sizeof huge - 1);
    const char *const texts[] = {"x",
                                 ".",
                                 "..",
                                 "...",
                                 "a.b.c",
                                 "e30.e30.",
                                 "e30.e30.e30",
                                 huge,
                                 "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
                                 "eyJhbGciOiJIUzI1NiJ9..",
                                 "\xff\xfe.\x01"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_outcome(r, texts[i], HOOK_REFUSED, "the token is not valid");
    assert_outcome(r, "", HOOK_REFUSED, "a token is required");
    /* A good one with each of its bytes changed, and cut after each. */
    char *token = token_of(JWT_ALG_HS256, SECRET, NULL, GOOD);
    size_t len = strlen(token);
    for (size_t i = 0; i < len; i++) {
        char before = token[i];
        token[i] = before == 'A' ? '!' : 'A';
        bool last = i == len - 1; /* whose low bits are no part of the signature */
        if (!last) assert_outcome(r, token, HOOK_REFUSED, NULL);
        token[i] = '\0';
        if (i + 1 < len || before == '\0') assert_outcome(r, token, HOOK_REFUSED, NULL);
        token[i] = before;
    }
    assert_outcome(r, token, HOOK_APPROVED, NULL);
    free(token);
    cr_assert(hook_runner_close(r, 10000));
}

Test(hook_jwt, settings_that_would_be_unsafe_or_wrong_are_refused)
{
    struct pair rsa = make_pair("rsa.pem", EVP_RSA_gen(2048));
    char pem_as_secret[128];
    (void)snprintf(pem_as_secret, sizeof pem_as_secret, "key=HS256:file:%s", rsa.path);
    cr_assert_eq(setenv("JWT_TEST_SHORT", "short", 1), 0);
    const struct {
        const char *settings, *text;
    } cases[] = {{"", "no key= is given"},
                 {pem_as_secret, "a PEM key is no secret"},
                 {"key=HS256:env:JWT_TEST_SHORT", "at least 32 bytes"},
                 {"key=none:env:JWT_TEST_SECRET", "the algorithm is"},
                 {"key=RS256:env:JWT_TEST_SECRET", "not in PEM"},
                 {"key=HS256:env:JWT_NOT_THERE", "no such environment variable"},
                 {"key=HS256:file:/not/there", "No such file"},
                 {"key=HS256", "ALG[/KID]"},
                 {"key=HS256:env:JWT_TEST_SECRET leeway_s=-1", "not a number of seconds"},
                 {"key=HS256:env:JWT_TEST_SECRET lewway_s=1", "no such setting"}};
    struct hook_runner_config config = HOOK_RUNNER_DEFAULT;
    watcher_init(&watcher);
    config.env = watcher_environment(&watcher);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hook_config hook = {.path = SHIPPED("jwt"), .config = cases[i].settings};
        struct hook_runner *r;
        struct err_ctx ec = {""};
        cr_assert_eq(hook_runner_open(&config, &hook, 1, &r, &ec), SYNC_ECONFIG, "%s", cases[i].settings);
        cr_assert_not_null(strstr(ec.text, cases[i].text), "%s", ec.text);
    }
}
