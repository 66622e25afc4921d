/* gone_tables.h -- which tables are gone, by replaying migrations in HLC order (protocol section 7).
 *
 * drop_table and the old name of a rename_table make a table gone, create_table and the new name of a
 * rename_table make it present again; other migrations, and tables that none mentions, change nothing.
 *
 * Memory grows with the number of tables gone at the same time. Pure. */
#ifndef CORE_FACTS_GONE_TABLES_H
#define CORE_FACTS_GONE_TABLES_H

#include "core/facts/fact.h"

#include <stdbool.h>

struct gone_tables;

struct gone_tables *gone_tables_new(void); /* NULL when memory is short */
void gone_tables_free(struct gone_tables *g);

/* The next migration in HLC order. False when memory is short. */
bool gone_tables_replay(struct gone_tables *g, const struct fact *migration);

/* `table_key` is fact_table_key() of any fact of the table. */
bool gone_tables_has(const struct gone_tables *g, struct slice table_key);

#endif
