/* facts.h -- batches made by hand: what the codec makes of a message, without a message.
 *
 * Texts are borrowed and must outlive the batch; keys are made in its arena. batch_deinit() frees all of it.
 * Row identity is the pk's text here: tests of storage need identities, not the rules that make them. Table
 * keys are as core makes them. */
#ifndef TESTS_FACTS_H
#define TESTS_FACTS_H

#include "core/facts/batch.h"

/* A batch of one ChangeSet; grows with each fact. */
struct batch facts_batch(void);

struct hlc facts_hlc(uint64_t wall_ms, uint16_t counter, char site, uint32_t op_seq);

struct fact *facts_cell(struct batch *b, struct hlc hlc, const char *table, const char *pk,
                        const char *column, const char *value);
struct fact *facts_delete(struct batch *b, struct hlc hlc, const char *table, const char *pk,
                          const char *prior_row); /* NULL: none */
struct fact *facts_migration(struct batch *b, struct hlc hlc, const char *table, enum migration_type type,
                             const char *schema_version, const char *ddl);

/* The same in another schema than "main". */
struct fact *facts_cell_in(struct batch *b, struct hlc hlc, const char *schema, const char *table,
                           const char *pk, const char *column, const char *value);
struct fact *facts_delete_in(struct batch *b, struct hlc hlc, const char *schema, const char *table,
                             const char *pk, const char *prior_row);

/* Keys of "main".table, in the batch's arena. */
struct slice facts_table_key(struct batch *b, const char *table);
struct slice facts_row_key(struct batch *b, const char *table, const char *pk);

#endif
