/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the benches of the data path have as objects: in one namespace a client and a server on this
 * node, pods of other nodes, and a policy of each that lets the client open connections to
 * everybody and the server be asked by everybody, on some ports. Answers pass by their connection
 * alone.
 */
#pragma once

#include <stdio.h>

#include "lib/base/addr.h"

#define SHOP_NODE        "here"
#define SHOP_NAMESPACE   "shop"
#define SHOP_PORT        8000u /* to SHOP_PORT_LAST: open by the first rule */
#define SHOP_PORT_LAST   8255u
#define SHOP_PORT_DENIED 9000u /* and the ports after it */
#define SHOP_APPS        250u  /* of pods of other nodes */

enum shop_pod { SHOP_CLIENT, SHOP_SERVER, SHOP_PODS };

struct shop {
    int family;           /* 4 or 6 */
    unsigned int rules;   /* of each policy, 1 or more */
    unsigned int remotes; /* pods of other nodes */
};

const char *shop_pod_name(enum shop_pod pod);
/* The number-th address of pods of other nodes. */
struct fence_addr shop_remote(int family, unsigned int number);

/* All objects as a List. Pods here have `addrs`, or none yet when it is NULL. */
void shop_write(FILE *out, const struct shop *shop, const struct fence_addr *addrs);
/* One pod of another node as an object of its own, at the at-th address. */
void shop_write_remote(FILE *out, int family, unsigned int number, unsigned int at);
