/* SPDX-License-Identifier: Apache-2.0 */
/* The command line itself: exit status and what is said. */
#include <stdio.h>
#include <string.h>

#include "test/cmocka.h"

#include "lib/base/memory.h"
#include "test/ctl/run.h"
#include "test/layout.h"

static const struct {
    const char *arguments[RUN_ARGUMENTS];
    int status;
    const char *out; /* has to contain */
    const char *err;
} cases[] = {
    {{NULL}, 2, "", "a command is missing"},
    {{"--help"}, 0, "See:\n  status", ""},
    {{"help"}, 0, "Exit status:", ""},
    {{"-h"}, 0, "Global options:", ""},
    {{"--version"}, 0, "podfencectl " FENCE_VERSION ", pinned layout " LAYOUT_TEXT, ""},
    {{"tops"}, 2, "", "there is no command tops\nSee:\n  status"},
    {{"help", "tops"}, 2, "", "there is no command tops"},
    {{"\033[2J"}, 2, "", "there is no command \\x1b[2J\n"},
    {{"help", "trace"}, 0, "Usage: podfencectl trace", ""},
    {{"trace", "--help"}, 0, "--expect allow|deny", ""},
    {{"--help", "trace"}, 0, "--expect allow|deny", ""},
    {{"status", "--help"}, 0, "Example:", ""},
    {{"--help=man"}, 0, ".TH podfencectl 1 ", ""},
    {{"trace", "--help=man"}, 0, ".SS \"trace\"\n.B podfencectl trace\n", ""},
    {{"trace", "--help=bash"}, 0, "podfencectl_values[\"trace --expect\"]=' allow deny'\n", ""},
    {{"--help=bash"}, 0, "podfencectl_words[\"podfencectl\"]+=' trace'\n", ""},
    {{"--help=xml"}, 2, "", "--help=xml: there are text, man and bash"},
    {{"trace", "--help=xml"}, 2, "", "--help=xml: there are text, man and bash"},
    {{"endpoints", "-h"}, 0, "Example:", ""},
    {{"identities", "-h"}, 0, "Example:", ""},
    {{"policies", "-h"}, 0, "--set N", ""},
    {{"connections", "-h"}, 0, "--verdict allow|deny", ""},
    {{"observe", "-h"}, 0, "-f, --follow", ""},
    {{"validate", "-h"}, 0, "Usage: podfencectl validate [OPTION]... FILE...", ""},
    {{"load", "-h"}, 0, "--kernel-structs auto|off", ""},
    {{"load", "--kernel-structs", "on"}, 2, "", "--kernel-structs on: there are auto and off"},
    {{"status", "--help"}, 0, "--ready", ""},
    {{"status", "--ready", "--socket", "/nowhere/s"},
     1,
     "",
     "not running: nobody serves /nowhere/s"},
    {{"status", "--alive", "--socket", "/nowhere/s"},
     1,
     "",
     "not running: nobody serves /nowhere/s"},
    {{"status", "extra"}, 2, "", "extra is one argument too many\nTry: podfencectl status --help"},
    {{"validate"}, 2, "", "FILE... is missing"},
    {{"--nonsense", "status"}, 2, "", "unknown option --nonsense\nTry: podfencectl --help"},
    {{"status", "--nonsense"}, 2, "", "unknown option --nonsense"},
    {{"status", "-x"}, 2, "", "unknown option -x"},
    {{"status", "--no-color=1"}, 2, "", "option --no-color=1 takes no value"},
    {{"status", "--bpffs"}, 2, "", "option --bpffs needs a value"},
    {{"-o"}, 2, "", "option -o needs a value"},
    {{"-o", "xml", "status"}, 2, "", "-o xml: there are text, json and yaml"},
    {{"status", "-oxml"}, 2, "", "-o xml: there are text, json and yaml"},
    {{"policies", "--set", "x"}, 2, "", "--set x: it is the number of a policy set"},
    {{"policies", "--set", "0"}, 2, "", "--set 0:"},
    {{"policies", "--set", "-1"}, 2, "", "--set -1:"},
    {{"policies", "--set", "4294967296"}, 2, "", "--set 4294967296:"},
    {{"connections", "--verdict", "maybe"}, 2, "", "--verdict maybe: there are allow and deny"},
    {{"observe", "--verdict", "denied"},
     2,
     "",
     "--verdict: denied is no verdict: there are FORWARDED (allow), DROPPED (deny), AUDIT"},
    {{"observe", "--verdict", "Deny", "--port", "80x"}, 2, "", "--port: 80x is no port"},
    {{"observe", "--port", "65536"}, 2, "", "--port: 65536 is no port: 0 to 65535"},
    {{"observe", "--since", "noon"}, 2, "", "--since noon"},
    {{"trace"}, 2, "", "it needs --from, --to and --port, or --queries"},
    {{"trace", "--from", "a/b", "--to", "c/d"}, 2, "", "it needs --from, --to and --port"},
    {{"trace", "--from", "a/b", "--to", "c/d", "--port", "http"}, 2, "", "--port http: give"},
    {{"trace", "--from", "a/b", "--to", "c/d", "--port", "65536/TCP"}, 2, "", "--port 65536/TCP"},
    {{"trace", "--from", "a/b", "--to", "c/d", "--port", "80/tcp"}, 2, "", "the protocol is TCP"},
    {{"trace", "--from", "a/b", "--to", "c/d", "--port", "80/ICMP"}, 2, "", "--type and --code"},
    {{"trace", "--from", "a/b", "--to", "c/d", "--port", "80", "--type", "8"},
     2,
     "",
     "--type and --code go with --port ICMP"},
    {{"trace", "--from", "a/b", "--to", "c/d", "--port", "ICMP", "--type", "256"},
     2,
     "",
     "--type 256: it is 0 to 255"},
    {{"trace", "--from", "a/b", "--to", "c/d", "--port", "ICMP", "--code", "1"},
     2,
     "",
     "--code needs --type"},
    {{"trace", "--from", "a/b", "--to", "c/d", "--port", "ICMP", "--family", "6"},
     2,
     "",
     "--port ICMP goes with family 4 only"},
    {{"trace", "--from", "a/b", "--to", "c/d", "--port", "80", "--family", "5"},
     2,
     "",
     "--family 5: there are 4 and 6"},
    {{"trace", "--queries", "-", "--from", "a/b"}, 2, "", "each line says from, to and port"},
    {{"trace", "--queries", "-", "--expect", "yes"}, 2, "", "--expect yes: there are allow"},
    /* no data path: exit status 1 and the remedy, before and behind the verb */
    {{"--bpffs", "/nonexistent/x", "status"}, 1, "", "start podfenced, or run"},
    {{"status", "--bpffs", "/nonexistent/x"}, 1, "", "start podfenced, or run"},
    {{"endpoints", "--bpffs", "/nonexistent/x", "-o", "json"}, 1, "", "start podfenced, or run"},
    {{"identities", "--bpffs", "/nonexistent/x"}, 1, "", "/nonexistent/x"},
    {{"connections", "--bpffs", "/nonexistent/x"}, 1, "", "/nonexistent/x"},
    {{"policies", "--set", "3", "--bpffs", "/nonexistent/x"}, 1, "", "/nonexistent/x"},
    {{"policies", "--socket", "/nonexistent/s", "--bpffs", "/nonexistent/x"},
     1,
     "",
     "/nonexistent/x"},
    {{"observe", "--socket", "/nonexistent/s", "--bpffs", "/nonexistent/x"},
     1,
     "",
     "/nonexistent/x"},
    {{"trace", "--from", "a/b", "--to", "c/d", "--port", "80", "--bpffs", "/nonexistent/x"},
     1,
     "",
     "/nonexistent/x"},
};

static void expect_text(const char *text, const char *part)
{
    if (*part ? strstr(text, part) != NULL : !*text)
        return;
    fail_msg("expected \"%s\" in \"%s\"", part, text);
}

static void usage(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(cases); i++) {
        struct run run;

        run_ctl(cases[i].arguments, NULL, &run);
        print_message("%zu: %s: %s", i,
                      cases[i].arguments[0] && cases[i].arguments[0][0] != '\033'
                          ? cases[i].arguments[0]
                          : "",
                      *run.err ? run.err : "\n");
        assert_int_equal(run.status, cases[i].status);
        expect_text(run.out, cases[i].out);
        expect_text(run.err, cases[i].err);
        run_done(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(usage)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
