/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/epochs.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

int fence_epochs_map(int fd, struct fence_epochs **ret_epochs)
{
    void *epochs =
        mmap(NULL, sizeof(struct fence_epochs), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (epochs == MAP_FAILED)
        return -errno;
    *ret_epochs = epochs;
    return 0;
}

void fence_epochs_unmap(struct fence_epochs **epochs)
{
    if (*epochs)
        munmap(*epochs, sizeof(**epochs));
    *epochs = NULL;
}

/* In this order: who sees `any` as it was has not missed the other one. */
static void raise_one(struct fence_epochs *epochs, __u64 *epoch)
{
    __atomic_fetch_add(epoch, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&epochs->any, 1, __ATOMIC_SEQ_CST);
}

void fence_epoch_raise(const struct fence_pins *pins)
{
    raise_one(pins->epochs, &pins->epochs->all);
}

void fence_epoch_raise_address(const struct fence_pins *pins, const struct fence_addr *addr)
{
    raise_one(pins->epochs, &pins->epochs->buckets[fence_epoch_bucket(addr)]);
}
