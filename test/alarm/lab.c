/* SPDX-License-Identifier: Apache-2.0 */
#include "test/alarm/lab.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <linux/if_ether.h>

#include "lib/base/addr.h"
#include "test/cmocka.h"

#define START_MS 1000000u

static void changed(void *context, struct fence_alarm *alarm, enum fence_alarm_change change)
{
    struct lab *lab = context;
    size_t at = lab->count++;

    if (at >= LAB_CHANGES)
        return;
    lab->changes[at].change = change;
    lab->changes[at].rule = alarm->rule;
    snprintf(lab->changes[at].subject, sizeof(lab->changes[at].subject), "%s", alarm->who->name);
    snprintf(lab->changes[at].peer, sizeof(lab->changes[at].peer), "%s", alarm->peer);
    snprintf(lab->changes[at].evidence, sizeof(lab->changes[at].evidence), "%s", alarm->evidence);
    alarm->answer_boot_ns = UINT64_MAX;
}

void lab_init(struct lab *lab, const char *yaml)
{
    struct fence_err err = {""};

    memset(lab, 0, sizeof(*lab));
    lab->now_ms = START_MS;
    if (!yaml)
        yaml = "";
    assert_int_equal(fence_alarm_config_parse(yaml, strlen(yaml), &lab->config, &err), 0);
    assert_int_equal(fence_alarm_new(&lab->config, changed, lab, &lab->engine), 0);
}

void lab_done(struct lab *lab)
{
    fence_alarm_free(&lab->engine);
    fence_alarm_config_done(&lab->config);
}

struct names {
    char first[64];
    char second[64];
    char pod[80];
};

static void fill_end(struct fence_record_end *end, const char *text, struct names *names)
{
    const char *slash = strchr(text, '/');

    *end = (struct fence_record_end){.reserved = "",
                                     .node = "",
                                     .namespace_name = "",
                                     .app = "",
                                     .pod = "",
                                     .service = "",
                                     .labels = "",
                                     .spiffe = ""};
    if (!slash) {
        end->reserved = fence_addr_parse(text, &end->addr) == 0 ? "world" : text;
        return;
    }
    snprintf(names->first, sizeof(names->first), "%.*s", (int)(slash - text), text);
    snprintf(names->second, sizeof(names->second), "%s", slash + 1);
    snprintf(names->pod, sizeof(names->pod), "%s-0", slash + 1);
    if (strcmp(names->first, "node") == 0) {
        end->node = names->second;
        return;
    }
    end->namespace_name = names->first;
    end->app = names->second;
    end->pod = names->pod;
    end->labels = "app=x";
}

static unsigned int or_else(unsigned int given, unsigned int otherwise)
{
    return given ? given : otherwise;
}

void lab_packet(struct lab *lab, const struct lab_packet *packet)
{
    struct fence_event event = {
        .time_ns = lab->now_ms * 1000000,
        .ethertype = ETH_P_IP,
        .source_port = (__u16)or_else(packet->source_port, 40000),
        .destination_port = (__u16)packet->port,
        .protocol = (__u8)or_else(packet->protocol, IPPROTO_TCP),
        .direction = packet->ingress ? FENCE_INGRESS : FENCE_EGRESS,
        .type = (__u8)or_else(packet->type, packet->deny ? FENCE_EVENT_DROP : FENCE_EVENT_VERDICT),
        .verdict = packet->deny ? FENCE_DENY : FENCE_ALLOW,
        .reason =
            (__u8)or_else(packet->reason, packet->deny ? FENCE_REASON_NO_RULE : FENCE_REASON_RULE),
        .suppressed = packet->suppressed,
        .tcp_flags = (__u8)(packet->flags_given ? packet->tcp_flags : 0x02),
    };
    struct fence_record record = {
        .event = &event,
        .wall_ns = lab->now_ms * 1000000,
        .node_name = "n1",
        .interface = "veth1",
        .policy = "",
        .audit_policy = "",
    };
    struct names names[2];

    fill_end(&record.source, packet->from, &names[0]);
    fill_end(&record.destination, packet->to, &names[1]);
    event.source = record.source.addr;
    event.destination = record.destination.addr;
    record.source.is_endpoint = !packet->ingress;
    record.destination.is_endpoint = packet->ingress;
    fence_alarm_record(lab->engine, &record);
}

void lab_scan(struct lab *lab, const struct lab_packet *like, unsigned int count, unsigned int ms)
{
    struct lab_packet packet = *like;

    for (unsigned int i = 0; i < count; i++) {
        packet.port = 1000 + i;
        lab_packet(lab, &packet);
        lab->now_ms += ms;
    }
}

void lab_fan(struct lab *lab, const char *from, unsigned int count, unsigned int ms)
{
    for (unsigned int i = 0; i < count; i++) {
        char to[32];

        snprintf(to, sizeof(to), "shop/peer%u", i);
        lab_packet(lab, &(struct lab_packet){.from = from, .to = to, .port = 80});
        lab->now_ms += ms;
    }
}

struct fence_alarm_time lab_now(const struct lab *lab)
{
    return (struct fence_alarm_time){lab->now_ms * 1000000, lab->now_ms * 1000000};
}

void lab_pass(struct lab *lab, unsigned int seconds)
{
    for (unsigned int i = 0; i < seconds; i++) {
        struct fence_alarm_time now;

        lab->now_ms += 1000;
        now = lab_now(lab);
        fence_alarm_tick(lab->engine, &now);
    }
}

size_t lab_seen(const struct lab *lab, enum fence_alarm_rule rule, enum fence_alarm_change change)
{
    size_t count = 0;

    assert_true(lab->count <= LAB_CHANGES);
    for (size_t i = 0; i < lab->count; i++)
        count += lab->changes[i].rule == rule && lab->changes[i].change == change;
    return count;
}

struct search {
    enum fence_alarm_rule rule;
    const char *subject;
    const struct fence_alarm *found;
};

static void look(void *context, const struct fence_alarm *alarm)
{
    struct search *search = context;

    if (alarm->raised && alarm->rule == search->rule &&
        strcmp(alarm->who->name, search->subject) == 0 &&
        (!search->found || alarm->id < search->found->id))
        search->found = alarm;
}

const struct fence_alarm *lab_alarm(const struct lab *lab, enum fence_alarm_rule rule,
                                    const char *subject)
{
    struct search search = {.rule = rule, .subject = subject};

    fence_alarm_each(lab->engine, look, &search);
    return search.found;
}
