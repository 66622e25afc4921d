#include "storage/leveldb/crc32c.h"

#include <pthread.h>

enum { CRC32C_POLYNOMIAL = (int)0x82f63b78, WORD = 8 }; /* reflected: lowest bit first */

/* table[k][b]: the CRC of byte b with k zero bytes behind it. So 8 bytes are one step of 8 look-ups. */
static uint32_t table[WORD][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? (uint32_t)CRC32C_POLYNOMIAL : 0);
        table[0][b] = crc;
    }
    for (int k = 1; k < WORD; k++)
        for (int b = 0; b < 256; b++) table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xff];
}

uint32_t crc32c_extend(uint32_t before, struct slice bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.bytes;
    size_t left = bytes.len;
    uint32_t crc = ~before;
    (void)pthread_once(&table_once, make_table);
    for (; left >= WORD; left -= WORD, at += WORD) {
        uint32_t low =
            crc ^ ((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
        crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^
              table[4][low >> 24] ^ table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]] ^ table[0][at[7]];
    }
    for (; left > 0; left--, at++) crc = crc >> 8 ^ table[0][(crc ^ *at) & 0xff];
    return ~crc;
}

uint32_t crc32c(struct slice bytes)
{
    return crc32c_extend(0, bytes);
}
