/* SPDX-License-Identifier: Apache-2.0 */
/* A proposal on paper: documents of YAML with remarks between them, or a List. */
#include <errno.h>
#include <string.h>

#include "cni/ctl/learn.h"
#include "lib/base/memory.h"
#include "lib/learn/manifest.h"

/* YAML ends a remark at more characters than a terminal ends a line. */
void learn_print_remark(FILE *out, const char *text)
{
    fputs("# ", out);
    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;

        if (c < 0x20 || c > 0x7e)
            fprintf(out, "\\x%02x", c);
        else
            fputc(c, out);
    }
    fputc('\n', out);
}

static int print_policy(struct ctl *ctl, const struct learn_input *input,
                        const struct fence_learn_options *options,
                        const struct fence_learn_proposal *proposal, size_t number)
{
    const struct fence_learn_policy *policy = &proposal->policies[number];
    cJSON *object = fence_learn_manifest(proposal, policy, options, &input->flows);

    if (!object)
        return -ENOMEM;
    if (number)
        fputs("---\n", stdout);
    learn_print_remark(stdout, proposal->links.workloads.items[policy->workload].name);
    for (size_t i = 0; i < policy->notes.count; i++)
        learn_print_remark(stdout, policy->notes.items[i]);
    ctl_yaml_print(stdout, object);
    cJSON_Delete(object);
    (void)ctl;
    return 0;
}

static int print_list(struct ctl *ctl, const struct learn_input *input,
                      const struct fence_learn_options *options,
                      const struct fence_learn_proposal *proposal)
{
    cJSON *list = cJSON_CreateObject(), *items;
    int r = cJSON_AddStringToObject(list, "apiVersion", "v1") &&
                    cJSON_AddStringToObject(list, "kind", "List")
                ? 0
                : -ENOMEM;

    items = cJSON_AddArrayToObject(list, "items");
    for (size_t i = 0; r == 0 && i < proposal->count; i++)
        if (!cJSON_AddItemToArray(items, fence_learn_manifest(proposal, &proposal->policies[i],
                                                              options, &input->flows)))
            r = -ENOMEM;
    if (r == 0)
        r = ctl_print_value(&ctl->output, list);
    cJSON_Delete(list);
    return r;
}

int learn_print(struct ctl *ctl, const struct learn_input *input,
                const struct fence_learn_options *options,
                const struct fence_learn_proposal *proposal)
{
    int r = 0;

    if (ctl->output.format == CTL_JSON)
        return print_list(ctl, input, options, proposal);
    for (size_t i = 0; i < proposal->notes.count; i++)
        learn_print_remark(stdout, proposal->notes.items[i]);
    for (size_t i = 0; r == 0 && i < proposal->count; i++)
        r = print_policy(ctl, input, options, proposal, i);
    return r;
}
