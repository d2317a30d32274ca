# SPDX-License-Identifier: Apache-2.0
"""The CRDs' schemas are structural, and refuse what the daemon refuses as far as a schema can: all policies of the tree,
the cases beside this file, and random objects are asked of both. FENCE_SEED and FENCE_OBJECTS choose those."""

import glob
import json
import os
import random
import subprocess
import sys
import tempfile

from kubernetes import Crd, load, prepare, structural

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CTL = os.path.join(os.environ.get("FENCE_BUILD", os.path.join(ROOT, "build")), "bin", "podfencectl")
failures = []


def expect(what, holds):
    if not holds:
        failures.append(what)


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def crds():
    found = {}
    for path in sorted(glob.glob(os.path.join(ROOT, "conf/base/crds/*.yaml"))):
        (document,) = load(read(path))
        crd = Crd(document)
        for text in structural(crd.schema):
            failures.append(f"{crd.kind}: {text}")
        expect(f"{crd.kind}: a policy has the subresource status, and nothing else has",
               ("status" in document["spec"]["versions"][0].get("subresources", {})) == crd.kind.endswith("Policy"))
        expect(f"{path}: the name is not PLURAL.GROUP",
               document["metadata"]["name"] == document["spec"]["names"]["plural"] + ".podfence.io")
        found[crd.kind] = crd
    one, two = (json.loads(json.dumps(found[kind].schema)) for kind in ("SegmentPolicy", "ClusterSegmentPolicy"))
    for schema in (one, two):
        del schema["properties"]["spec"]["properties"]["appliesTo"], schema["description"]
    expect("the two schemas differ in more than appliesTo", one == two)
    return found


def daemon_refuses(objects):
    """For each object what the daemon says against it, "" for nothing: one run of podfencectl validate."""
    with tempfile.TemporaryDirectory() as folder:
        for number, value in enumerate(objects):
            with open(os.path.join(folder, f"{number:06}.json"), "w", encoding="utf-8") as file:
                # unlike names: two objects that differ may not have one
                json.dump({**value, "metadata": {**(value.get("metadata") or {}), "name": f"p{number}"}}, file)
        run = subprocess.run([CTL, "validate", "-o", "json", folder], capture_output=True, text=True, check=False)
        rows = json.loads(run.stdout)["objects"]
    told = {int(os.path.basename(row["file"])[:6]): row.get("error", "") for row in rows}
    return [told[number] for number in range(len(objects))]


# ---- what is in the tree ----------------------------------------------------------------------------------------

def flatten(documents):
    for document in documents:
        if isinstance(document, dict) and document.get("kind") in ("SegmentPolicy", "ClusterSegmentPolicy"):
            yield document
        elif isinstance(document, dict) and document.get("kind") == "List":
            yield from flatten(document.get("items") or [])


def cases():
    """(name, object, who refuses it: nobody, both, daemon, or None for either of the first two)."""
    for case in load(read("test/conf/cases.yaml"))[0]:
        kind, where = ("ClusterSegmentPolicy", {}) if case.get("cluster") else ("SegmentPolicy", {"namespace": "x"})
        yield (case["name"], {"apiVersion": "podfence.io/v1alpha1", "kind": kind, "metadata": where,
                              "spec": case["spec"]}, case["refused"])
    for case in load(read("test/objects/cases/segment_policy.yaml")):
        (value,) = load(case["text"])
        yield case["name"], value, "nobody" if case.get("valid", True) else "both"
    for path in sorted(glob.glob(os.path.join(ROOT, "conf/base/examples/*.yaml"))):
        for value in flatten(load(read(path))):
            yield os.path.relpath(path, ROOT), value, "nobody"
    for folder in ("test/cases", "../shared/cases/*"):
        for path in sorted(glob.glob(os.path.join(ROOT, folder, "*.json"))):
            content = json.loads(read(path))
            for value in flatten(content.get("policies") or [content.get("policy")]):
                yield os.path.basename(path), value, None
    for path in sorted(glob.glob(os.path.join(ROOT, "test/fuzz/seeds/*/*.yaml"))):
        for value in flatten(load(read(path))):
            yield os.path.basename(path), value, None


def who(schema, daemon):
    return {(False, False): "nobody", (True, True): "both", (False, True): "daemon", (True, False): "schema"}[
        bool(schema), bool(daemon)]


def ask_cases(found):
    listed = list(cases())
    said = daemon_refuses([value for _, value, _ in listed])
    counts = {}
    for (name, value, expected), daemon in zip(listed, said):
        schema = found[value["kind"]].refuses(value)
        measured = who(schema, daemon)
        counts[measured] = counts.get(measured, 0) + 1
        expect(f"{name}: refused by {measured}, expected {expected}: daemon: {daemon}; schema: {schema[:2]}",
               measured == expected or (expected is None and measured in ("nobody", "both")))
    print(f"{len(listed)} objects of the tree: {counts}")


# ---- random objects ---------------------------------------------------------------------------------------------

class Make:
    """A random policy. `hidden` is set with a fault that only the daemon can see."""

    def __init__(self, dice):
        self.dice = dice
        self.hidden = False
        # most objects have no fault or one
        self.faults = dice.choice([0.0, 0.0, 0.02, 0.1])

    def pick(self, good, bad=(), hidden=()):
        if self.dice.random() < self.faults and (bad or hidden):
            choice = self.dice.choice([(value, False) for value in bad] + [(value, True) for value in hidden])
            self.hidden |= choice[1]
            return choice[0]
        return self.dice.choice(good)

    def some(self, make, most=3):
        return [make() for _ in range(self.dice.randint(0, most))]

    def shape(self, **fields):
        """Each field is there half of the time; "_" is an unknown one."""
        value = {name: make() for name, make in fields.items() if self.dice.random() < 0.5}
        if self.dice.random() < self.faults:
            value["_"] = []
        return value

    def label(self):
        return self.pick(["", "a", "a-b_c.D", "0"], ["-", "a b", "x" * 64, 7, True, {}])

    def expression(self):
        operator = self.pick(["In", "NotIn", "Exists", "DoesNotExist"], ["in", "Gt", 1])
        values = self.some(self.label, 2)
        if self.dice.random() >= self.faults:
            values = values or ["v"]
            values = values if operator in ("In", "NotIn") else []
        item = {"key": self.pick(["a", "b.c/d-E"], ["", "/a", "A/b", "a/", "a b", 1]), "operator": operator}
        return {**item, "values": values} if values or self.dice.random() < 0.2 else item

    def selector(self):
        keys = self.dice.sample(["a", "x.y/z", "c"], self.dice.randint(0, 2))
        if self.dice.random() < self.faults:
            self.hidden = True
            keys.append("not a key")
        return self.shape(matchLabels=lambda: {key: self.label() for key in keys},
                          matchExpressions=lambda: self.some(self.expression, 2))

    def cidr(self):
        return self.pick(["10.0.0.0/8", "10.9.8.7/12", "::/0", "FD00::/8", "1:2:3:4:5:6:7:8/128", "0.0.0.0/0"],
                         ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/08", "::/129", "010.0.0.0/8", "10.0.0/8", "a/8", "", 8,
                          "10.0.0.0/-1", "10.0.0.0/8 ", "::1::/64", "1.2.3.4.5/8", "::/"],
                         ["::ffff:0.0.0.0/96"])

    def peer(self):
        kind = self.dice.randint(0, 3)
        if self.dice.random() < self.faults:
            return self.shape(podSelector=self.selector, ipBlock=lambda: {"cidr": self.cidr()},
                              namespaceSelector=self.selector)
        if kind == 0:
            block = {"cidr": self.cidr()}
            if self.dice.random() < 0.3:
                block["except"] = self.dice.choice([[], ["10.1.0.0/16"]])
                self.hidden |= bool(block["except"]) and block["cidr"] not in ("10.0.0.0/8", "0.0.0.0/0", "10.9.8.7/12")
            return block if self.dice.random() < self.faults else {"ipBlock": block}
        return {name: self.selector() for name, bit in (("podSelector", 1), ("namespaceSelector", 2)) if kind & bit}

    def port(self):
        if self.dice.random() < self.faults:
            port = self.shape(protocol=lambda: self.dice.choice(["TCP", "ICMP"]), port=lambda: 80, endPort=lambda: 90,
                              type=lambda: 8, code=lambda: 0)
            return port
        if self.dice.random() < 0.3:
            number = lambda: self.pick([0, 8, 255], [-1, 256, "8"])
            return self.dice.choice([{"protocol": "ICMP"}, {"protocol": "ICMPv6", "type": number()},
                                     {"protocol": "ICMP", "type": number(), "code": number()}])
        port = {"protocol": self.pick(["TCP", "UDP", "SCTP"], ["tcp", "", 6])} if self.dice.random() < 0.7 else {}
        if self.dice.random() < 0.7:
            port["port"] = self.pick([1, 443, 65535, "http", "a-1", "1a"],
                                     [0, 65536, -1, "", "80", "A", "a--b", "-a", "a-", "x" * 16, True, []])
            if self.dice.random() < 0.3:
                port["endPort"] = self.pick([65535], [0, 65536, "a"])
                if isinstance(port["port"], int) and port["port"] <= 65535 and self.dice.random() < self.faults:
                    port["endPort"] = 1
                    self.hidden |= port["port"] > 1
        return port

    def rule(self, peers):
        return self.shape(**{peers: lambda: self.some(self.peer), "ports": lambda: self.some(self.port)})

    def policy(self):
        cluster = self.dice.random() < 0.3
        spec = self.shape(enforcement=lambda: self.pick(["Enforce", "Audit"], ["audit", "", None]),
                          policyTypes=lambda: self.some(lambda: self.pick(["Ingress", "Egress"], ["Both"]), 3),
                          ingress=lambda: self.some(lambda: self.rule("from")),
                          egress=lambda: self.some(lambda: self.rule("to")),
                          expiresAt=lambda: self.pick(["2027-01-01T00:00:00Z", "2028-02-29T23:59:59.1-11:30"],
                                                      ["2027-13-01T00:00:00Z", "2027-01-01", "", 0, "2027-01-01T24:00:00Z",
                                                       "2027-01-01T00:00:60Z", "2027-01-01 00:00:00Z"],
                                                      ["1970-01-01T00:00:00Z", "2027-01-01T00:00:00+00:60"]))
        if spec.get("enforcement", "") is None:
            self.hidden = True  # null is absent for the API server
        if self.dice.random() >= self.faults:
            spec["mode"] = self.pick(["Allowlist", "Denylist"], ["allow", 1])
        if self.dice.random() >= self.faults:
            spec["appliesTo"] = self.shape(podSelector=self.selector)
            if cluster and self.dice.random() < 0.5:
                spec["appliesTo"]["namespaceSelector"] = self.selector()
        kind, where = ("ClusterSegmentPolicy", {}) if cluster else ("SegmentPolicy", {"namespace": "x"})
        return {"apiVersion": "podfence.io/v1alpha1", "kind": kind, "metadata": where, "spec": spec}


def ask_random(found):
    seed = int(os.environ.get("FENCE_SEED", "1"))
    count = int(os.environ.get("FENCE_OBJECTS", "2000"))
    dice = random.Random(seed)
    makers = [Make(dice) for _ in range(count)]
    objects = [maker.policy() for maker in makers]
    counts = {"nobody": 0, "both": 0, "daemon": 0}
    for maker, value, daemon in zip(makers, objects, daemon_refuses(objects)):
        schema = found[value["kind"]].refuses(value)
        measured = who(schema, daemon)
        counts[measured] = counts.get(measured, 0) + 1
        expect(f"seed {seed}: refused by the {measured} alone: {json.dumps(value)}: daemon: {daemon}; schema: {schema[:2]}",
               measured in ("nobody", "both") or (measured == "daemon" and maker.hidden))
    print(f"{count} random objects: {counts}")
    expect(f"random objects are too much alike: {counts}", min(counts.values()) > count / 100)


# ---- defaults ---------------------------------------------------------------------------------------------------

def ask_defaults(found):
    """What the API server adds means what the daemon took for meant."""
    crd = found["SegmentPolicy"]
    given = {"apiVersion": "podfence.io/v1alpha1", "kind": "SegmentPolicy", "metadata": {"name": "p", "namespace": "x"},
             "spec": {"mode": "Denylist", "appliesTo": {}, "ingress": [{"ports": [{"port": 80}]}]}}
    stored = json.loads(json.dumps(given))
    prepare(stored["spec"], crd.schema["properties"]["spec"])
    expect("there are no defaults", given != stored)
    pods = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "x"},
             "status": {"podIP": f"10.0.0.{number}"}} for number, name in enumerate("ab", 1)]
    queries = "".join(json.dumps({"from": "x/a", "to": "x/b", "port": 80, "protocol": protocol}) + "\n"
                      for protocol in ("TCP", "UDP", "SCTP"))
    for policy in (given, stored):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "all.json"), "w", encoding="utf-8") as file:
                json.dump({"apiVersion": "v1", "kind": "List", "items": [*pods, policy]}, file)
            run = subprocess.run([CTL, "trace", "--objects", folder, "--queries", "-"], input=queries,
                                 capture_output=True, text=True, check=False)
        verdicts = [json.loads(line).get("verdict") for line in run.stdout.splitlines()]
        expect(f"{policy['spec']}: {verdicts}", verdicts == ["deny", "allow", "allow"])


# ---- address slices ---------------------------------------------------------------------------------------------

SLICE = {
    "apiVersion": "podfence.io/v1alpha1", "kind": "AddressSlice", "metadata": {"name": "podfence-1"},
    "groups": [{
        "namespace": "shop", "labels": {"app": "web", "tier": ""}, "owner": "web-6d4b9",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "pods": [{"name": "web-6d4b9-x1", "uid": "6a2f", "node": "node-a", "ips": ["10.244.1.4", "fd00::4"],
                  "hostNetwork": True,
                  "hostPorts": [{"hostPort": 80, "port": 8080, "protocol": "TCP", "hostIP": "1.2.3.4"}]}]}],
    "nodes": [{"name": "node-a", "labels": {"zone": "1"}, "ips": ["192.0.2.1", "2001:db8::1"],
               "podCIDRs": ["10.244.1.0/24"]}],
    "complete": True,
}
BAD_SLICES = [
    {"groups": {}}, {"groups": [{"pods": []}]}, {"groups": [{"namespace": "x"}]},
    {"groups": [{"namespace": "", "pods": []}]}, {"groups": [{"namespace": "x", "pods": [{}]}]},
    {"groups": [{"namespace": "x", "pods": [{"name": "p"}] * 1001}]},
    {"groups": [{"namespace": "x", "labels": {"a": "b" * 64}, "pods": []}]},
    {"groups": [{"namespace": "x", "pods": [{"name": "p", "ips": ["10.0.0.1"] * 65}]}]},
    {"groups": [{"namespace": "x", "pods": [{"name": "p", "hostPorts": [{"hostPort": 0, "port": 1}]}]}]},
    {"groups": [{"namespace": "x", "ports": [{"name": "p", "port": 1, "protocol": "ICMP"}], "pods": []}]},
    {"nodes": [{}]}, {"complete": "yes"},
]


def ask_slices(found):
    """All that a slice may have comes through, and what its reader would refuse does not."""
    crd = found["AddressSlice"]
    given = {key: value for key, value in SLICE.items() if key != "metadata"}
    stored = json.loads(json.dumps(given))
    prepare(stored, crd.schema)
    expect(f"a slice loses something: {stored}", stored == given)
    expect(f"a slice is refused: {crd.refuses(SLICE)}", not crd.refuses(SLICE))
    for bad in BAD_SLICES:
        expect(f"{str(bad)[:80]} is not refused", crd.refuses({**SLICE, **bad}))


found_crds = crds()
ask_cases(found_crds)
ask_defaults(found_crds)
ask_random(found_crds)
ask_slices(found_crds)
for failure in failures[:20]:
    print("FAIL", failure)
print(f"{len(failures)} failures")
sys.exit(1 if failures else 0)
