/* system.h -- what only the operating system can tell: time, randomness, memory.
 *
 * core takes these as arguments; here is where they come from. Threads: any. */
#ifndef SERVER_BASE_SYSTEM_H
#define SERVER_BASE_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

uint64_t system_wall_ms(void);      /* since 1970, UTC; may step */
uint64_t system_monotonic_ns(void); /* only goes forward; stands still while the machine is suspended */
uint64_t system_monotonic_ms(void); /* the same in milliseconds */
uint64_t system_boot_ms(void);      /* only goes forward, and counts suspends */
void system_random(void *ret, size_t len);
uint64_t system_random_u64(void);
uint64_t system_resident_bytes(void); /* of this process */

#endif
