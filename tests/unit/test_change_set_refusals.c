/* What is refused, and how the place is named. */
#include "core/protocol/change_set.h"

#include "tests/unit/change_set_fixture.h"

#include <criterion/criterion.h>

#define CHANGE(members)    "[" CHANGE_SET(HLC_A0, DELETE("[1]", HLC_A0) ",{" members "}", "") "]"
#define MIGRATING(members) "[" CHANGE_SET(HLC_A0, "", "{" members "}") "]"
#define PLACE              "\"schema\":\"s\",\"table\":\"t\""
#define GOOD_CELL                                                                                            \
    "\"type\":\"column\"," PLACE ",\"pk\":[1],\"column\":\"c\",\"value\":1,\"hlc\":\"" HLC_A0 "\""
#define GOOD_DELETE "\"type\":\"delete\"," PLACE ",\"pk\":[1],\"hlc\":\"" HLC_A0 "\""
#define GOOD_MIGRATION                                                                                       \
    "\"type\":\"add_column\"," PLACE ",\"ddl\":\"x\",\"hlc\":\"" HLC_A0 "\",\"schemaVersion\":1"
#define NOT_HLC  "an HLC is 40 characters of standard base64"
#define NOT_SITE "a site id is 22 characters of base64url"

Test(change_set_refusals, one_wrong_thing_refuses_the_batch_and_is_named)
{
    static const char *const bad[][2] = {
        {"{}", "not an array"},
        {"[5]", "[0]: not an object"},
        {"[" CHANGE_SET(HLC_A0, "", "") ",null]", "[1]: not an object"},
        {"[{}]", "[0]: siteId is missing"},
        {"[{\"siteId\":\"" SITE_A "\"}]", "[0]: transactionId is missing"},
        {"[{\"siteId\":\"" SITE_A "\",\"transactionId\":\"\"}]", "[0]: hlc is missing"},
        {"[{\"siteId\":\"" SITE_A "\",\"transactionId\":\"\",\"hlc\":\"" HLC_A0 "\"}]",
         "[0]: changes is missing"},
        {"[{\"siteId\":5}]", "[0].siteId: not a string"},
        {"[{\"siteId\":\"" SITE_A "A\"}]", "[0].siteId: " NOT_SITE},
        {"[{\"siteId\":\"AAAAAAAAQACAAAAAAAAD6+\"}]", "[0].siteId: " NOT_SITE},
        {"[{\"siteId\":\"AAAAAAAAQACAAAAAAAAD6\\u00e9\"}]", "[0].siteId: " NOT_SITE},
        {"[{\"transactionId\":null}]", "[0].transactionId: not a string"},
        {"[{\"hlc\":5}]", "[0].hlc: not a string"},
        {"[{\"hlc\":null}]", "[0].hlc: not a string"},
        {"[{\"hlc\":\"\"}]", "[0].hlc: " NOT_HLC},
        {"[{\"hlc\":\"" HLC_A0 "=\"}]", "[0].hlc: " NOT_HLC},
        {"[{\"hlc\":\"AAABlB8pfbkAAAAAAAAAAEAAgAAAAAAAA-gAAAAA\"}]", "[0].hlc: " NOT_HLC},
        {"[{\"hlc\":\"AAABlB8pfbkAAAAAAAAAAEAAgAAAAAAAA+gAAAA=\"}]", "[0].hlc: " NOT_HLC},
        {"[{\"changes\":{}}]", "[0].changes: not an array"},
        {"[{\"changes\":null}]", "[0].changes: not an array"},
        {"[{\"changes\":[[]]}]", "[0].changes[0]: not an object"},
        {"[{\"schemaMigrations\":null}]", "[0].schemaMigrations: not an array"},
        {"[{\"schemaMigrations\":[7]}]", "[0].schemaMigrations[0]: not an object"},
        {CHANGE(""), "[0].changes[1]: type is missing or unknown"},
        {CHANGE("\"type\":5"), "[0].changes[1].type: not a string"},
        {CHANGE("\"type\":null"), "[0].changes[1].type: not a string"},
        {CHANGE("\"type\":\"colum\""), "[0].changes[1]: type is missing or unknown"},
        {CHANGE("\"type\":\"\""), "[0].changes[1]: type is missing or unknown"},
        {CHANGE(GOOD_MIGRATION), "[0].changes[1]: type is missing or unknown"},
        {CHANGE("\"type\":\"column\""), "[0].changes[1]: schema is missing"},
        {CHANGE("\"type\":\"column\",\"schema\":\"s\""), "[0].changes[1]: table is missing"},
        {CHANGE("\"type\":\"column\"," PLACE), "[0].changes[1]: hlc is missing"},
        {CHANGE("\"type\":\"column\"," PLACE ",\"hlc\":\"" HLC_A0 "\""), "[0].changes[1]: pk is missing"},
        {CHANGE("\"type\":\"column\"," PLACE ",\"hlc\":\"" HLC_A0 "\",\"pk\":[]"),
         "[0].changes[1]: column is missing"},
        {CHANGE("\"type\":\"column\"," PLACE ",\"hlc\":\"" HLC_A0 "\",\"pk\":[],\"column\":\"\""),
         "[0].changes[1]: value is missing"},
        {CHANGE("\"type\":\"delete\"," PLACE ",\"hlc\":\"" HLC_A0 "\""), "[0].changes[1]: pk is missing"},
        {CHANGE(GOOD_CELL ",\"schema\":null"), "[0].changes[1].schema: not a string"},
        {CHANGE(GOOD_CELL ",\"schema\":\"\\ud800\""),
         "[0].changes[1].schema: a name with half a surrogate pair"},
        {CHANGE(GOOD_CELL ",\"table\":7"), "[0].changes[1].table: not a string"},
        {CHANGE(GOOD_CELL ",\"table\":\"a\\udc00b\""),
         "[0].changes[1].table: a name with half a surrogate pair"},
        {CHANGE(GOOD_CELL ",\"column\":[]"), "[0].changes[1].column: not a string"},
        {CHANGE(GOOD_CELL ",\"column\":\"\\ude42\\ud83d\""),
         "[0].changes[1].column: a name with half a surrogate pair"},
        {CHANGE(GOOD_CELL ",\"hlc\":null"), "[0].changes[1].hlc: not a string"},
        {CHANGE(GOOD_CELL ",\"hlc\":\"x\""), "[0].changes[1].hlc: " NOT_HLC},
        {CHANGE(GOOD_CELL ",\"pk\":null"), "[0].changes[1].pk: not an array"},
        {CHANGE(GOOD_CELL ",\"pk\":5"), "[0].changes[1].pk: not an array"},
        {CHANGE(GOOD_CELL ",\"pk\":[1,{\"__bin\":5}]"),
         "[0].changes[1].pk[1]: __bin is not a string of standard base64"},
        {CHANGE(GOOD_CELL ",\"value\":{\"__bin\":\"A\"}"),
         "[0].changes[1].value: __bin is not a string of standard base64"},
        {CHANGE(GOOD_CELL ",\"value\":{\"__bigint\":5}"),
         "[0].changes[1].value: __bigint is not a string of decimal digits"},
        {CHANGE(GOOD_CELL ",\"priorHlc\":null"), "[0].changes[1].priorHlc: not a string"},
        {CHANGE(GOOD_CELL ",\"priorHlc\":\"" HLC_A0 "\""),
         "[0].changes[1]: priorValue and priorHlc come together"},
        {CHANGE(GOOD_CELL ",\"priorValue\":null"), "[0].changes[1]: priorValue and priorHlc come together"},
        {CHANGE(GOOD_CELL ",\"priorHlc\":\"" HLC_A0 "\",\"priorValue\":{\"__bin\":null}"),
         "[0].changes[1].priorValue: __bin is not a string of standard base64"},
        {CHANGE(GOOD_DELETE ",\"priorRow\":null"), "[0].changes[1].priorRow: not an array"},
        {CHANGE(GOOD_DELETE ",\"priorRow\":{}"), "[0].changes[1].priorRow: not an array"},
        {CHANGE(GOOD_DELETE ",\"priorRow\":[1,2,{\"__bigint\":\"1.\"}]"),
         "[0].changes[1].priorRow[2]: __bigint is not a string of decimal digits"},
        {MIGRATING(GOOD_CELL), "[0].schemaMigrations[0]: type is missing or unknown"},
        {MIGRATING("\"type\":\"delete\""), "[0].schemaMigrations[0]: type is missing or unknown"},
        {MIGRATING("\"type\":\"add_table\""), "[0].schemaMigrations[0]: type is missing or unknown"},
        {MIGRATING("\"type\":\"add_column\"," PLACE ",\"hlc\":\"" HLC_A0 "\""),
         "[0].schemaMigrations[0]: ddl is missing"},
        {MIGRATING("\"type\":\"add_column\"," PLACE ",\"hlc\":\"" HLC_A0 "\",\"ddl\":\"\""),
         "[0].schemaMigrations[0]: schemaVersion is missing"},
        {MIGRATING("\"type\":\"add_column\"," PLACE), "[0].schemaMigrations[0]: hlc is missing"},
        {MIGRATING(GOOD_MIGRATION ",\"ddl\":null"), "[0].schemaMigrations[0].ddl: not a string"},
        {MIGRATING(GOOD_MIGRATION ",\"schemaVersion\":\"1\""),
         "[0].schemaMigrations[0].schemaVersion: not a number"},
        {MIGRATING(GOOD_MIGRATION ",\"schemaVersion\":null"),
         "[0].schemaMigrations[0].schemaVersion: not a number"},
        {MIGRATING(GOOD_MIGRATION ",\"fromTable\":null"), "[0].schemaMigrations[0].fromTable: not a string"},
        {MIGRATING(GOOD_MIGRATION ",\"fromTable\":\"\\udfff\""),
         "[0].schemaMigrations[0].fromTable: a name with half a surrogate pair"},
        {"[" CHANGE_SET(HLC_A0, CELL("[1]", "c", "01", HLC_A0), "") "]",
         "[0].changes[0].value: JSON: not a JSON value"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct batch b;
        struct err_ctx ec = {""};
        cr_assert_eq(read_sets(bad[i][0], strlen(bad[i][0]), &b, &ec), SYNC_EBADMSG, "accepted: %s",
                     bad[i][0]);
        cr_assert_str_eq(ec.text, bad[i][1]);
        batch_deinit(&b);
    }
}

Test(change_set_refusals, what_the_refusals_differ_from_is_good)
{
    static const char *const good[] = {
        CHANGE(GOOD_CELL),
        CHANGE(GOOD_DELETE),
        CHANGE(GOOD_DELETE ",\"priorRow\":[]"),
        CHANGE(GOOD_CELL ",\"priorHlc\":\"" HLC_A0 "\",\"priorValue\":null"),
        CHANGE(GOOD_CELL ",\"column\":\"\\ud83d\\ude42\""),
        CHANGE(GOOD_CELL ",\"pk\":[\"\\ud800\"]"),
        CHANGE(GOOD_CELL ",\"value\":\"\\ud800\""),
        CHANGE(GOOD_CELL ",\"value\":[{\"__bin\":5}]"),
        MIGRATING(GOOD_MIGRATION),
        MIGRATING(GOOD_MIGRATION ",\"fromTable\":\"x\""),
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct batch b;
        read_good(good[i], &b);
        assert_round_trip(&b);
        batch_deinit(&b);
    }
}

Test(change_set_refusals, a_text_cut_anywhere_is_refused)
{
    for (size_t len = 0; len + 1 < sizeof recorded; len++) {
        struct batch b;
        struct err_ctx ec = {""};
        cr_assert_eq(read_sets(recorded, len, &b, &ec), SYNC_EBADMSG, "cut at %zu", len);
        cr_assert_neq(ec.text[0], '\0');
        batch_deinit(&b);
    }
}
