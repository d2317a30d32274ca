# SPDX-License-Identifier: Apache-2.0
"""The bandwidth plugin beside podfence: it makes a tbf on the host's link for what goes to the pod,
and for what comes from it an `ingress` qdisc that redirects to an ifb with a tbf."""
import json

from chain import BANDWIDTH, Attachment, Sandbox, podfence, ptp, reach, transfer_seconds
from node import DAEMON, Wrong, expect, expect_in, filters, objects, sh

DAEMON_OPTIONS = ["--same-node", "on"]  # which must not lead around a limit
OUTSIDE = ["nsenter", "--net=/run/netns/outside", "--"]
OUTSIDE_ADDRESS = "192.0.2.100"
# 0.7 MB, less the burst, then take 0.24 s; unlimited they take some ms
TO_POD = {"ingressRate": 20000000, "ingressBurst": 800000}
FROM_POD = {"egressRate": 20000000, "egressBurst": 800000}
LIMITED_SECONDS = 0.15
POLICY = """
apiVersion: podfence.io/v1alpha1
kind: SegmentPolicy
metadata: { name: limited, namespace: shop }
spec:
  mode: Allowlist
  appliesTo: { podSelector: { matchLabels: { app: limited } } }
  ingress: [ { from: [ { ipBlock: { cidr: 0.0.0.0/0 } } ], ports: [ { port: 5432 } ] } ]
  egress: [ { to: [ { ipBlock: { cidr: 0.0.0.0/0 } } ], ports: [ { port: 5432 } ] } ]
---
apiVersion: podfence.io/v1alpha1
kind: SegmentPolicy
metadata: { name: limited-to-peer, namespace: shop }
spec:
  mode: Allowlist
  appliesTo: { podSelector: { matchLabels: { app: limited } } }
  egress: [ { to: [ { podSelector: {} } ], ports: [ { port: 5432 } ] } ]
"""


ANNOTATIONS = "io.kubernetes.cri.pod-annotations"


def labelled(app):
    return podfence(startMode="hold", args={"cni": {"labels": {"app": app}}},
                    capabilities={ANNOTATIONS: True})


def given(limits):
    """As runtimes do: the limits to the bandwidth plugin, the annotations that they come from to podfence."""
    annotations = {f"kubernetes.io/{direction}-bandwidth": "20M" for direction in ("ingress", "egress")
                   if f"{direction}Rate" in limits}
    return {"bandwidth": limits, ANNOTATIONS: annotations}


ENTRY = labelled("limited")
CHAINS = {"in front": [ptp(), BANDWIDTH, ENTRY], "behind": [ptp(), ENTRY, BANDWIDTH]}


def kinds_of_qdiscs(link):
    return sorted(qdisc["kind"] for qdisc in json.loads(sh("tc", "-j", "qdisc", "show", "dev", link)))


def ifbs():
    return [link["ifname"] for link in json.loads(sh("ip", "-j", "link", "show", "type", "ifb"))]


def expect_limits(what, attachment, limits, directions=("ingress", "egress")):
    inside, address = attachment.sandbox.inside(), attachment.addresses[0]
    # one after the other: the answers of the one wait in the queue of the other
    for direction in directions:
        ends = {"ingress": (OUTSIDE, inside, address), "egress": (inside, OUTSIDE, OUTSIDE_ADDRESS)}
        seconds = transfer_seconds(*ends[direction], 5432)
        limited = f"{direction}Rate" in limits
        if (seconds >= LIMITED_SECONDS) != limited:
            raise Wrong(f"{what}: it took {seconds:.3f} s in {direction}, limited: {limited}")


def expect_policy(what, attachment):
    inside, address = attachment.sandbox.inside(), attachment.addresses[0]
    expect(f"{what}: in at 5432 and 80", reach(OUTSIDE, address, 5432, 80), ["refused", "timeout"])
    expect(f"{what}: out to 5432 and 80", reach(inside, OUTSIDE_ADDRESS, 5432, 80),
           ["refused", "timeout"])


def live_together(limits):
    """Both hold; either's DEL leaves what is the other's; nothing is left."""
    objects("policy", POLICY)
    for order, plugins in CHAINS.items():
        with Sandbox("limited") as sandbox:
            pod = Attachment(sandbox, plugins, capabilities=given(limits)).attach()
            before = filters(pod.host()), kinds_of_qdiscs(pod.host())
            expect_policy(order, pod)
            expect_limits(order, pod, limits)
            pod.only("DEL", "podfence")
            expect("open without podfence", reach(OUTSIDE, pod.addresses[0], 80), ["refused"])
            expect_limits(f"{order}, podfence gone", pod, limits,
                          [key.removesuffix("Rate") for key in limits if key.endswith("Rate")])
            # its clsact qdisc stays, empty
            pod.only("ADD", "podfence")
            expect("filters and qdiscs again", (filters(pod.host()), kinds_of_qdiscs(pod.host())), before)
            pod.only("CHECK", "podfence")
            pod.only("DEL", "bandwidth")
            expect("ifb after DEL of bandwidth", ifbs(), [])
            pod.only("CHECK", "podfence")
            if "egressRate" not in limits:  # what was to go through the ifb goes nowhere now
                expect_policy(f"{order}, bandwidth gone", pod)
            pod.detach()
            expect("endpoints", pod.endpoint(), None)


def limits_to_the_pod():
    """A tbf alone is nobody's hindrance, whatever the way of attaching."""
    live_together(TO_POD)


def limits_in_both_directions():
    """With TCX, an `ingress` qdisc is nobody's hindrance either."""
    live_together({**TO_POD, **FROM_POD})


def limits_hold_between_pods():
    """A pod with a limit is not on the same-node path."""
    with Sandbox("peer") as other, Sandbox("limited") as sandbox:
        peer = Attachment(other, [ptp(), labelled("peer")]).attach()
        pod = Attachment(sandbox, CHAINS["behind"], capabilities=given(
            FROM_POD if DAEMON.attach != "clsact" else TO_POD)).attach()
        ends = [(sandbox.inside(), other.inside(), peer), (other.inside(), sandbox.inside(), pod)]
        if DAEMON.attach == "clsact":
            ends.reverse()
        sender, receiver, target = ends[0]
        seconds = transfer_seconds(sender, receiver, target.addresses[0], 5432)
        expect(f"limited ({seconds:.3f} s)", seconds >= LIMITED_SECONDS, True)
        expect("same node", pod.endpoint()["sameNode"], False)
        pod.detach()
        peer.detach()


def without_tcx_one_of_the_two_refuses():
    """The `ingress` qdisc takes no egress filter, and where a clsact qdisc is there can be no other.
    Whoever comes second says so, and the chain is undone."""
    for order, plugins in CHAINS.items():
        with Sandbox("limited") as sandbox:
            pod = Attachment(sandbox, plugins, capabilities=given(FROM_POD))
            report = pod.refused()
            if order == "in front":
                expect("who refuses", (report["plugin"], report["error"]["code"]), ("podfence", 11))
                for part in ("`ingress` qdisc", "attach mode auto or tcx", "egress-bandwidth"):
                    expect_in("its words", part, report["error"]["msg"])
            else:
                expect("who refuses", report["plugin"], "bandwidth")
            expect("ifb", ifbs(), [])
            expect("endpoints", pod.endpoint(), None)
            pod.detach()


TESTS = [limits_to_the_pod, limits_hold_between_pods]
TESTS.append(without_tcx_one_of_the_two_refuses if DAEMON.attach == "clsact" else limits_in_both_directions)
