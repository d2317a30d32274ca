/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/status.h"

#include "cni/ctl/alarms.h"
#include "cni/ctl/text.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/datapath/settings.h"

static void safe(const char *text)
{
    fence_print_safe(stdout, text);
}

static void title(const char *text)
{
    printf("%-12s ", text);
}

static void print_daemon(const cJSON *value)
{
    const char *error = ctl_member_text(value, "daemon.error");
    const cJSON *reason;

    title("daemon:");
    if (*error) {
        fputs("does not answer: ", stdout);
        safe(error);
        putchar('\n');
        return;
    }
    if (!cJSON_IsTrue(ctl_member(value, "daemon.running"))) {
        puts("not running, enforcement continues from the pinned maps");
        return;
    }
    fputs("running, version ", stdout);
    safe(ctl_member_text(value, "version"));
    fputs(", on node ", stdout);
    safe(ctl_member_text(value, "node"));
    fputs(", since ", stdout);
    safe(ctl_member_text(value, "startedAt"));
    puts(cJSON_IsTrue(ctl_member(value, "ready")) ? ", ready" : ", NOT READY");
    cJSON_ArrayForEach(reason, ctl_member(value, "notReady"))
    {
        title("not ready:");
        safe(cJSON_IsString(reason) ? reason->valuestring : "");
        putchar('\n');
    }
}

static void print_counts(const char *name, const cJSON *counts)
{
    const char *between = "";
    const cJSON *count;

    if (!counts)
        return;
    title(name);
    cJSON_ArrayForEach(count, counts)
    {
        printf("%s%.0f ", between, count->valuedouble);
        safe(count->string);
        between = ", ";
    }
    puts(*between ? "" : "none");
}

static void print_programs(const cJSON *settings)
{
    title("programs:");
    if (cJSON_IsTrue(ctl_member(settings, "kernelStructs"))) {
        puts("read the kernel's structs");
        return;
    }
    fputs("go without the kernel's structs: " FENCE_PLAIN_COST, stdout);
    puts(ctl_member_number(settings, "markMask") > 0 ? "" : FENCE_MARK_OFF_COST);
}

static void print_pins(const cJSON *pins)
{
    title("data path:");
    safe(ctl_member_text(pins, "path"));
    printf(", layout %.0f, %d programs, loaded by version ", ctl_member_number(pins, "layout"),
           cJSON_GetArraySize(ctl_member(pins, "programs")));
    safe(ctl_member_text(pins, "version"));
    putchar('\n');
    if (*ctl_member_text(pins, "versionWarning")) {
        title("WARNING:");
        safe(ctl_member_text(pins, "versionWarning"));
        putchar('\n');
    }
    title("settings:");
    printf("attach %s, source checks %s, trust domain ", ctl_member_text(pins, "settings.attach"),
           ctl_member_text(pins, "settings.sourceCheck"));
    safe(ctl_member_text(pins, "settings.trustDomain"));
    putchar('\n');
    print_programs(ctl_member(pins, "settings"));
    if (cJSON_IsTrue(ctl_member(pins, "settings.addressesIncomplete")))
        puts("ADDRESSES INCOMPLETE: one could not be written, so unknown ones count as pending");
    print_counts("endpoints:", ctl_member(pins, "endpoints"));
}

/* Nothing where podfenced does not install. */
static void print_cni(const cJSON *cni)
{
    double position = ctl_member_number(cni, "effective.position");
    const char *waiting = ctl_member_text(cni, "waitingFor");

    if (!cJSON_IsObject(cni))
        return;
    title("cni:");
    safe(ctl_member_text(cni, "mode"));
    if (position < 0) {
        fputs(", NOT IN THE CHAIN", stdout);
    } else {
        printf(", plugin %.0f of %.0f of network ", position + 1,
               ctl_member_number(cni, "effective.plugins"));
        safe(ctl_member_text(cni, "effective.network"));
    }
    fputs(" by ", stdout);
    safe(ctl_member_text(cni, "confDir"));
    putchar('/');
    safe(ctl_member_text(cni, "effective.file"));
    printf(", written %.0f times, after others' changes %.0f\n", ctl_member_number(cni, "written"),
           ctl_member_number(cni, "undone"));
    if (!*waiting)
        return;
    title("cni waits:");
    safe(waiting);
    putchar('\n');
}

static void print_folders(const cJSON *value)
{
    const cJSON *folder;

    cJSON_ArrayForEach(folder, ctl_member(value, "folders"))
    {
        title("folder:");
        safe(ctl_member_text(folder, "path"));
        puts(cJSON_IsTrue(ctl_member(folder, "present")) ? "" : ", MISSING");
    }
}

static void print_apply(const cJSON *apply)
{
    if (!cJSON_IsObject(apply))
        return;
    title("last apply:");
    safe(ctl_member_text(apply, "at"));
    printf(", %.0f writes, %.0f endpoints changed, %.0f failures, %.1f ms\n",
           ctl_member_number(apply, "writes"), ctl_member_number(apply, "changedEndpoints"),
           ctl_member_number(apply, "failures"), ctl_member_number(apply, "microseconds") / 1000);
}

static void print_problem(const cJSON *problem)
{
    const char *object = ctl_member_text(problem, "object");
    unsigned int line = (unsigned int)ctl_member_number(problem, "line");
    const char *text = ctl_split_line(ctl_member_text(problem, "text"), &line);

    fputs("  ", stdout);
    safe(ctl_member_text(problem, "file"));
    if (line)
        printf(":%u", line);
    fputs(": ", stdout);
    safe(object);
    fputs(*object ? ": " : "", stdout);
    fputs(cJSON_IsTrue(ctl_member(problem, "warning")) ? "warning: " : "", stdout);
    safe(text);
    /* of a whole file the text says it */
    puts(*object && cJSON_IsTrue(ctl_member(problem, "kept"))
             ? " (the last good version stays in force)"
             : "");
}

static void print_subject(const cJSON *item)
{
    fputs("  ", stdout);
    safe(ctl_member_text(item, "subject"));
    fputs(": ", stdout);
    safe(ctl_member_text(item, "text"));
    putchar('\n');
}

static void print_unresolved(const cJSON *item)
{
    fputs("  ", stdout);
    safe(ctl_member_text(item, "endpoint"));
    fputs(": ", stdout);
    safe(ctl_member_text(item, "state"));
    fputs(": ", stdout);
    safe(ctl_member_text(item, "reason"));
    putchar('\n');
}

static void print_unadopted(const cJSON *item)
{
    const char *pod = ctl_member_text(item, "pod");

    fputs("  ", stdout);
    safe(pod);
    fputs(*pod ? ": " : "", stdout);
    safe(ctl_member_text(item, "source"));
    fputs(": ", stdout);
    safe(ctl_member_text(item, "reason"));
    putchar('\n');
}

static void print_list(const char *name, const cJSON *list, void (*print)(const cJSON *item))
{
    const cJSON *item;

    if (!cJSON_GetArraySize(list))
        return;
    printf("\n%s\n", name);
    cJSON_ArrayForEach(item, list) print(item);
}

void ctl_unadopted_print(const cJSON *list)
{
    print_list("NOT ENFORCED: pods that run here and could not be taken in; tried again", list,
               print_unadopted);
}

/* JSON has the list even where it is empty. */
static void print_nodes(const struct ctl *ctl, const cJSON *nodes)
{
    static const struct ctl_column columns[] = {
        {"NODE", "node", NULL, 60},
        {"ALLOWED", "allowed", NULL, 0},
        {"DENIED", "denied", NULL, 0},
    };

    if (!cJSON_GetArraySize(nodes))
        return;
    puts("\nNew connections from other nodes, and from those whom these sent on under their "
         "address");
    ctl_table_print(stdout, ctl->output.color, nodes, columns, FENCE_ARRAY_SIZE(columns));
}

static void print_drops(const struct ctl *ctl, const cJSON *counters)
{
    static const struct ctl_column columns[] = {
        {"REASON", "reason", NULL, 0},
        {"DIRECTION", "direction", NULL, 0},
        {"PACKETS", "packets", NULL, 0},
        {"BYTES", "bytes", NULL, 0},
    };
    cJSON *drops = cJSON_CreateArray();
    const cJSON *counter;

    cJSON_ArrayForEach(counter, counters)
    {
        if (cJSON_IsTrue(ctl_member(counter, "drop")))
            cJSON_AddItemToArray(drops, cJSON_Duplicate(counter, 1));
    }
    puts("\nDropped packets");
    ctl_table_print(stdout, ctl->output.color, drops, columns, FENCE_ARRAY_SIZE(columns));
    cJSON_Delete(drops);
}

/* How long policies take, and what is out of the ordinary. */
static void print_in_force(const cJSON *value)
{
    const cJSON *in_force = ctl_member(value, "inForce");
    double waiting = ctl_member_number(in_force, "waiting");
    double cuts = ctl_member_number(value, "cuts.active");

    if (ctl_member_number(in_force, "count") > 0) {
        title("policies:");
        printf("seen to in force %.4f s at the median, %.4f s at 99 %%\n",
               ctl_member_number(in_force, "p50"), ctl_member_number(in_force, "p99"));
    }
    if (waiting > 0) {
        title("waiting:");
        printf("%.0f changed policies are NOT IN FORCE yet: see podfencectl policies\n", waiting);
    }
    if (cuts > 0) {
        title("CUTS:");
        printf("%.0f in force: see podfencectl cut list\n", cuts);
    }
}

/* On top, where there are any. */
static void print_alarms(const struct ctl *ctl, const cJSON *value)
{
    const cJSON *alarm, *alarms = ctl_member(value, "alarms");
    const char *problem = ctl_member_text(value, "alarming.problem");
    double raised = ctl_member_number(value, "alarming.raisedNow");

    if (raised > 0) {
        printf("ALARMS: %.0f raised (podfencectl alarms)\n", raised);
        cJSON_ArrayForEach(alarm, alarms) ctl_alarm_print(stdout, ctl->output.color, alarm);
        putchar('\n');
    }
    if (!*problem)
        return;
    fputs("ALARMS: the last good configuration is in force: ", stdout);
    safe(problem);
    putchar('\n');
}

void ctl_status_print(const struct ctl *ctl, const cJSON *value)
{
    static const struct ctl_column maps[] = {
        {"MAP", "name", NULL, 0},
        {"USED", "used", NULL, 0},
        {"MAX", "max", NULL, 0},
        {"PERCENT", "percent", NULL, 0},
    };
    const cJSON *pins = ctl_member(value, "pins");

    print_alarms(ctl, value);
    print_daemon(value);
    print_pins(pins);
    print_cni(ctl_member(value, "cni"));
    print_folders(value);
    ctl_status_print_kubernetes(stdout, ctl_member(value, "kubernetes"));
    ctl_status_print_report(stdout, ctl_member(value, "report"),
                            ctl_member(value, "addressSlices"));
    print_counts("objects:", ctl_member(value, "objects"));
    print_apply(ctl_member(value, "lastApply"));
    print_in_force(value);
    ctl_status_print_events(ctl_member(value, "events"));
    print_counts("put right:", ctl_member(value, "reconciled"));
    print_list("Problems", ctl_member(value, "problems"), print_problem);
    print_list("Failures", ctl_member(value, "failures"), print_subject);
    print_list("Not enforced by policy yet", ctl_member(value, "unresolved"), print_unresolved);
    ctl_unadopted_print(ctl_member(value, "unadopted"));
    print_list("Notes", ctl_member(value, "notes"), print_subject);
    puts("\nMaps");
    ctl_table_print(stdout, ctl->output.color, ctl_member(pins, "maps"), maps,
                    FENCE_ARRAY_SIZE(maps));
    print_nodes(ctl, ctl_member(pins, "fromNodes"));
    print_drops(ctl, ctl_member(pins, "counters"));
}
