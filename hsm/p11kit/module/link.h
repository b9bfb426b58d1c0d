/* The way from a program to trustlink pkcs11, which has the keys: one connection a process, and the lock over it. All
 * waiting ends at a moment that the caller names. */
#ifndef TRUSTLINK_LINK_H
#define TRUSTLINK_LINK_H

#include <stddef.h>
#include <stdint.h>

/* link_now is a clock that only goes on, in milliseconds. */
uint64_t link_now(void);

/* link_lock returns 0 when the caller has the lock, 1 when it has it from a thread that died in the middle of a call,
 * and -1 when it did not get it until then. */
int link_lock(uint64_t until);
void link_unlock(void);

/* What follows is called with the lock. 0 is done, -1 is not. */
int link_open(uint64_t until);
int link_write(const void *data, size_t n, uint64_t until);
int link_read(void *data, size_t n, uint64_t until);
void link_close(void);

#endif
