/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cni/daemon/options_alarms.h"
#include "cni/daemon/options_audit.h"
#include "cni/daemon/options_events.h"
#include "cni/daemon/options_help.h"
#include "cni/daemon/options_install.h"
#include "lib/api/api.h"
#include "lib/base/labels.h"
#include "lib/base/memory.h"
#include "lib/objects/decoders.h"

/* Longest of DNS that still fits struct fence_settings. */
#define TRUST_DOMAIN_MAX 63

static int add_text(struct fence_option_list *list, const char *value, struct fence_err *err)
{
    if (FENCE_GROW(list->items, list->capacity, list->count) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    list->items[list->count++] = value;
    return 0;
}

static int set_path(const char **path, const char *value, struct fence_err *err)
{
    if (!*value)
        return fence_err_set(err, -EINVAL, "a path is needed");
    *path = value;
    return 0;
}

static int set_objects(struct fence_options *options, const char *value, struct fence_err *err)
{
    if (!*value)
        return fence_err_set(err, -EINVAL, "the path of a folder is needed");
    for (size_t i = 0; i < options->objects.count; i++)
        if (!strcmp(options->objects.items[i], value))
            return fence_err_set(err, -EINVAL, "%s is given twice", value);
    return add_text(&options->objects, value, err);
}

static int set_kubernetes(struct fence_options *options, const char *value, struct fence_err *err)
{
    (void)value, (void)err;
    options->kubernetes = true;
    return 0;
}

static int set_address_slices(struct fence_options *options, const char *value,
                              struct fence_err *err)
{
    (void)value, (void)err;
    options->address_slices = true;
    return 0;
}

static int set_kubeconfig(struct fence_options *options, const char *value, struct fence_err *err)
{
    if (options->kubeconfig)
        return fence_err_set(err, -EINVAL, "is given twice: there is one API server");
    options->kubernetes = true;
    return set_path(&options->kubeconfig, value, err);
}

static int set_policy_namespace(struct fence_options *options, const char *value,
                                struct fence_err *err)
{
    if (!fence_name_is_label(value))
        return fence_err_set(err, -EINVAL, "%s is no name of a namespace", value);
    options->policy_namespace = value;
    return 0;
}

static int set_state(struct fence_options *options, const char *value, struct fence_err *err)
{
    return set_path(&options->state, value, err);
}

static int set_bpffs(struct fence_options *options, const char *value, struct fence_err *err)
{
    return set_path(&options->bpffs, value, err);
}

static int set_socket(struct fence_options *options, const char *value, struct fence_err *err)
{
    return set_path(&options->socket, value, err);
}

static int set_node_name(struct fence_options *options, const char *value, struct fence_err *err)
{
    if (!*value || strlen(value) > 253)
        return fence_err_set(err, -EINVAL, "a node's name of 1 to 253 characters is needed");
    options->node_name = value;
    return 0;
}

static int set_attach(struct fence_options *options, const char *value, struct fence_err *err)
{
    if (fence_attach_mode_parse(value, &options->attach) < 0)
        return fence_err_set(err, -EINVAL, "%s is none of auto, tcx, clsact", value);
    return 0;
}

static int set_kernel_structs(struct fence_options *options, const char *value,
                              struct fence_err *err)
{
    if (fence_kernel_structs_parse(value, &options->kernel_structs) < 0)
        return fence_err_set(err, -EINVAL, "%s is none of auto, off", value);
    return 0;
}

static int set_mark_mask(struct fence_options *options, const char *value, struct fence_err *err)
{
    unsigned long mask;
    char *end;

    if (!strcmp(value, "off")) {
        options->mark_mask = 0;
        return 0;
    }
    errno = 0;
    mask = strtoul(value, &end, 0);
    if (value[0] < '0' || value[0] > '9' || *end || errno || !mask || mask > 0xffffffff)
        return fence_err_set(err, -EINVAL, "%s is neither off nor a mask of 32 bits such as %#x",
                             value, DEFAULT_MARK_MASK);
    options->mark_mask = (unsigned int)mask;
    return 0;
}

static int set_own_node_egress(struct fence_options *options, const char *value,
                               struct fence_err *err)
{
    if (strcmp(value, "exempt") != 0 && strcmp(value, "policy") != 0)
        return fence_err_set(err, -EINVAL, "%s is none of exempt, policy", value);
    options->own_node_egress_is_policy = value[0] == 'p';
    return 0;
}

static int set_report(struct fence_options *options, const char *value, struct fence_err *err)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return fence_err_set(err, -EINVAL, "%s is none of on, off", value);
    options->report = value[1] == 'n';
    return 0;
}

static int set_same_node(struct fence_options *options, const char *value, struct fence_err *err)
{
    static const char *const names[] = {
        [FENCE_SAME_NODE_AUTO] = "auto",
        [FENCE_SAME_NODE_ON] = "on",
        [FENCE_SAME_NODE_OFF] = "off",
    };

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++) {
        if (strcmp(value, names[i]) != 0)
            continue;
        options->same_node = (enum fence_same_node)i;
        return 0;
    }
    return fence_err_set(err, -EINVAL, "%s is none of auto, on, off", value);
}

static int set_device_hooks(struct fence_options *options, const char *value, struct fence_err *err)
{
    if (strcmp(value, "auto") != 0 && strcmp(value, "off") != 0)
        return fence_err_set(err, -EINVAL, "%s is none of auto, off", value);
    options->device_hooks = value[0] == 'a';
    return 0;
}

static int set_source_check(struct fence_options *options, const char *value, struct fence_err *err)
{
    if (!strcmp(value, "strict"))
        options->source_flags = 0;
    else if (!strcmp(value, "report"))
        options->source_flags = FENCE_EP_SOURCE_REPORT;
    else if (!strcmp(value, "off"))
        options->source_flags = FENCE_EP_SOURCE_OFF;
    else
        return fence_err_set(err, -EINVAL, "%s is none of strict, report, off", value);
    return 0;
}

static int set_adopt(struct fence_options *options, const char *value, struct fence_err *err)
{
    if (fence_adopt_mode_parse(value, &options->adopt) < 0)
        return fence_err_set(err, -EINVAL, "%s is none of pods, all, chained, off", value);
    return 0;
}

static int set_cni_cache(struct fence_options *options, const char *value, struct fence_err *err)
{
    return add_text(&options->cni_caches, value, err);
}

static int set_exempt_namespace(struct fence_options *options, const char *value,
                                struct fence_err *err)
{
    return add_text(&options->exempt_namespaces, value, err);
}

static int set_required_label(struct fence_options *options, const char *value,
                              struct fence_err *err)
{
    int result = fence_label_key_check(value, err);

    return result < 0 ? fence_err_prefix(err, result, "%s is not a label's key", value)
                      : add_text(&options->required_labels, value, err);
}

static int set_labels_from_annotations(struct fence_options *options, const char *value,
                                       struct fence_err *err)
{
    (void)value;
    (void)err;
    options->labels_from_annotations = true;
    return 0;
}

static int set_audit_annotation(struct fence_options *options, const char *value,
                                struct fence_err *err)
{
    (void)value;
    (void)err;
    options->audit_annotation = true;
    return 0;
}

static int set_audit_all(struct fence_options *options, const char *value, struct fence_err *err)
{
    (void)value;
    (void)err;
    options->audit_all = true;
    return 0;
}

static int set_trust_domain(struct fence_options *options, const char *value, struct fence_err *err)
{
    size_t size = strlen(value);

    /* SPIFFE-ID section 2.1 */
    if (!size || size > TRUST_DOMAIN_MAX ||
        strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != size)
        return fence_err_set(err, -EINVAL,
                             "\"%s\" is not a trust domain: 1 to %d of a-z, 0-9, '.', '-', '_'",
                             value, TRUST_DOMAIN_MAX);
    options->trust_domain = value;
    return 0;
}

/* The maps whose size is a matter of the node's size; the others follow from the layout. */
static const enum fence_map sizable[] = {
    FENCE_MAP_ENDPOINTS, FENCE_MAP_ENDPOINT_INFO, FENCE_MAP_IDENTITIES,   FENCE_MAP_PEERS,
    FENCE_MAP_ADDRESSES, FENCE_MAP_PREFIXES,      FENCE_MAP_SETS,         FENCE_MAP_POLICIES,
    FENCE_MAP_INTERVALS, FENCE_MAP_RULES,         FENCE_MAP_CONNECTIONS,  FENCE_MAP_FRAGMENTS,
    FENCE_MAP_FLOWS,     FENCE_MAP_EVENTS,        FENCE_MAP_EVENT_LIMITS, FENCE_MAP_CLASSES,
};

static int find_sizable(const char *name, size_t size, enum fence_map *ret_map,
                        struct fence_err *err)
{
    char names[512] = "";

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(sizable); i++) {
        const char *known = fence_map_name(sizable[i]);
        size_t used = strlen(names);

        if (strlen(known) == size && !strncmp(known, name, size)) {
            *ret_map = sizable[i];
            return 0;
        }
        snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "", known);
    }
    return fence_err_set(err, -EINVAL, "%.*s is none of %s", (int)(size > 64 ? 64 : size), name,
                         names);
}

#define MAP_ENTRIES_MAX (1ul << 24)

static int set_map_size(struct fence_options *options, const char *value, struct fence_err *err)
{
    const char *equals = strchr(value, '=');
    enum fence_map map;
    unsigned long entries;
    char *end;
    int result;

    if (!equals)
        return fence_err_set(err, -EINVAL, "%s is not NAME=ENTRIES", value);
    result = find_sizable(value, (size_t)(equals - value), &map, err);
    if (result < 0)
        return result;
    errno = 0;
    entries = strtoul(equals + 1, &end, 10);
    if (equals[1] < '0' || equals[1] > '9' || *end || errno || entries < 1 ||
        entries > MAP_ENTRIES_MAX)
        return fence_err_set(err, -EINVAL, "%s is not a number of entries from 1 to %lu",
                             equals + 1, MAP_ENTRIES_MAX);
    /* the ring buffer's size is in bytes, and the kernel's page arithmetic wants a power of two */
    if (map == FENCE_MAP_EVENTS && (entries < 4096 || (entries & (entries - 1))))
        return fence_err_set(err, -EINVAL, "%lu bytes: a power of two from 4096 on is needed",
                             entries);
    if (FENCE_GROW(options->sizes, options->size_capacity, options->size_count) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    options->sizes[options->size_count++] =
        (struct fence_map_size){.map = map, .entries = (__u32)entries};
    return 0;
}

static int set_log_level(struct fence_options *options, const char *value, struct fence_err *err)
{
    if (fence_log_level_parse(value, &options->log_level) < 0)
        return fence_err_set(err, -EINVAL, "%s is none of error, warning, info, debug", value);
    return 0;
}

/* clang-format off: a table */
static const struct fence_option_row rows[] = {
    {"objects", "DIR", set_objects,
     "folder with policies, pods, namespaces and nodes as YAML or JSON; at least one\n"
     "unless --kubernetes is given;\n"
     "repeatable: of two different objects of one name, the one of the first folder counts"},
    {"kubernetes", NULL, set_kubernetes,
     "take objects from the Kubernetes API, as the service account of this pod; of two\n"
     "different objects of one name, that of the API counts, not that of a folder"},
    {"kubeconfig", "FILE", set_kubeconfig,
     "the same with the server and the rights of this file's current context"},
    {"address-slices", NULL, set_address_slices,
     "of other nodes, read what policies need of their pods from AddressSlices, which one daemon\n"
     "writes for all, and watch the pods of this node alone: for large clusters; all daemons\n"
     "need it"},
    {"policy-namespace", "NAME", set_policy_namespace,
     "ConfigMaps of the API may hold policies for everywhere if they are in this namespace, and\n"
     "for their own otherwise [--kubernetes: that of this pod, --kubeconfig: none]"},
    {"report", "on|off", set_report,
     "of what comes from the API: conditions in the statuses of policies, Events for refused\n"
     "ones, and a NodeReport of this node are written to it [on]"},
    {"state", "DIR", set_state,
     "last good versions of the objects are kept here [" DEFAULT_STATE "]"},
    {"bpffs", "DIR", set_bpffs,
     "folder of the pinned data path, on a BPF file system\n[" FENCE_DEFAULT_BPFFS "]"},
    {"socket", "PATH", set_socket,
     "where the plugin and podfencectl find this daemon\n[" FENCE_DEFAULT_SOCKET "]"},
    {"node-name", "NAME", set_node_name,
     "this node's name in Kubernetes [NODE_NAME of the environment, else the host name]"},
    {"attach", "auto|tcx|clsact", set_attach,
     "how filters of new pods are attached; auto: by clsact, which is quicker, and those of pods\n"
     "that stay are moved to TCX, which is faster, where the kernel has it [auto]"},
    {"kernel-structs", "auto|off", set_kernel_structs,
     "read what the kernel knows of a packet from its own structs, where it shows them (6.2 and\n"
     "newer): who is behind a masqueraded address, and what a left-over checksum rewrites [auto]"},
    {"mark-mask", "MASK|off", set_mark_mask,
     "bits of the packet mark that say which pod of this node sent it, where the kernel's\n"
     "structs do not; nobody else's, and enough for the node's pods [0x10ff: 511 pods]"},
    {"own-node-egress", "exempt|policy", set_own_node_egress,
     "pod to its own node: exempt from allow-lists, or ordinary egress [exempt]"},
    {"source-check", "strict|report|off", set_source_check,
     "packets of a pod with an address that is not the pod's [strict: dropped]"},
    {"same-node", "auto|on|off", set_same_node,
     "hand packets between pods of this node straight from one to the other; they pass\n"
     "neither netfilter nor tcpdump on the node. auto: on a bridge whose packets\n"
     "netfilter does not see [auto]"},
    {"device-hooks", "auto|off", set_device_hooks,
     "a service with backends that a policy allows and others: auto: judged where its packets\n"
     "leave for one of them, by a filter at every device of the node, which is there only while\n"
     "a policy needs it; off: refused [auto]"},
    {"adopt", "pods|all|chained|off", set_adopt,
     "put what ran before podfence under enforcement: pods: the first interface of each pod, and\n"
     "what podfence is in the chain of; all: containers and further networks too; chained: only\n"
     "what podfence is in the chain of [pods]"},
    {"cni-cache", "DIR", set_cni_cache,
     "where the runtime's libcni keeps its results [/var/lib/cni/results]; repeatable"},
    {"exempt-namespace", "NAME", set_exempt_namespace,
     "pods of it that are adopted are let through, as exemptNamespaces of the chain has it for\n"
     "those that start; repeatable"},
    {"required-label", "KEY", set_required_label,
     "a pod without this label is treated as pending; repeatable"},
    {"labels-from-annotations", NULL, set_labels_from_annotations,
     "take labels from the annotation podfence.io/labels, which pod owners write themselves"},
    {"audit-annotation", NULL, set_audit_annotation,
     "the annotation podfence.io/enforcement: Audit counts on NetworkPolicy and\n"
     "ClusterNetworkPolicy"},
    {"audit-all", NULL, set_audit_all, "every policy is an Audit policy: reported, not enforced"},
    {"trust-domain", "NAME", set_trust_domain,
     "of the SPIFFE names that are shown [" DEFAULT_TRUST_DOMAIN "]"},
    {"map-size", "NAME=ENTRIES", set_map_size,
     "size of a map that is not pinned yet (events: in bytes); repeatable"},
    {"install-cni", "off|owned|patch|dropin|none", fence_option_install_cni,
     "install the plugin and keep it in the chain of new pods. owned: an own list that sorts\n"
     "first, the main CNI's and our entry; patch: our entry in the main CNI's list; dropin: in a\n"
     "file beside it, which libcni reads from 1.3 on; none: the binary alone [off]"},
    {"cni-conf-dir", "DIR", fence_option_cni_conf_dir,
     "the runtime's configurations [by --platform]"},
    {"cni-bin-dir", "DIR", fence_option_cni_bin_dir, "the runtime's plugins [by --platform]"},
    {"platform", "auto|default|k3s|microk8s|openshift|gke", fence_option_platform,
     "whose folders they are; auto: those that are there [auto]"},
    {"plugin", "FILE", fence_option_plugin,
     "the binary to install [podfence, beside podfenced or in ../libexec/cni]"},
    {"cni-entry", "JSON", fence_option_cni_entry,
     "podfence's entry of the chain, an object (see README)"},
    {"cni-check", "SECONDS", fence_option_cni_check,
     "look at all of it so often, besides whenever something changes [60]"},
    {"event-log", "FILE|-", fence_option_event_log,
     "write events as JSON lines, allowed connections among them, to a file or, -, to standard\n"
     "output; a full disk stops nothing but the log"},
    {"event-log-size", "SIZE", fence_option_event_log_size,
     "rename the file before it grows larger, FILE to FILE.1 and so on [10M]"},
    {"event-log-files", "N", fence_option_event_log_files,
     "how many files are kept, the current one among them [5]"},
    {"event-log-filter", "KEY=VALUE,...;...", fence_option_event_log_filter,
     "write only what fits: KEY is verdict, from, to, namespace, port, reason or policy, values\n"
     "are as in podfencectl observe, one of each key must fit; repeatable: one of these filters\n"
     "must fit, such as 'verdict=DROPPED,AUDIT;namespace=shop'"},
    {"alarms", "on|off", fence_option_alarms,
     "watch what workloads do and tell what is unusual: new peers, scans, floods, forged\n"
     "sources, filters that somebody removed (podfencectl alarms) [on]"},
    {"alarms-config", "FILE", fence_option_alarms_config,
     "thresholds, exemptions and which alarms cut the workload off, as YAML; read again when it\n"
     "changes; what is wrong in it is named in the status, and the last good one counts"},
    {"socket-group", "GROUP", fence_option_socket_group,
     "members may ask at the socket (status, observe and their like), and change nothing\n"
     "[none: root only]"},
    {"audit-log", "FILE", fence_option_audit_log,
     "write connections and changes of policy to this file, each record chained to the one before\n"
     "by its hash (podfencectl audit verify, audit report); a full disk stops nothing but the log"},
    {"audit-key", "FILE", fence_option_audit_key,
     "seal the records with this key, of at least 16 bytes: without one, whoever may write the "
     "log\n"
     "can make the whole chain anew"},
    {"audit-log-size", "SIZE", fence_option_audit_log_size,
     "begin a new file when one has this size, and rename the old one to FILE.1 [64M]"},
    {"audit-log-files", "N", fence_option_audit_log_files,
     "files that are kept, the present one among them [10]"},
    {"metrics", "ADDRESS:PORT|off", fence_option_metrics,
     "serve /metrics, /healthz and /readyz there by HTTP, such as 127.0.0.1:9464; without an\n"
     "address (:9464), at all of this node's [off]"},
    {"log-level", "error|warning|info|debug", set_log_level,
     "what is said on standard error [info]"},
    {"version", NULL, NULL, "show the version of the program and of the pinned layout"},
    {"help", "[=text|man|bash]", NULL,
     "show this; man: the manual page, bash: what completion asks"},
};
/* clang-format on */

_Static_assert(FENCE_ARRAY_SIZE(rows) <= FENCE_OPTIONS_MAX, "getopt has a place for each");

size_t fence_options_rows(const struct fence_option_row **ret_rows)
{
    *ret_rows = rows;
    return FENCE_ARRAY_SIZE(rows);
}
