# SPDX-License-Identifier: Apache-2.0
"""Calls that kubelet and containerd made, in their order and with their environment and input, on
links as the recording node had them. podfence was the recording plugin then, twice in the chain."""
import json
import os
import re

from input import exact
from node import BPFFS, PLUGIN, SOCKET, Wrong, endpoints, expect, filters, sh
import runtime

FOLDER = os.environ["LAB_RECORDED"]
PATHS = f'{{"bpffs":"{BPFFS}","socket":"{SOCKET}","startMode":"closed",'


class Recorded:
    """One file: the call, and what was answered."""

    def __init__(self, folder, name):
        self.name = name
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            text = file.read()
        self.verb, self.pod, self.label = re.fullmatch(r"[\d.]+-([A-Z]+)-(.+)-(\w+)\.txt", name).groups()
        environment, rest = text.split("== environment (all of it)\n")[1].split("== stdin\n")
        self.stdin, rest = rest.split("== stdin, indented\n")
        self.env = dict(line.split("=", 1) for line in environment.splitlines() if line)
        self.answer = rest.split("== stdout\n")[1] if "== stdout\n" in rest else None
        self.id = self.env["CNI_CONTAINERID"]
        self.netns = self.env.get("CNI_NETNS", "")

    def call(self):
        done = runtime.call(PLUGIN, self.env, PATHS + self.stdin[self.stdin.index("{") + 1:])
        if done.exit != 0:
            raise Wrong(f"{self.name}: {done.exit} {done.stdout}{done.stderr}")
        return done


class Node:
    """The sandboxes that there are at a moment of the record."""

    def __init__(self):
        self.sandboxes = {}  # container ID: (name of the namespace, the host's link)
        self.enrolled = set()

    def make(self, call):
        """The namespace and the link, as bridge left them."""
        if call.id in self.sandboxes:
            return
        result = json.loads(call.stdin)["prevResult"]
        bridge, host, pod = result["interfaces"][:3]
        name = os.path.basename(call.netns)
        if not os.path.exists(f"/sys/class/net/{bridge['name']}"):
            sh("ip", "link", "add", bridge["name"], "type", "bridge", check=False)
        sh("ip", "netns", "add", name)
        sh("ip", "link", "add", host["name"], "address", host["mac"], "type", "veth",
           "peer", "name", pod["name"], "address", pod["mac"], "netns", name)
        sh("ip", "link", "set", host["name"], "up", "master", bridge["name"])
        self.sandboxes[call.id] = (name, host["name"])

    def unmake(self, container_id):
        name, host = self.sandboxes.pop(container_id)
        sh("ip", "link", "del", host)
        sh("ip", "netns", "del", name)

    def add(self, call):
        self.make(call)
        done = call.call()
        if call.answer:  # some were refused on purpose
            expect(f"answer of {call.name}", exact(done.stdout), exact(call.answer))
        self.enrolled.add(call.id)

    def delete(self, call, is_last_with_netns):
        expect(f"answer of {call.name}", call.call().stdout, "")
        self.enrolled.discard(call.id)
        if is_last_with_netns and call.id in self.sandboxes:
            self.unmake(call.id)

    def check(self, call):
        listed = endpoints()
        expect(f"endpoints after {call.name}", {pod_id for pod_id, _ in listed}, self.enrolled)
        expect("pods", all(item["namespace"] == "demo" and item["uid"] for item in listed.values()), True)
        expect("filters", {item["attached"] for item in listed.values()} <= {"ok"}, True)


def read(folder):
    return [Recorded(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".txt")]


def replay(calls):
    """Each call in turn; a sandbox goes after its last DEL that names the namespace."""
    node = Node()
    last = {call.id: index for index, call in enumerate(calls) if call.verb == "DEL" and call.netns}
    late = 0
    for index, call in enumerate(calls):
        if call.verb == "ADD":
            node.add(call)
        else:
            late += call.id not in node.enrolled
            node.delete(call, last.get(call.id) == index)
        node.check(call)
    for container_id in list(node.sandboxes):
        final = next(call for call in calls if call.id == container_id)
        final.env["CNI_COMMAND"] = "DEL"
        node.delete(final, True)
    expect("endpoints at the end", endpoints(), {})
    sh("ip", "link", "del", "cni0", check=False)
    return late


def one_family():
    """Three DELs a sandbox, the late ones without CNI_NETNS while the next pod of that name runs."""
    calls = read(FOLDER)
    expect("there are calls enough", len(calls) >= 50, True)
    expect("late calls", replay(calls) >= 10, True)


def two_families_and_refusals():
    replay(read(os.path.join(FOLDER, "dual-and-refused")))


def a_late_del_in_the_middle_of_an_add():
    """The late DEL of the old sandbox came between the two places in the chain of the new pod of the
    same name once; here before, between and after them."""
    calls = [call for call in read(FOLDER) if call.pod == "sts-0"]
    adds = [call for call in calls if call.verb == "ADD"]
    old = adds[0]
    late = next(call for call in calls if call.verb == "DEL" and call.id == old.id and not call.netns)
    new = [call for call in adds if call.id != old.id][:2]
    expect("one pod, two places", new[0].id, new[1].id)
    node = Node()
    for late_before in (0, 1, 2):
        node.add(old)
        node.make(new[0])
        for place in range(3):
            if place == late_before:
                node.delete(late, False)
            if place < len(new):
                node.add(new[place])
        node.check(late)
        expect("filters of the new one", sum(filters(node.sandboxes[new[0].id][1])), 2)
    for call in (old, new[0]):
        call.env["CNI_COMMAND"] = "DEL"
        node.delete(call, True)
    sh("ip", "link", "del", "cni0", check=False)


TESTS = [one_family, two_families_and_refusals, a_late_del_in_the_middle_of_an_add]
