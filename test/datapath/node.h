/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node of the test's own: fresh network and mount namespaces, a BPF file system in a temporary
 * folder, and three veth pairs whose host ends are host0, host1 and host2.
 */
#pragma once

#include "lib/datapath/endpoints.h"
#include "lib/datapath/load.h"

#define NODE_LINKS 3

/* cmocka group setup and teardown. Exits with 77 when not root. */
int node_setup(void **state);
int node_teardown(void **state);

/* A data path of its own for each test; `sizes` may be NULL. Fails the test when it does not load.
 */
struct fence_pins node_load(const struct fence_map_size *sizes, size_t size_count);
/* <folder>/<name>, a place for one data path; each call another one. */
const char *node_bpffs(void);
/* Remove what is pinned under the last node_bpffs, so that nothing of it stays attached. */
void node_unload(void);

__u32 node_ifindex(unsigned int link);
void node_shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Fails the test with the error's text. */
void node_check(int result, const struct fence_err *err);

struct fence_addr node_addr(const char *text);
/* An endpoint as the plugin writes it: pending, pod shop/<pod>, container ID <pod>-id, eth0. */
struct fence_endpoint_record node_record(unsigned int link, const char *pod, const char *addr);
void node_add(const struct fence_pins *pins, unsigned int link, const char *pod, const char *addr);
struct fence_endpoint node_endpoint(const struct fence_pins *pins, unsigned int link);
/* A TCP connection of an endpoint, idle for so many seconds. */
void node_connection(const struct fence_pins *pins, unsigned int link, __u16 port, __u16 flags,
                     int idle);
/* Is that one still in the table? */
bool node_has_connection(const struct fence_pins *pins, unsigned int link, __u16 port);
/* Connections that the endpoint has by its own count. */
unsigned int node_usage(const struct fence_pins *pins, unsigned int link);
/* How often all was raised that CPUs keep (struct fence_epochs). */
__u64 node_epoch(const struct fence_pins *pins);
size_t node_count(const struct fence_pins *pins, enum fence_map map);
