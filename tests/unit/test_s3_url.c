#include "storage/objects/s3_url.h"

#include <criterion/criterion.h>

static struct s3_place place(const char *endpoint, const char *region, const char *bucket, bool path_style)
{
    struct s3_place p;
    struct err_ctx ec;
    cr_assert_eq(s3_place_init(&p, endpoint, region, bucket, path_style, &ec), SYNC_OK, "%s", ec.text);
    return p;
}

Test(s3_url, an_endpoint_becomes_origin_host_and_path)
{
    static const struct {
        const char *endpoint, *region, *bucket;
        bool path_style;
        const char *origin, *host, *base_path;
    } cases[] = {
        {NULL, "eu-west-1", "bucket", false, "https://bucket.s3.eu-west-1.amazonaws.com",
         "bucket.s3.eu-west-1.amazonaws.com", ""},
        {"", "cn-north-1", "bucket", true, "https://s3.cn-north-1.amazonaws.com.cn",
         "s3.cn-north-1.amazonaws.com.cn", "/bucket"},
        {NULL, "us-east-1", "with.dots", false, "https://s3.us-east-1.amazonaws.com",
         "s3.us-east-1.amazonaws.com", "/with.dots"},
        {"http://minio:9000", "r", "bucket", true, "http://minio:9000", "minio:9000", "/bucket"},
        {"http://minio:9000/", "r", "with.dots", false, "http://with.dots.minio:9000", "with.dots.minio:9000",
         ""},
        {"http://127.0.0.1:9000", "r", "bucket", false, "http://127.0.0.1:9000", "127.0.0.1:9000", "/bucket"},
        {"http://[::1]:9000", "r", "bucket", false, "http://[::1]:9000", "[::1]:9000", "/bucket"},
        {"https://host:443", "r", "bucket", true, "https://host", "host", "/bucket"},
        {"http://host:80/", "r", "bucket", false, "http://bucket.host", "bucket.host", ""},
        {"https://host:80", "r", "bucket", true, "https://host:80", "host:80", "/bucket"},
        {"https://x.example/storage/v1/s3", "r", "bucket", true, "https://x.example", "x.example",
         "/storage/v1/s3/bucket"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct s3_place p = place(cases[i].endpoint, cases[i].region, cases[i].bucket, cases[i].path_style);
        cr_assert_str_eq(p.origin, cases[i].origin);
        cr_assert_str_eq(p.host, cases[i].host);
        cr_assert_str_eq(p.base_path, cases[i].base_path);
    }
}

Test(s3_url, settings_that_cannot_be_right_are_refused)
{
    static const struct {
        const char *endpoint, *region, *bucket;
    } cases[] = {
        {"minio:9000", "r", "bucket"},
        {"ftp://host", "r", "bucket"},
        {"http://", "r", "bucket"},
        {"http://u:p@host", "r", "bucket"},
        {"http://host/?x=1", "r", "bucket"},
        {"http://host:99999", "r", "bucket"},
        {NULL, "r", "ab"},
        {NULL, "r", "a/b"},
        {NULL, "r", "a b"},
        {NULL, "", "bucket"},
        {NULL, "eu west", "bucket"},
        {NULL, "r/../x", "bucket"},
        {"http://host#f", "r", "bucket"},
    };
    struct s3_place p;
    struct err_ctx ec;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_eq(s3_place_init(&p, cases[i].endpoint, cases[i].region, cases[i].bucket, false, &ec),
                     SYNC_ECONFIG, "case %zu", i);
}

static void check_target(const struct s3_place *p, const char *key, const struct s3_param *params,
                         size_t count, const char *url)
{
    struct s3_target t = {0};
    struct err_ctx ec;
    cr_assert_eq(s3_target_init(&t, p, slice_str(key), params, count, &ec), SYNC_OK);
    cr_assert_str_eq(t.url.bytes, url);
    buf_deinit(&t.url);
}

Test(s3_url, keys_and_queries_are_encoded_as_they_are_signed)
{
    struct s3_place path = place("http://h:1", "r", "bucket", true),
                    host = place("http://h:1", "r", "bucket", false);
    check_target(&path, "a/b c+d%\xc3\xa4~", NULL, 0, "http://h:1/bucket/a/b%20c%2Bd%25%C3%A4~");
    check_target(&host, "a?b#c", NULL, 0, "http://bucket.h:1/a%3Fb%23c");
    check_target(&path, "", NULL, 0, "http://h:1/bucket");
    check_target(&host, "", NULL, 0, "http://bucket.h:1/");
    struct s3_param params[] = {{"prefix", slice_str("l/ +")},
                                {"list-type", slice_str("2")},
                                {"delimiter", slice_str("/")},
                                {"uploads", slice_str("")}};
    check_target(&path, "", params, 4,
                 "http://h:1/bucket?delimiter=%2F&list-type=2&prefix=l%2F%20%2B&uploads=");
}

Test(s3_url, path_and_query_of_a_target_are_what_goes_out)
{
    struct s3_place p = place("http://h:1/base", "r", "bucket", true);
    struct s3_param params[] = {{"uploadId", slice_str("x=")}, {"partNumber", slice_str("3")}};
    struct s3_target t = {0};
    struct err_ctx ec;
    cr_assert_eq(s3_target_init(&t, &p, slice_str("k"), params, 2, &ec), SYNC_OK);
    cr_assert(slice_is(slice_of(t.url.bytes + t.path_start, t.path_len), "/base/bucket/k"));
    cr_assert(slice_is(slice_of(t.url.bytes + t.query_start, t.query_len), "partNumber=3&uploadId=x%3D"));
    buf_deinit(&t.url);
}

Test(s3_url, every_byte_survives_encoding_and_decoding)
{
    char bytes[256];
    struct buf encoded = buf_make(1024), decoded = buf_make(1024);
    for (int i = 0; i < 256; i++) bytes[i] = (char)i;
    s3_url_encode(slice_of(bytes, 256), false, &encoded);
    cr_assert(s3_url_decode(buf_slice(&encoded), &decoded));
    cr_assert(slice_eq(buf_slice(&decoded), slice_of(bytes, 256)));
    buf_clear(&decoded);
    cr_assert(s3_url_decode(slice_str("a+b%2b%2B%7e"), &decoded));
    cr_assert(slice_is(buf_slice(&decoded), "a b++~"));
    static const char *const broken[] = {"%", "%4", "a%", "%zz", "%4g", "% 4"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        cr_assert_not(s3_url_decode(slice_str(broken[i]), &decoded), "%s", broken[i]);
    buf_deinit(&encoded);
    buf_deinit(&decoded);
}
