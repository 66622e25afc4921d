/* change_set_texts.h -- pieces of ChangeSets as clients send them, for string literals. */
#ifndef TESTS_CHANGE_SET_TEXTS_H
#define TESTS_CHANGE_SET_TEXTS_H

/* One site, and four HLCs of one of its transactions, in order. */
#define SITE_A "AAAAAAAAQACAAAAAAAAD6A"
#define HLC_A0 "AAABlB8pfbkAAAAAAAAAAEAAgAAAAAAAA+gAAAAA"
#define HLC_A1 "AAABlB8pfbkAAAAAAAAAAEAAgAAAAAAAA+gAAAAB"
#define HLC_A2 "AAABlB8pfbkAAAAAAAAAAEAAgAAAAAAAA+gAAAAC"
#define HLC_A3 "AAABlB8pfbkAAAAAAAAAAEAAgAAAAAAAA+gAAAAD"

#define CELL(pk, column, value, hlc)                                                                         \
    "{\"type\":\"column\",\"schema\":\"main\",\"table\":\"t\",\"pk\":" pk ",\"column\":\"" column            \
    "\",\"value\":" value ",\"hlc\":\"" hlc "\"}"
#define DELETE(pk, hlc)                                                                                      \
    "{\"type\":\"delete\",\"schema\":\"main\",\"table\":\"t\",\"pk\":" pk ",\"hlc\":\"" hlc "\"}"
#define MIGRATION(type, version, hlc)                                                                        \
    "{\"type\":\"" type "\",\"schema\":\"main\",\"table\":\"t\",\"ddl\":\"ddl\",\"hlc\":\"" hlc              \
    "\",\"schemaVersion\":" version "}"
#define CHANGE_SET(hlc, changes, migrations)                                                                 \
    "{\"siteId\":\"" SITE_A "\",\"transactionId\":\"1735689600441:0:" SITE_A "\",\"hlc\":\"" hlc             \
    "\",\"changes\":[" changes "],\"schemaMigrations\":[" migrations "]}"

#endif
