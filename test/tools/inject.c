/* SPDX-License-Identifier: Apache-2.0 */
/* inject: frames of a kind from a raw socket, as they are. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "test/tools/craft.h"

static bool mac_parse(const char *text, uint8_t mac[6])
{
    unsigned int bytes[6];

    /* NOLINTNEXTLINE(cert-err34-c): two digits each */
    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &bytes[0], &bytes[1], &bytes[2], &bytes[3],
               &bytes[4], &bytes[5]) != 6)
        return false;
    for (int i = 0; i < 6; i++)
        mac[i] = (uint8_t)bytes[i];
    return true;
}

/* False with a message. */
static bool find_mac(int fd, const char *link, uint8_t mac[6])
{
    struct ifreq request = {0};

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", link);
    if (ioctl(fd, SIOCGIFHWADDR, &request) < 0) {
        fprintf(stderr, "netprobe: inject: %s: %s\n", link, strerror(errno));
        return false;
    }
    memcpy(mac, request.ifr_hwaddr.sa_data, 6);
    return true;
}

static bool option_parse(int option, const char *text, struct craft *craft)
{
    long number = 0;

    switch (option) {
    case 'm':
        return mac_parse(text, craft->destination_mac);
    case 'c':
        return address_parse(text, 0, &craft->claim);
    case 'l':
        craft->label = text;
        return true;
    case 's':
        if (!number_parse(text, 1, 65535, &number))
            return false;
        craft->source_port = (uint16_t)number;
        return true;
    case 'o':
        if (!number_parse(text, 1, 65535, &number))
            return false;
        craft->other_port = (uint16_t)number;
        return true;
    default:
        return false;
    }
}

static bool usage(void)
{
    char kinds[512];

    craft_list(kinds, sizeof(kinds));
    fprintf(stderr, "netprobe: inject: kinds: %s\n", kinds);
    return false;
}

static bool parse(int argc, char **argv, struct craft *craft)
{
    long port = 0;

    for (int option = 0; (option = getopt(argc, argv, "m:c:l:s:o:")) != -1;) {
        if (!option_parse(option, optarg, craft))
            return usage();
    }
    if (argc - optind != 4 || !address_parse(argv[optind + 1], 0, &craft->source) ||
        !address_parse(argv[optind + 2], 0, &craft->destination) ||
        craft->source.sa.ss_family != craft->destination.sa.ss_family ||
        !number_parse(argv[optind + 3], 1, 65535, &port))
        return usage();
    craft->port = (uint16_t)port;
    craft->ipv6 = address_is_ipv6(&craft->destination);
    return true;
}

static bool send_frame(int fd, struct sockaddr_ll *link, struct craft_frames *frames, size_t index)
{
    struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                    .csum_start = frames->checksum_start,
                                    .csum_offset = frames->checksum_at - frames->checksum_start};
    struct iovec parts[2] = {{&header, sizeof(header)},
                             {frames->frames[index].bytes, frames->frames[index].size}};
    struct msghdr message = {
        .msg_name = link, .msg_namelen = sizeof(*link), .msg_iov = parts, .msg_iovlen = 2};
    int on = 1;

    if (frames->checksum_start && setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0)
        return false;
    if (!frames->checksum_start) {
        message.msg_iov++;
        message.msg_iovlen--;
    }
    return sendmsg(fd, &message, 0) >= 0;
}

int command_inject(int argc, char **argv)
{
    struct craft craft = {.label = "injected", .source_port = 40000, .other_port = 1};
    static struct craft_frames frames;
    struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("eth0")};

    if (!parse(argc, argv, &craft))
        return 2;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0 || !find_mac(fd, "eth0", craft.source_mac))
        return 1;
    if (!craft_make(argv[optind], &craft, &frames)) {
        usage();
        return 2;
    }
    for (size_t i = 0; i < frames.count; i++) {
        if (!send_frame(fd, &link, &frames, i)) {
            fprintf(stderr, "netprobe: inject: %s\n", strerror(errno));
            return 1;
        }
    }
    close(fd);
    return 0;
}
