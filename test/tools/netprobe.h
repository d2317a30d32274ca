/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netprobe: real traffic for the end-to-end tests and the demo. One program that serves, tries,
 * streams, forges and catches; every command ends by itself.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define DEFAULT_LIFE_S 600

enum proto {
    PROTO_TCP,
    PROTO_UDP,
    PROTO_SCTP,
    PROTO_ICMP,
};

struct address {
    struct sockaddr_storage sa;
    socklen_t length;
};

/* Milliseconds of CLOCK_BOOTTIME. */
double now_ms(void);

/* At both ends of a TCP stream, so that the time of resuming is the network's and not TCP's
 * back-off. Older kernels do without. */
void retransmit_often(int fd);

bool proto_parse(const char *text, enum proto *ret_proto);
/* A numeric address of either family. */
bool address_parse(const char *text, uint16_t port, struct address *ret_address);
/* A decimal from min to max. */
bool number_parse(const char *text, long min, long max, long *ret_number);
bool address_is_ipv6(const struct address *address);

/* Close standard output and go on as a child; the parent prints the child's pid and ends. */
int go_background(void);

/* SCTP chunks that netprobe knows. */
enum sctp_chunk {
    SCTP_INIT = 1,
    SCTP_INIT_ACK = 2,
};
#define SCTP_PACKET_SIZE 32

struct sctp_ports {
    uint16_t source;
    uint16_t destination;
};

/* A whole SCTP packet with one chunk, checksum included. */
void sctp_build(enum sctp_chunk chunk, struct sctp_ports ports, uint8_t packet[SCTP_PACKET_SIZE]);
/* The ports of a packet whose first chunk is `chunk`; false for any other packet. */
bool sctp_match(const uint8_t *packet, size_t size, enum sctp_chunk chunk,
                struct sctp_ports *ret_ports);
/* Raw IPv4 sockets hand over the IP header as well: how much to skip, or `size` when malformed. */
size_t ip_header_size(const uint8_t *packet, size_t size, bool ipv6);
uint16_t internet_checksum(const void *data, size_t size);

/* One attempt to reach somebody. */
enum outcome {
    OUTCOME_PENDING,
    OUTCOME_OK,
    OUTCOME_REFUSED,
    OUTCOME_UNREACHABLE,
    OUTCOME_TIMEOUT,
    OUTCOME_ERROR,
};

struct probe {
    const char *text; /* as given: proto,address,port */
    struct address to;
    enum proto proto;
    int fd;
    enum outcome outcome;
    int error;
    uint16_t tag; /* ICMP id, SCTP source port */
    short events; /* to poll for */
};

bool probe_parse(const char *text, unsigned int index, struct probe *ret_probe);
void probe_start(struct probe *probe);
/* The descriptor is ready. */
void probe_handle(struct probe *probe);

int command_serve(int argc, char **argv);
int command_try(int argc, char **argv);
int command_await(int argc, char **argv);
int command_stream(int argc, char **argv);
int command_forge(int argc, char **argv);
int command_catch(int argc, char **argv);
int command_inject(int argc, char **argv);
int command_hear(int argc, char **argv);
int command_sniff(int argc, char **argv);
int command_offload(int argc, char **argv);
