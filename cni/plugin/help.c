/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/plugin/help.h"

#include <stdio.h>
#include <string.h>

#include "lib/cni/netconf.h"
#include "lib/cni/version.h"
#include "lib/manual/completion.h"
#include "lib/manual/page.h"

#define PROGRAM "podfence"
#define ABOUT   "pod micro-segmentation as a CNI plugin, chained behind the main plugin"

static const char description[] =
    "The container runtime calls it for each pod, with CNI_COMMAND and what else the CNI\n"
    "specification says. ADD attaches filters to the pod's interface, which is closed before it\n"
    "gets them, and tells podfenced; DEL removes them and never fails; CHECK, STATUS and GC say\n"
    "what is wrong. Its entry stands last in the list of plugins (*.conflist);\n"
    "`podfencectl install-cni` puts it there. Anything wrong in it is refused with its name and\n"
    "what is allowed.\n";

static const char example[] =
    "  { \"type\": \"podfence\",\n"
    "    \"capabilities\": { \"io.kubernetes.cri.pod-annotations\": true },\n"
    "    \"startMode\": \"hold\" }\n";

static void print_key(void *context, const char *key, const char *help)
{
    (void)context;
    printf("  %s\n", key);
    while (*help) {
        size_t size = strcspn(help, "\n");

        printf("        %.*s\n", (int)size, help);
        help += size + (help[size] == '\n');
    }
}

static void print_text(void)
{
    printf("%s: %s.\n\n%s\nKeys of the entry:\n", PROGRAM, ABOUT, description);
    fence_netconf_describe(print_key, NULL);
    printf("\nExample:\n%s\nCNI protocol versions: %s\n", example, fence_cni_versions_text());
}

static void page_key(void *context, const char *key, const char *help)
{
    (void)context;
    fence_page_item(stdout, key, NULL, help);
}

static void print_page(void)
{
    fence_page_begin(stdout, &(struct fence_page){PROGRAM, 8, ABOUT});
    fence_page_section(stdout, "DESCRIPTION");
    fence_page_text(stdout, description);
    fence_page_section(stdout, "KEYS OF THE ENTRY");
    fence_netconf_describe(page_key, NULL);
    fence_page_section(stdout, "EXAMPLES");
    fence_page_text(stdout, example);
    fence_page_section(stdout, "STANDARDS");
    fence_page_text(stdout, "Versions of the CNI protocol:\n");
    fence_page_text(stdout, fence_cni_versions_text());
    fence_page_section(stdout, "SEE ALSO");
    fputs(".BR podfenced (8),\n.BR podfencectl (1)\n", stdout);
}

static void print_completion(void)
{
    const struct fence_completion place = {stdout, PROGRAM, PROGRAM};

    fence_completion_begin(stdout, PROGRAM);
    fence_completion_option(&place, &(struct fence_completion_option){
                                        .name = "help",
                                        .argument = "[=text|man|bash]",
                                    });
}

bool fence_plugin_help(const char *argument)
{
    if (strcmp(argument, "--help") == 0 || strcmp(argument, "--help=text") == 0)
        print_text();
    else if (strcmp(argument, "--help=man") == 0)
        print_page();
    else if (strcmp(argument, "--help=bash") == 0)
        print_completion();
    else
        return false;
    return true;
}
