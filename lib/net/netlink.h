/* SPDX-License-Identifier: Apache-2.0 */
/* One netlink request and its answers over libnl. Used inside lib/net only. */
#pragma once

#include <netlink/msg.h>
#include <netlink/socket.h>

#include "lib/base/memory.h"

static inline void fence_nl_socket_p(struct nl_sock **socket)
{
    nl_socket_free(*socket);
    *socket = NULL;
}

static inline void fence_nl_msg_p(struct nl_msg **message)
{
    nlmsg_free(*message);
    *message = NULL;
}

#define FENCE_NL_SOCKET FENCE_CLEANUP(fence_nl_socket_p)
#define FENCE_NL_MSG    FENCE_CLEANUP(fence_nl_msg_p)

/* A socket of the caller's namespace, NETLINK_ROUTE or another; NULL when there is none (errno). */
struct nl_sock *fence_nl_open(int protocol);

/* Takes one answer; a negative errno ends the request with it. */
typedef int (*fence_nl_answer)(void *context, struct nlmsghdr *header);

/*
 * Send `message` and hand every answer to `answer` (NULL: none is expected) until the kernel says
 * that it is done. Returns the kernel's own negative errno, -EINTR for a dump that has to be
 * repeated because something changed meanwhile.
 */
int fence_nl_request(struct nl_sock *socket, struct nl_msg *message, fence_nl_answer answer,
                     void *context);
