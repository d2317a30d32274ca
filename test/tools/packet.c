/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that the kernel here cannot make: it has no SCTP sockets. */
#include <arpa/inet.h>
#include <string.h>

#include "test/tools/netprobe.h"

uint16_t internet_checksum(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < size; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    if (size & 1)
        sum += (uint32_t)bytes[size - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

/* RFC 9260 appendix A. */
static uint32_t crc32c(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    return ~crc;
}

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

void sctp_build(enum sctp_chunk chunk, struct sctp_ports ports, uint8_t packet[SCTP_PACKET_SIZE])
{
    memset(packet, 0, SCTP_PACKET_SIZE);
    put16(packet, ports.source);
    put16(packet + 2, ports.destination);
    if (chunk != SCTP_INIT)
        put16(packet + 6, 1); /* verification tag: that of the INIT below */
    packet[12] = (uint8_t)chunk;
    put16(packet + 14, SCTP_PACKET_SIZE - 12);
    put16(packet + 18, 1);      /* initiate tag */
    put16(packet + 20, 1);      /* receiver window, high half */
    put16(packet + 24, 1);      /* outbound streams */
    put16(packet + 26, 1);      /* inbound streams */
    put16(packet + 30, 0x1234); /* initial TSN */
    uint32_t crc = crc32c(packet, SCTP_PACKET_SIZE);
    for (int i = 0; i < 4; i++)
        packet[8 + i] = (uint8_t)(crc >> (8 * i));
}

bool sctp_match(const uint8_t *packet, size_t size, enum sctp_chunk chunk,
                struct sctp_ports *ret_ports)
{
    if (size < 16 || packet[12] != chunk)
        return false;
    ret_ports->source = get16(packet);
    ret_ports->destination = get16(packet + 2);
    return true;
}

size_t ip_header_size(const uint8_t *packet, size_t size, bool ipv6)
{
    if (ipv6 || size == 0)
        return 0;
    size_t header = (size_t)(packet[0] & 0xf) * 4;
    return header <= size ? header : size;
}
