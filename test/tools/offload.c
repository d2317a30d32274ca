/* SPDX-License-Identifier: Apache-2.0 */
/* offload: the kernel computes the checksums of what leaves by a link, as where a device cannot. A
 * device that can writes the same bytes, but a veth never does. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "test/tools/netprobe.h"

int command_offload(int argc, char **argv)
{
    struct ethtool_value value = {.cmd = ETHTOOL_STXCSUM, .data = 0};
    struct ifreq request = {.ifr_data = (char *)&value};
    int status = 0;

    if (argc != 2)
        return 2;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", argv[1]);
    if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request) < 0) {
        fprintf(stderr, "netprobe: offload: %s: %s\n", argv[1], strerror(errno));
        status = 1;
    }
    if (fd >= 0)
        close(fd);
    return status;
}
