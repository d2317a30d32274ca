/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/epochs.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#define EPOCHS_BYTES (FENCE_EPOCHS * sizeof(__u64))

int fence_epochs_map(int fd, __u64 **ret_epochs)
{
    void *epochs = mmap(NULL, EPOCHS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (epochs == MAP_FAILED)
        return -errno;
    *ret_epochs = epochs;
    return 0;
}

void fence_epochs_unmap(__u64 **epochs)
{
    if (*epochs)
        munmap(*epochs, EPOCHS_BYTES);
    *epochs = NULL;
}

static void raise_one(const struct fence_pins *pins, __u32 index)
{
    __atomic_fetch_add(&pins->epochs[index], 1, __ATOMIC_SEQ_CST);
}

void fence_epoch_raise(const struct fence_pins *pins)
{
    raise_one(pins, 0);
}

void fence_epoch_raise_address(const struct fence_pins *pins, const struct fence_addr *addr)
{
    raise_one(pins, 1 + fence_epoch_bucket(addr));
}
