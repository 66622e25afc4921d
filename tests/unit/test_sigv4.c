#include "storage/objects/sigv4.h"

#include <criterion/criterion.h>

/* The worked examples of the Amazon S3 API reference, "Authenticating Requests: Using the Authorization
 * Header (AWS Signature Version 4)", single chunk; and the plain GET of the Signature Version 4 test
 * suite. */
static const struct sigv4_key s3_key = {.access_key_id = "AKIAIOSFODNN7EXAMPLE",
                                        .secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                        .region = "us-east-1",
                                        .service = "s3"};

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void check(const struct sigv4_request *r, const struct sigv4_key *key, const char *time,
                  const char *signed_headers, const char *signature)
{
    struct buf got = buf_make(4096), want = buf_make(4096);
    struct err_ctx ec;
    sigv4_authorization(r, key, time, &got);
    buf_printf(&want, "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/%s/aws4_request,SignedHeaders=%s,Signature=%s",
               key->access_key_id, time, key->region, key->service, signed_headers, signature);
    cr_assert_eq(buf_check(&got, &ec), SYNC_OK);
    cr_assert(slice_eq(buf_slice(&got), buf_slice(&want)), "%.*s\nis not\n%.*s", SLICE_ARG(buf_slice(&got)),
              SLICE_ARG(buf_slice(&want)));
    buf_deinit(&got);
    buf_deinit(&want);
}

Test(sigv4, signs_a_get_of_a_range_as_amazon_does)
{
    struct sigv4_header headers[] = {{"x-amz-date", slice_str("20130524T000000Z")},
                                     {"host", slice_str("examplebucket.s3.amazonaws.com")},
                                     {"x-amz-content-sha256", slice_str(EMPTY_HASH)},
                                     {"range", slice_str("bytes=0-9")}};
    struct sigv4_request r = {.method = "GET",
                              .path = slice_str("/test.txt"),
                              .headers = headers,
                              .headers_count = 4,
                              .payload_hash = EMPTY_HASH};
    check(&r, &s3_key, "20130524T000000Z", "host;range;x-amz-content-sha256;x-amz-date",
          "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");

    struct buf text = buf_make(4096);
    sigv4_canonical_request(&r, &text);
    cr_assert(slice_is(buf_slice(&text),
                       "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\n"
                       "x-amz-content-sha256:" EMPTY_HASH "\nx-amz-date:20130524T000000Z\n\n"
                       "host;range;x-amz-content-sha256;x-amz-date\n" EMPTY_HASH));
    buf_deinit(&text);
}

Test(sigv4, signs_a_put_with_a_body_and_an_escaped_name)
{
    char hash[SIGV4_HASH_HEX + 1];
    sigv4_hash(slice_str("Welcome to Amazon S3."), hash);
    cr_assert_str_eq(hash, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
    struct sigv4_header headers[] = {{"date", slice_str("Fri, 24 May 2013 00:00:00 GMT")},
                                     {"host", slice_str("examplebucket.s3.amazonaws.com")},
                                     {"x-amz-content-sha256", slice_str(hash)},
                                     {"x-amz-date", slice_str("20130524T000000Z")},
                                     {"x-amz-storage-class", slice_str("REDUCED_REDUNDANCY")}};
    struct sigv4_request r = {.method = "PUT",
                              .path = slice_str("/test%24file.text"),
                              .headers = headers,
                              .headers_count = 5,
                              .payload_hash = hash};
    check(&r, &s3_key, "20130524T000000Z", "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
          "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

Test(sigv4, signs_queries_with_and_without_values)
{
    static const struct {
        const char *query, *signature;
    } cases[] = {{"lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
                 {"max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"}};
    struct sigv4_header headers[] = {{"host", slice_str("examplebucket.s3.amazonaws.com")},
                                     {"x-amz-content-sha256", slice_str(EMPTY_HASH)},
                                     {"x-amz-date", slice_str("20130524T000000Z")}};
    for (size_t i = 0; i < 2; i++) {
        struct sigv4_request r = {.method = "GET",
                                  .path = slice_str("/"),
                                  .query = slice_str(cases[i].query),
                                  .headers = headers,
                                  .headers_count = 3,
                                  .payload_hash = EMPTY_HASH};
        check(&r, &s3_key, "20130524T000000Z", "host;x-amz-content-sha256;x-amz-date", cases[i].signature);
    }
}

Test(sigv4, signs_for_other_services_and_regions)
{
    struct sigv4_key key = {.access_key_id = "AKIDEXAMPLE",
                            .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                            .region = "us-east-1",
                            .service = "service"};
    struct sigv4_header headers[] = {{"host", slice_str("example.amazonaws.com")},
                                     {"x-amz-date", slice_str("20150830T123600Z")}};
    struct sigv4_request r = {.method = "GET",
                              .path = slice_str("/"),
                              .headers = headers,
                              .headers_count = 2,
                              .payload_hash = EMPTY_HASH};
    check(&r, &key, "20150830T123600Z", "host;x-amz-date",
          "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

Test(sigv4, hashes_and_times_have_their_form)
{
    char hash[SIGV4_HASH_HEX + 1], time[SIGV4_TIME_TEXT + 1];
    sigv4_hash(slice_str(""), hash);
    cr_assert_str_eq(hash, EMPTY_HASH);
    sigv4_time(1369353600, time);
    cr_assert_str_eq(time, "20130524T000000Z");
    sigv4_time(1709251199, time);
    cr_assert_str_eq(time, "20240229T235959Z");
}

Test(sigv4, a_request_too_large_to_sign_fails_the_buffer)
{
    static char huge[70000];
    memset(huge, 'x', sizeof huge);
    struct sigv4_header headers[] = {{"host", slice_of(huge, sizeof huge)}};
    struct sigv4_request r = {.method = "GET",
                              .path = slice_str("/"),
                              .headers = headers,
                              .headers_count = 1,
                              .payload_hash = EMPTY_HASH};
    struct buf got = buf_make(4096);
    sigv4_authorization(&r, &s3_key, "20130524T000000Z", &got);
    cr_assert_eq(got.failed, SYNC_ELIMIT);
    buf_deinit(&got);
}
