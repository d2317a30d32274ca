/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, by the table of options.c. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cni/daemon/options_alarms.h"
#include "cni/daemon/options_audit.h"
#include "cni/daemon/options_events.h"
#include "cni/daemon/options_help.h"
#include "cni/daemon/options_install.h"
#include "lib/api/api.h"
#include "lib/objects/decoders.h"

/* What getopt_long answers for the first row: no character. */
#define FIRST_ROW 256

static const struct fence_option_row *row_of(int found)
{
    const struct fence_option_row *rows;

    fence_options_rows(&rows);
    return &rows[found - FIRST_ROW];
}

static int check_parse_error(int found, char *const *argv, int index, struct fence_err *err)
{
    const char *given = argv[index > 0 ? index : 1];

    if (found == ':')
        return fence_err_set(err, -EINVAL, "%s needs a value; see --help", given);
    /* getopt_long leaves the row's number behind when the option as such is known */
    if (optopt >= FIRST_ROW)
        return fence_err_set(err, -EINVAL, "--%s takes no value; see --help", row_of(optopt)->name);
    return fence_err_set(err, -EINVAL, "%s is not an option; see --help", given);
}

/* no_argument, required_argument or optional_argument */
static int takes(const struct fence_option_row *row)
{
    if (!row->argument)
        return no_argument;
    return row->argument[0] == '[' ? optional_argument : required_argument;
}

static int set_action(const struct fence_option_row *row, enum fence_options_action *ret_action,
                      struct fence_err *err)
{
    if (strcmp(row->name, "help") != 0)
        *ret_action = FENCE_OPTIONS_VERSION;
    else if (!optarg || strcmp(optarg, "text") == 0)
        *ret_action = FENCE_OPTIONS_HELP;
    else if (strcmp(optarg, "man") == 0)
        *ret_action = FENCE_OPTIONS_HELP_MAN;
    else if (strcmp(optarg, "bash") == 0)
        *ret_action = FENCE_OPTIONS_HELP_BASH;
    else
        return fence_err_set(err, -EINVAL, "--help: %s is none of text, man, bash", optarg);
    return 0;
}

static int use_row(struct fence_options *options, const struct fence_option_row *row,
                   enum fence_options_action *ret_action, struct fence_err *err)
{
    int result;

    if (!row->set)
        return set_action(row, ret_action, err);
    result = row->set(options, optarg, err);
    return result < 0 ? fence_err_prefix(err, result, "--%s", row->name) : 0;
}

static void set_defaults(struct fence_options *options)
{
    const char *from_environment = getenv("NODE_NAME");

    *options = (struct fence_options){
        .state = DEFAULT_STATE,
        .report = true,
        .bpffs = FENCE_DEFAULT_BPFFS,
        .socket = FENCE_DEFAULT_SOCKET,
        .trust_domain = DEFAULT_TRUST_DOMAIN,
        .mark_mask = DEFAULT_MARK_MASK,
        .platform = "auto",
        .cni_check = DEFAULT_CNI_CHECK_S,
        .device_hooks = true,
        .event_log.file = {.size = DEFAULT_EVENT_LOG_SIZE, .files = DEFAULT_EVENT_LOG_FILES},
        .socket_group = -1,
        .audit = {.size = DEFAULT_AUDIT_SIZE, .files = DEFAULT_AUDIT_FILES},
        .log_level = FENCE_LOG_INFO,
    };
    if (gethostname(options->host_name, sizeof(options->host_name) - 1) < 0)
        options->host_name[0] = '\0';
    options->node_name =
        from_environment && *from_environment ? from_environment : options->host_name;
}

static int check_address_slices(const struct fence_options *options, struct fence_err *err)
{
    if (!options->address_slices)
        return 0;
    if (!options->kubernetes)
        return fence_err_set(err, -EINVAL,
                             "--address-slices is about objects of the API: it needs --kubernetes "
                             "or --kubeconfig");
    if (!fence_name_is_subdomain(options->node_name))
        return fence_err_set(err, -EINVAL,
                             "--address-slices: \"%.80s\" is not the name of a node: lower case "
                             "letters, digits, '-' and '.'; give the node's name in Kubernetes "
                             "with --node-name or NODE_NAME",
                             options->node_name);
    return 0;
}

static int check_together(const struct fence_options *options, struct fence_err *err)
{
    if (!options->objects.count && !options->kubernetes)
        return fence_err_set(err, -EINVAL,
                             "--objects DIR or --kubernetes is needed; an empty folder "
                             "means no objects; see --help");
    if (options->policy_namespace && !options->kubernetes)
        return fence_err_set(err, -EINVAL,
                             "--policy-namespace is about ConfigMaps of the API: it needs "
                             "--kubernetes or --kubeconfig");
    return check_address_slices(options, err);
}

static int parse(struct fence_options *options, int argc, char *const *argv,
                 enum fence_options_action *ret_action, struct fence_err *err)
{
    const struct fence_option_row *rows;
    struct option known[FENCE_OPTIONS_MAX + 1] = {0};
    size_t count = fence_options_rows(&rows);
    int found;

    for (size_t i = 0; i < count; i++)
        known[i] = (struct option){
            .name = rows[i].name, .has_arg = takes(&rows[i]), .val = (int)i + FIRST_ROW};
    optind = 1;
    opterr = 0;
    while (*ret_action == FENCE_OPTIONS_RUN &&
           (found = getopt_long(argc, argv, ":", known, NULL)) != -1) {
        int result = found < FIRST_ROW
                         ? check_parse_error(found, argv, optind - 1, err)
                         : use_row(options, &rows[found - FIRST_ROW], ret_action, err);

        if (result < 0)
            return result;
    }
    if (*ret_action != FENCE_OPTIONS_RUN)
        return 0;
    if (optind < argc)
        return fence_err_set(err, -EINVAL, "%s is not an option; see --help", argv[optind]);
    return check_together(options, err);
}

int fence_options_parse(struct fence_options *options, int argc, char *const *argv,
                        enum fence_options_action *ret_action, struct fence_err *err)
{
    int result;

    set_defaults(options);
    *ret_action = FENCE_OPTIONS_RUN;
    result = parse(options, argc, argv, ret_action, err);
    if (result < 0)
        fence_options_done(options);
    return result;
}

void fence_options_done(struct fence_options *options)
{
    free(options->objects.items);
    free(options->required_labels.items);
    free(options->cni_caches.items);
    free(options->exempt_namespaces.items);
    free(options->sizes);
    fence_options_events_done(options);
    *options = (struct fence_options){0};
}
