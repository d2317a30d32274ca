/* SPDX-License-Identifier: Apache-2.0 */
#include "test/cni/call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "test/cni/run.h"

#define ARGS "CNI_ARGS=K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1;K8S_POD_UID=u1"

struct run_result call_plugin(const char *verb, const struct attachment *attachment,
                              const char *input)
{
    char command[64], id[192], netns[128], ifname[64];
    const char *environment[] = {
        command, id, netns, ifname, "CNI_PATH=/opt/cni/bin", ARGS, attachment->extra, NULL};

    snprintf(command, sizeof(command), "CNI_COMMAND=%s", verb);
    snprintf(id, sizeof(id), "CNI_CONTAINERID=%s", attachment->container_id);
    snprintf(netns, sizeof(netns), "CNI_NETNS=%s", attachment->netns);
    snprintf(ifname, sizeof(ifname), "CNI_IFNAME=%s", attachment->ifname);
    return run_plugin(environment, input, strlen(input), NULL);
}

void expect_call(const char *verb, const struct attachment *attachment, const char *input,
                 int status, const char *out)
{
    struct run_result result = call_plugin(verb, attachment, input);

    if (result.status != status || (*out ? !strstr(result.out, out) : result.out[0] != '\0'))
        fail_msg("%s: status %d\n%s%s", verb, result.status, result.out, result.err);
    run_result_done(&result);
}
