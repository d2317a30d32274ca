# SPDX-License-Identifier: Apache-2.0
"""Behaviours 1, 2, 6, 9 and 16 with the real plugins in front of podfence and behind it."""
import json
import os

from chain import BANDWIDTH, PORTMAP, TUNING, Attachment, Sandbox, bridge, ipam, podfence, ptp, reach
from input import exact
from node import VERSIONS, Pod, endpoints, expect, expect_in, objects, sh

OUTSIDE = ["nsenter", "--net=/run/netns/outside", "--"]
CAPABILITIES = {"portMappings": [{"hostPort": 18080, "containerPort": 80, "protocol": "tcp"}],
                "bandwidth": {"ingressRate": 1000000000, "ingressBurst": 8000000}}
DENY = """
apiVersion: podfence.io/v1alpha1
kind: SegmentPolicy
metadata: { name: closed, namespace: shop }
spec: { mode: Allowlist, appliesTo: { podSelector: { matchLabels: { app: closed } } }, ingress: [] }
"""


def held_addresses():
    folder = os.path.join(os.environ["LAB"], "ipam-contract")
    return [name for _, _, names in os.walk(folder) for name in names
            if name[0].isdigit() or name.startswith("fd00")]


def passes_results_on():
    """1 and 2: every version that the real plugins speak, podfence last, between and next to last."""
    entry = podfence()
    chains = [[bridge(), PORTMAP, entry], [ptp(), TUNING, entry, PORTMAP, BANDWIDTH],
              [bridge(), entry, TUNING, PORTMAP], [ptp(), PORTMAP, BANDWIDTH, entry]]
    for version, plugins in zip(["0.3.0", "0.3.1", "0.4.0", "1.0.0"], chains):
        with Sandbox("echo") as sandbox:
            pod = Attachment(sandbox, plugins, version, capabilities=CAPABILITIES).attach()
            (verb, before, out), = pod.seen
            expect("verb", verb, "ADD")
            expect(f"result in {version}", exact(out), exact(json.dumps(before)))
            expect(f"version of the result in {version}", json.loads(out)["cniVersion"], version)
            if version in ("0.4.0", "1.0.0"):
                pod.only("CHECK", "podfence")
            pod.detach()
            pod.detach()
            expect("output of CHECK and DEL", {out for _, _, out in pod.seen[1:]}, {""})
    expect("addresses held", held_addresses(), [])
    expect("the last of them is not spoken by Debian's plugins", VERSIONS[-1], "1.1.0")


def makes(*link):
    """Whether this machine has such links at all; macvlan and tap are everywhere."""
    sh("ip", "link", "add", *link, check=False)
    made = bool(sh("ip", "link", "show", "dev", "x0", check=False))
    sh("ip", "link", "del", "x0", check=False)
    if not made:
        print(f"  no such links here: {' '.join(link)}")
    return made


def refuses_what_has_no_end_on_the_node():
    """6: macvlan, ipvlan, vlan: code 7 says what it is and what to do; the chain is undone."""
    sh("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
    sh("ip", "link", "set", "uplink", "up")
    for kind, more in {"macvlan": {}, "ipvlan": {}, "vlan": {"vlanId": 7}}.items():
        number = ["id", "7"] if kind == "vlan" else []
        if kind != "macvlan" and not makes("link", "uplink", "name", "x0", "type", kind, *number):
            continue
        with Sandbox("kind") as sandbox:
            main = {"type": kind, "master": "uplink", "ipam": {**ipam(79), "routes": []}, **more}
            pod = Attachment(sandbox, [main, podfence(), PORTMAP])
            report = pod.refused()
            expect(f"who refuses {kind}", (report["plugin"], report["error"]["code"]), ("podfence", 7))
            expect_in("its words", f"of the kind {kind}", report["error"]["msg"])
            expect_in("the remedy", "podfence needs a veth pair", report["error"]["msg"])
            pod.detach()
            expect(f"addresses held after {kind}", held_addresses(), [])
    sh("ip", "link", "del", "uplink")


def refuses_links_by_hand():
    """6: whatever else may be called eth0; and the namespace itself."""
    with Pod() as pod:
        inside = ["ip", "-n", pod.name]
        for kind in ("tap", "tun", "dummy", "bridge", "ifb", "sit", "vxlan id 5 dstport 0", "netkit"):
            add = ["link", "add", "x0", "type", *kind.split()]
            if kind in ("tap", "tun"):
                add = ["tuntap", "add", "dev", "x0", "mode", kind]
            elif not makes("x0", "type", *kind.split()):
                continue
            sh(*inside, *add)
            pod.refused("ADD", 7, "podfence needs a veth pair", env=pod.env(CNI_IFNAME="x0"),
                        conf=pod.entry(prevResult={}))
            pod.good("DEL", env=pod.env(CNI_IFNAME="x0"))
            sh(*inside, "link", "del", "x0")
        pod.refused("ADD", 7, "loopback", env=pod.env(CNI_IFNAME="lo"), conf=pod.entry(prevResult={}))
        pod.refused("ADD", 7, "there is no interface eth7", env=pod.env(CNI_IFNAME="eth7"))
        pod.refused("ADD", 7, "chained", pod.entry(prevResult=None))
        wrong = pod.result()
        wrong["interfaces"][1]["sandbox"] = "/run/netns/outside"
        pod.refused("ADD", 7, "CNI_NETNS is", pod.entry(prevResult=wrong))
        for path in ("/run/netns/none", "/dev/null", "/proc/self/ns/mnt", "/", "/proc/1/ns/net", "x"):
            pod.refused("ADD", 8, "", env=pod.env(CNI_NETNS=path), conf=pod.entry(prevResult={}))
        # the namespace alone says enough
        for result in ({}, {"interfaces": None}, {"interfaces": []},
                       {"ips": [{"address": f"{pod.address}/24"}]}):
            pod.good("ADD", pod.entry(prevResult=result))
            pod.good("CHECK", pod.entry(prevResult=result))
            pod.good("DEL")


def deletes_what_it_never_added():
    """9: the pod came up before podfence was in the chain; containerd sends the present one's DEL."""
    with Sandbox("before") as sandbox:
        before = Attachment(sandbox, [bridge(), PORTMAP], capabilities=CAPABILITIES).attach()
        now = Attachment(sandbox, [bridge(), PORTMAP, podfence()], capabilities=CAPABILITIES)
        expect("its endpoint", now.endpoint(), None)
        now.detach()
        before.detach()
    with Sandbox("never") as sandbox:
        Attachment(sandbox, [ptp(), podfence()]).detach()
    expect("addresses held", held_addresses(), [])


def enforces_two_attachments():
    """16: eth0 and net1 of two networks: both are closed; what becomes of one is not the other's."""
    objects("policy", DENY)
    closed = podfence(startMode="hold", args={"cni": {"labels": {"app": "closed"}}})
    opened = podfence(startMode="hold", args={"cni": {"labels": {"app": "other"}}})
    with Sandbox("opened") as third, Sandbox("double") as sandbox:
        control = Attachment(third, [ptp(), opened]).attach()
        first = Attachment(sandbox, [bridge(), PORTMAP, closed]).attach()
        second = Attachment(sandbox, [ptp(81), closed], network="second", ifname="net1").attach()
        # its default route is the other one's
        sh("ip", "-n", sandbox.name, "route", "add", "192.0.2.0/25", "dev", "net1", "via", "10.81.0.1")
        expect("endpoints", len([1 for pod_id, _ in endpoints() if pod_id == sandbox.id]), 2)
        expect("an open pod", reach(OUTSIDE, control.addresses[0], 80), ["refused"])
        for pod in (first, second):
            expect("state", pod.endpoint()["state"], "enforced")
            expect(f"in at {pod.options.ifname}", reach(OUTSIDE, pod.addresses[0], 80), ["timeout"])
        second.only("DEL", "podfence")
        expect("net1 without podfence", reach(OUTSIDE, second.addresses[0], 80), ["refused"])
        expect("eth0", reach(OUTSIDE, first.addresses[0], 80), ["timeout"])
        first.only("CHECK", "podfence")
        for pod in (second, first, control):
            pod.detach()


TESTS = [passes_results_on, refuses_what_has_no_end_on_the_node, refuses_links_by_hand,
         deletes_what_it_never_added, enforces_two_attachments]
