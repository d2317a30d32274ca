# SPDX-License-Identifier: Apache-2.0
"""Whole chains: a sandbox, and conflists of real plugins with podfence among them."""
import argparse
import json
import os
import subprocess
import sys

import runtime
from node import BIN, CNI_DIR, LAB, TOOLS, Wrong, endpoints, entry, new_id, sh

IPAM = os.path.join(LAB, "ipam-contract")


def ipam(net):
    return {"type": "host-local", "dataDir": IPAM, "routes": [{"dst": "0.0.0.0/0"}],
            "ranges": [[{"subnet": f"10.{net}.0.0/24"}], [{"subnet": f"fd00:{net}::/64"}]]}


def bridge(net=77, **more):
    return {"type": "bridge", "bridge": f"br{net}", "mtu": 1450, "isDefaultGateway": True,
            "ipam": {**ipam(net), "routes": []}, **more}


def ptp(net=78):
    return {"type": "ptp", "mtu": 1450, "ipam": ipam(net)}


PORTMAP = {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}}
TUNING = {"type": "tuning", "mtu": 1400, "sysctl": {"net.core.somaxconn": "500"}}
BANDWIDTH = {"type": "bandwidth", "capabilities": {"bandwidth": True}}


def podfence(**settings):
    # the list's own keys come from the runtime
    return {key: value for key, value in entry(**settings).items() if key not in ("name", "cniVersion")}


class Attachment(runtime.Runtime):
    """A conflist for one interface of a sandbox; `seen` is what podfence got and gave."""
    count = 0

    def __init__(self, sandbox, plugins, version="1.0.0", **more):
        Attachment.count += 1
        name = more.get("network", "cbr0")
        path = os.path.join(LAB, f"chain-{Attachment.count}.conflist")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"cniVersion": version, "name": name, "plugins": plugins}, file)
        super().__init__(argparse.Namespace(
            conf=path, cache=os.path.join(LAB, "cache"), cni_path=f"{CNI_DIR}:{BIN}", id=sandbox.id,
            ifname=more.get("ifname", "eth0"), netns=sandbox.netns, pod=f"shop/{sandbox.name}",
            uid="u", capabilities=json.dumps(more.get("capabilities", {})), only=None, valid=None,
            without_env=[]))
        self.sandbox = sandbox
        self.seen = []

    def run(self, plugin, verb, extra):
        out = super().run(plugin, verb, extra)
        if plugin["type"] == "podfence":
            self.seen.append((verb, extra.get("prevResult"), out))
        return out

    def attach(self):
        """ADD, and what the sandbox can be reached under."""
        try:
            self.result = self.add()
        except runtime.PluginFailed as failure:
            raise Wrong(f"ADD: {failure.report}") from failure
        self.addresses = [ip["address"].split("/")[0] for ip in self.result["ips"]]
        return self

    def refused(self):
        """The report of a chain that must not come up, and which must be undone then."""
        try:
            self.add()
        except runtime.PluginFailed as failure:
            links = json.loads(sh("ip", "-n", self.sandbox.name, "-j", "link"))
            if [link["ifname"] for link in links] != ["lo"]:
                raise Wrong(f"interfaces left after a refused ADD: {links}") from failure
            return failure.report
        raise Wrong("ADD is not refused")

    def only(self, verb, kind):
        """The verb for one plugin alone."""
        plugin = next(plugin for plugin in self.conf["plugins"] if plugin["type"] == kind)
        return self.run(plugin, verb, {"prevResult": self.cached()})

    def detach(self):
        self.delete(self.cached())

    def host(self):
        """The node's end of the interface."""
        links = json.loads(sh("ip", "-n", self.sandbox.name, "-j", "link", "show", "dev",
                              self.options.ifname))
        index = links[0]["link_index"]
        return next(link["ifname"] for link in json.loads(sh("ip", "-j", "link"))
                    if link["ifindex"] == index)

    def endpoint(self):
        return endpoints().get((self.sandbox.id, self.options.ifname))


class Sandbox:
    def __init__(self, name):
        self.name = name
        self.id = new_id()
        self.netns = f"/run/netns/{name}"

    def __enter__(self):
        sh("ip", "netns", "add", self.name)
        sh("ip", "netns", "exec", self.name, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        sh("ip", "-n", self.name, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_):
        sh("ip", "netns", "del", self.name)

    def inside(self, *command):
        return ["nsenter", f"--net={self.netns}", "--", *command]


def reach(inside, address, *ports):
    """What becomes of TCP connections: ok, timeout or refused. `inside` begins the command."""
    lines = sh(*inside, os.path.join(TOOLS, "netprobe"), "try", "-t", "300",
               *[f"tcp,{address},{port}" for port in ports]).splitlines()
    return [line.split()[0] for line in lines]


def transfer_seconds(sender, receiver, address, port, size=700000):
    """Of `size` bytes over TCP; `sender` and `receiver` begin the commands of the two sides."""
    command = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "bulk.py")]
    with subprocess.Popen([*receiver, *command, "sink", address, str(port)],
                          stdout=subprocess.PIPE, text=True) as sink:
        sink.stdout.readline()
        sh(*sender, *command, "send", address, str(port), str(size), timeout=30)
        return float(sink.stdout.readline())
