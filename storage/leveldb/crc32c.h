/* crc32c.h -- the Castagnoli CRC that guards LevelDB's records.
 *
 * Pure. Threads: any. */
#ifndef STORAGE_LEVELDB_CRC32C_H
#define STORAGE_LEVELDB_CRC32C_H

#include "core/base/slice.h"

#include <stdint.h>

uint32_t crc32c(struct slice bytes);

/* Of what `crc` is of, with these bytes behind it; 0 is of nothing. */
uint32_t crc32c_extend(uint32_t crc, struct slice bytes);

#endif
