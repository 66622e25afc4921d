#include "core/base/base64.h"

#include "random.h"

#include <criterion/criterion.h>

struct known {
    const char *plain, *std, *url;
};

/* RFC 4648 section 10, and two that use the characters in which the alphabets differ. */
static const struct known vectors[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff", "+/8=", "-_8"},
};

static bool decodes(enum base64_alphabet alphabet, const char *text)
{
    uint8_t out[64];
    size_t len;
    return base64_decode(alphabet, slice_str(text), out, sizeof out, &len);
}

Test(base64, writes_and_reads_the_known_answers)
{
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const struct known *v = &vectors[i];
        char text[64];
        uint8_t back[64];
        size_t len;
        size_t n = base64_encode(BASE64_STD, (const uint8_t *)v->plain, strlen(v->plain), text);
        cr_assert(slice_is(slice_of(text, n), v->std), "std of vector %zu", i);
        n = base64_encode(BASE64_URL, (const uint8_t *)v->plain, strlen(v->plain), text);
        cr_assert(slice_is(slice_of(text, n), v->url), "url of vector %zu", i);
        cr_assert(base64_decode(BASE64_STD, slice_str(v->std), back, sizeof back, &len));
        cr_assert(slice_is(slice_of(back, len), v->plain), "std back of vector %zu", i);
        cr_assert(base64_decode(BASE64_ANY, slice_str(v->url), back, sizeof back, &len));
        cr_assert(slice_is(slice_of(back, len), v->plain), "any back of vector %zu", i);
    }
}

Test(base64, padding_is_optional_but_must_be_right)
{
    cr_assert(decodes(BASE64_STD, "Zg"));
    cr_assert(decodes(BASE64_URL, "Zg=="));
    cr_assert_not(decodes(BASE64_STD, "Zg="));
    cr_assert_not(decodes(BASE64_STD, "Z==="));
    cr_assert_not(decodes(BASE64_STD, "===="));
    cr_assert_not(decodes(BASE64_STD, "="));
    cr_assert_not(decodes(BASE64_STD, "Zg==Zg=="));
    cr_assert_not(decodes(BASE64_STD, "Z"));
}

Test(base64, refuses_the_other_alphabet_and_stray_bits)
{
    cr_assert_not(decodes(BASE64_STD, "-_8="));
    cr_assert_not(decodes(BASE64_URL, "+/8"));
    cr_assert_not(decodes(BASE64_STD, "Zh=="), "unused bits set");
    cr_assert_not(decodes(BASE64_STD, "Zm9="), "unused bits set");
    cr_assert_not(decodes(BASE64_STD, "Zm 9v"));
    cr_assert_not(decodes(BASE64_STD, "Zm9\xff"));
}

Test(base64, never_writes_past_the_room_it_was_given)
{
    uint8_t out[4] = {1, 2, 3, 4};
    size_t len;
    cr_assert_not(base64_decode(BASE64_STD, slice_str("Zm9v"), out, 2, &len));
    cr_assert(base64_decode(BASE64_STD, slice_str("Zm9v"), out, 3, &len));
    cr_assert_eq(out[3], 4);
    cr_assert(base64_decode(BASE64_STD, slice_str("Zm9vYg=="), NULL, 0, &len), "only counts");
    cr_assert_eq(len, 4);
}

Test(base64, random_bytes_come_back)
{
    uint64_t seed = 7;
    for (int i = 0; i < 2000; i++) {
        uint8_t in[48], out[48];
        char text[BASE64_TEXT_MAX(sizeof in)];
        size_t n = random_below(&seed, sizeof in + 1), len;
        for (size_t k = 0; k < n; k++) in[k] = (uint8_t)random_u64(&seed);
        enum base64_alphabet alphabet = i % 2 == 0 ? BASE64_STD : BASE64_URL;
        size_t chars = base64_encode(alphabet, in, n, text);
        cr_assert(base64_decode(alphabet, slice_of(text, chars), out, sizeof out, &len), "round %d", i);
        cr_assert(slice_eq(slice_of(in, n), slice_of(out, len)), "round %d", i);
    }
}
