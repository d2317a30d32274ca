/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/check.h"

#include <string.h>

#include "cni/ctl/text.h"
#include "lib/base/names.h"

static const struct {
    const char *level;
    const char *shown;
    const char *color;
} looks[] = {
    {"ok", "ok  ", "\033[32m"},
    {"warn", "warn", "\033[33m"},
    {"fail", "FAIL", "\033[31m"},
};

static void print_level(FILE *out, bool color, const char *level)
{
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++)
        if (strcmp(looks[i].level, level) == 0)
            fprintf(out, "%s%s%s  ", color ? looks[i].color : "", looks[i].shown,
                    color ? CTL_COLOR_END : "");
}

void check_print(FILE *out, bool color, const cJSON *value)
{
    const cJSON *row;

    cJSON_ArrayForEach(row, ctl_member(value, "findings"))
    {
        const char *remedy = ctl_member_text(row, "remedy");

        print_level(out, color, ctl_member_text(row, "level"));
        fence_print_safe(out, ctl_member_text(row, "area"));
        fputs(": ", out);
        fence_print_safe(out, ctl_member_text(row, "what"));
        if (*remedy) {
            fputs("  \xe2\x80\x93 ", out);
            fence_print_safe(out, remedy);
        }
        fputc('\n', out);
    }
    fprintf(out, "%.0f ok, %.0f warnings, %.0f failures\n", ctl_member_number(value, "ok"),
            ctl_member_number(value, "warnings"), ctl_member_number(value, "failures"));
}
