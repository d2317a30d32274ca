/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/netlink.h"

#include <errno.h>
#include <netlink/netlink.h>
#include <stdbool.h>

struct request {
    fence_nl_answer answer;
    void *context;
    int result;
    bool done;
};

struct nl_sock *fence_nl_open(int protocol)
{
    struct nl_sock *socket = nl_socket_alloc();

    if (!socket)
        return NULL;
    if (nl_connect(socket, protocol) < 0) {
        nl_socket_free(socket);
        return NULL;
    }
    return socket;
}

static int on_valid(struct nl_msg *message, void *data)
{
    struct request *request = data;

    if (request->answer && request->result == 0)
        request->result = request->answer(request->context, nlmsg_hdr(message));
    return NL_OK;
}

static int on_interrupted(struct nl_msg *message, void *data)
{
    struct request *request = data;

    (void)message;
    if (request->result == 0)
        request->result = -EINTR;
    return NL_OK;
}

static int on_end(struct nl_msg *message, void *data)
{
    struct request *request = data;

    (void)message;
    request->done = true;
    return NL_STOP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *error, void *data)
{
    struct request *request = data;

    (void)from;
    request->result = error->error;
    request->done = true;
    return NL_STOP;
}

int fence_nl_request(struct nl_sock *socket, struct nl_msg *message, fence_nl_answer answer,
                     void *context)
{
    struct request request = {.answer = answer, .context = context};
    struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
    int r;

    if (!cb)
        return -ENOMEM;
    nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, &request);
    nl_cb_set(cb, NL_CB_DUMP_INTR, NL_CB_CUSTOM, on_interrupted, &request);
    nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_end, &request);
    nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_end, &request);
    nl_cb_err(cb, NL_CB_CUSTOM, on_error, &request);
    /* with NLM_F_ACK, which nl_send_auto sets, every request has a definite end */
    r = nl_send_auto(socket, message);
    while (r >= 0 && !request.done)
        r = nl_recvmsgs(socket, cb);
    nl_cb_put(cb);
    if (request.done || request.result)
        return request.result;
    return -EIO;
}
