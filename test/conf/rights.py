# SPDX-License-Identifier: Apache-2.0
"""The ClusterRole of install.yaml is what the daemon asks for: an API server that refuses everything else lets it list
and watch every kind, and nothing is allowed that it does not ask for. Without the right to ConfigMaps it goes on."""

import copy
import json
import os
import re
import select
import subprocess
import sys

from kubernetes import allowed, load, refusals

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../kube"))
# pylint: disable-next=wrong-import-position,import-error
from apiserver import BUILD, ROOT, ApiServer, expect, finish  # noqa: E402

CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap",
              "metadata": {"name": "p", "namespace": "default", "labels": {"podfence.io/policies": "true"}},
              "data": {"p.yaml": "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy,"
                                 " metadata: {name: p, namespace: default}, spec: {podSelector: {}}}"}}

COMPLETE = {"apiVersion": "podfence.io/v1alpha1", "kind": "AddressSlice", "metadata": {"name": "podfence-complete"},
            "complete": True}


class Source:
    """The daemon, as far as it reads."""

    def __init__(self, server, *options):
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "test/bench-source"), "--kubeconfig", os.path.join(server.folder, "kubeconfig"), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def all_seen(self, seconds):
        """What it says as every kind is listed, or None."""
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return {kind["kind"]: kind for kind in self.read()["kinds"]} if ready else None

    def kinds(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return {kind["kind"]: kind for kind in self.read()["kinds"]}

    def read(self):
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)


def cluster_role():
    with open(os.path.join(ROOT, "conf/install.yaml"), encoding="utf-8") as file:
        (role,) = [item for item in load(file.read()) if item["kind"] == "ClusterRole"]
    return role


def without_resource(role, resource):
    role = copy.deepcopy(role)
    for rule in role["rules"]:
        rule["resources"] = [name for name in rule["resources"] if name != resource]
    return role


def restrict(server, role):
    server.control("POST", "/rights", refusals(role, lambda path: server.get(path).json()))


def check_role(server, role, *options):
    restrict(server, role)
    for item in (CONFIG_MAP, COMPLETE):
        server.control("POST", "/objects", item)
    asked_before = len(server.control("GET", "/requests"))
    source = Source(server, *options)
    kinds = source.all_seen(20)
    expect("every kind is listed", kinds is not None, True)
    server.until("every kind is watched", lambda: all(kind["phase"] == "watching" for kind in source.kinds().values()))
    requests = server.control("GET", "/requests")[asked_before:]
    expect("refused requests", [line for line in requests if not line.endswith(" 200")], [])
    source.stop()
    return requests


def check_nothing_else(requests, role):
    """Of what may be read, with address slices and without; what is written has rules of its own (e2e.report), and who writes reads it."""
    written = {resource for verb, _, resource in allowed(role) if verb in ("create", "patch")}
    found = set()
    for line in requests:
        match = re.match(r"GET /(?:api/v1|apis/([^/]+)/[^/]+)/(\w+)\?", line)
        expect(f"a list or a watch of a whole kind: {line}", bool(match), True)
        found.add((match[1] or "", match[2]))
    expect("resources that are allowed to be watched, and those that are",
           sorted((group, resource) for verb, group, resource in allowed(role)
                  if verb == "watch" and (resource not in written or (group, resource) in found)), sorted(found))


def check_refused(server, role, resource, kind):
    """A right that is missing holds up all that the daemon would do, but for ConfigMaps."""
    restrict(server, without_resource(role, resource))
    source = Source(server)
    if kind == "ConfigMap":
        kinds = source.all_seen(30)
        expect("without ConfigMaps every other kind is enough", kinds is not None, True)
        state = (kinds or source.kinds())[kind]
        expect("what is said of it", (state["phase"], state["without"], state["listed"]), ("refused", True, False))
        restrict(server, role)
        server.until("the right is given later", lambda: source.kinds()[kind]["listed"], 60)
        expect("and is said no more", source.kinds()[kind]["without"], False)
    else:
        server.until(f"{kind} is refused", lambda: source.kinds()[kind]["phase"] == "refused", 20)
        expect(f"without {kind} nothing is applied", source.all_seen(3), None)
        state = source.kinds()[kind]
        expect("what is said of it", (state["without"], state["listed"], "403" in state["problem"]), (False, False, True))
    source.stop()


def main():
    role = cluster_role()
    with ApiServer(lists=False) as server:
        requests = check_role(server, role)
        in_slices = check_role(server, role, "--address-slices", "node-a")
        expect("a watch of slices", [any("/addressslices?" in line for line in lines) for lines in (requests, in_slices)],
               [False, True])
        expect("pods and nodes that are asked for", sorted({line.split("fieldSelector=")[1].split("&")[0].split(" ")[0]
                                                            for line in in_slices if "fieldSelector=" in line}),
               ["metadata.name%3Dnode-a", "spec.nodeName%3Dnode-a"])
        check_nothing_else(requests + in_slices, role)
        check_refused(server, role, "networkpolicies", "NetworkPolicy")
        check_refused(server, role, "configmaps", "ConfigMap")
    finish("rights")


main()
