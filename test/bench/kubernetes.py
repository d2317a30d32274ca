#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kubernetes.py BUILD RECORDINGS OUT.json NODES...: what a node asks of the API server, as podfenced
reads it (bench-source), from clusters of NODES nodes made of recorded objects (shared/fixtures):
bytes and time of the first lists, bytes of a pod's life, of a node's heartbeat, of a slice of a
service. The rest is arithmetic, with the rates below. Then the memory of podfenced itself.

As root in a network and a mount namespace of its own."""

import copy
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time

PODS_PER_NODE = 20
LIVES = 40  # of pods, measured
HEARTBEATS = 200
ENDPOINTS = 10  # of a service
# What changes in a cluster, by the second and node.
LIFE_RATE = 1 / 600  # a pod of each node is replaced every ten minutes
HEARTBEAT_RATE = 1 / 300  # kubelet's nodeStatusReportFrequency
SERVICE_WRITES = 2  # of an EndpointSlice in a pod's life: it is ready, it ends
BATCH = 2000


class Server:
    def __init__(self, tools, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            [os.path.join(tools, "test-apiserver"), "--folder", folder, "--version", "1000"],
            stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        with open(os.path.join(folder, "control"), encoding="utf-8") as file:
            host, _, port = file.read().strip().removeprefix("http://").rpartition(":")
        self.host, self.port = host, int(port)

    def control(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=600)
        connection.request(method, path, body)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        if response.status >= 300:
            sys.exit(f"{method} {path}: {response.status} {text.decode()}")
        return text

    def delete(self, path):
        with open(os.path.join(self.folder, "server"), encoding="utf-8") as file:
            host, _, port = file.read().strip().removeprefix("https://").rpartition(":")
        tls = ssl.create_default_context(cafile=os.path.join(self.folder, "ca.crt"))
        connection = http.client.HTTPSConnection(host, int(port), context=tls, timeout=60)
        connection.request("DELETE", path, headers={"Authorization": "Bearer test-token"})
        response = connection.getresponse()
        response.read()
        connection.close()
        if response.status != 200:
            sys.exit(f"DELETE {path}: {response.status}")

    def put(self, items):
        for i in range(0, len(items), BATCH):
            self.control("POST", "/objects", json.dumps(
                {"apiVersion": "v1", "kind": "List", "items": items[i:i + BATCH]}))

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Source:
    """One node's daemon, as far as it reads."""

    def __init__(self, tools, folder, options):
        self.process = subprocess.Popen(
            [os.path.join(tools, "bench-source"), "--kubeconfig", os.path.join(folder, "kubeconfig")] + options,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("bench-source ended")
        return json.loads(line)

    def ask(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.read()

    def settle(self):
        """Until nothing comes any more."""
        before = self.ask()
        while True:
            time.sleep(0.3)
            now = self.ask()
            if total(now, "events") == total(before, "events") and total(now, "bytes") == total(before, "bytes"):
                return now
            before = now

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Daemon:
    """podfenced, without pods of its own."""

    def __init__(self, build, folder, options):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        bpffs, socket = os.path.join(folder, "bpf"), os.path.join(folder, "podfenced.sock")
        self.ctl = [os.path.join(build, "bin", "podfencectl"), "--bpffs", os.path.join(bpffs, "podfence"),
                    "--socket", socket, "status", "-o", "json"]
        os.mkdir(bpffs)
        subprocess.run(["mount", "-t", "bpf", "bpf", bpffs], check=True)
        self.log = open(os.path.join(folder, "log"), "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [os.path.join(build, "bin", "podfenced"), "--bpffs", os.path.join(bpffs, "podfence"),
             "--socket", socket, "--state", os.path.join(folder, "state"), "--node-name", "bench-" + os.path.basename(folder),
             "--kubeconfig", os.path.join(os.path.dirname(folder), "kubeconfig")] + options, stderr=self.log)

    def wait(self):
        for _ in range(600):
            answer = subprocess.run(self.ctl, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
            if answer.stdout and json.loads(answer.stdout).get("ready"):
                return
            time.sleep(0.2)
        sys.exit(f"podfenced is not ready: {open(self.log.name, encoding='utf-8').read()[-2000:]}")

    def memory(self, what):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith(what))

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        subprocess.run(["umount", os.path.join(self.folder, "bpf")], check=True)


def remember(build, folder, server, options):
    """MB once ready, and at most, everything listed a second time among it."""
    daemon = Daemon(build, os.path.join(folder, "sliced" if options else "plain"), options)
    daemon.wait()
    ready = daemon.memory("VmRSS:")
    server.control("POST", "/compact", "{}")
    server.control("POST", "/watches", '{"end": "cut"}')
    time.sleep(15)
    daemon.wait()
    memory = {"ready": ready, "after": daemon.memory("VmRSS:"), "most": daemon.memory("VmHWM:")}
    daemon.stop()
    return memory


def total(state, what, kind=None):
    return sum(each[what] for each in state["kinds"] if kind in (None, each["kind"]))


def lines(recordings, name):
    with open(os.path.join(recordings, name + ".body"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def items(recordings, name, kind, version):
    with open(os.path.join(recordings, name + ".body"), encoding="utf-8") as file:
        return [{"kind": kind, "apiVersion": version, **item} for item in json.load(file)["items"]]


def pod_address(index):
    return f"10.{128 + (index >> 16)}.{index >> 8 & 255}.{index & 255}"


def rename_pod(pod, index, node):
    """Another pod that is as long."""
    pod = copy.deepcopy(pod)
    meta, status = pod["metadata"], pod.get("status", {})
    meta["name"] = f"{meta['name']}-{index:06d}"
    meta["uid"] = f"{index:08x}" + meta["uid"][8:]
    if pod["spec"].get("nodeName"):
        pod["spec"]["nodeName"] = node
    if status.get("podIP"):
        status["podIP"] = pod_address(index)
        status["podIPs"] = [{"ip": pod_address(index)}] + status.get("podIPs", [])[1:]
        for other in status["podIPs"][1:]:
            other["ip"] = f"fd00:10::{index >> 16:x}:{index & 0xffff:x}" if index else "fd00:10::ffff:0"
    return pod


def make_cluster(recordings, nodes):
    pods = [pod for pod in items(recordings, "list-pods", "Pod", "v1")
            if pod["spec"].get("nodeName") and not pod["spec"].get("hostNetwork")]
    node = items(recordings, "list-nodes", "Node", "v1")[0]
    made = items(recordings, "list-namespaces", "Namespace", "v1")
    made.append({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "podfence"}})
    for i in range(nodes):
        one = copy.deepcopy(node)
        one["metadata"]["name"] = f"node-{i:04d}"
        one["metadata"]["labels"]["kubernetes.io/hostname"] = f"node-{i:04d}"
        for address in one.get("status", {}).get("addresses", []):
            if address["type"] == "InternalIP" and "." in address["address"]:
                address["address"] = f"172.{16 + (i >> 16)}.{i >> 8 & 255}.{i & 255}"
        one["spec"] = {k: v for k, v in one["spec"].items() if not k.startswith("podCIDR")}
        made.append(one)
    for i in range(nodes * PODS_PER_NODE):
        made.append(rename_pod(pods[i % len(pods)], i, f"node-{i // PODS_PER_NODE:04d}"))
    return made


def live(server, recordings, nodes, count):
    """The recorded life of a pod of another node, for some, one after the other as often as they are in such a
    cluster: first all begin, then all end."""
    events = [e["object"] for e in lines(recordings, "watch-pods-events") if e["type"] != "BOOKMARK"]
    for ends in (False, True):
        part = [pod for pod in events if ("deletionTimestamp" in pod["metadata"]) == ends]
        for i in range(count):
            due = time.monotonic() + min(1 / (nodes * LIFE_RATE), 0.3)
            pods = [rename_pod(pod, nodes * PODS_PER_NODE + i, f"node-{1 + i % (nodes - 1):04d}") for pod in part]
            for pod in pods[:-1] if ends else pods:
                server.put([pod])
            if ends:
                meta = pods[-1]["metadata"]
                server.delete(f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}")
            time.sleep(max(0, due - time.monotonic()))


def beat(server, nodes, count):
    for i in range(count):
        one = nodes[i % len(nodes)]
        for condition in one["status"].get("conditions", []):
            condition["lastHeartbeatTime"] = f"2026-11-27T00:{i // 60:02d}:{i % 60:02d}Z"
        server.put([one])


def serve(server, recordings, count):
    """Writes of the recorded slice, with so many endpoints."""
    one = items(recordings, "list-endpointslices", "EndpointSlice", "discovery.k8s.io/v1")[-1]
    endpoint = one["endpoints"][0]
    one["endpoints"] = [{**endpoint, "addresses": [f"10.200.0.{i + 10}"]} for i in range(ENDPOINTS)]
    one["addressType"] = "IPv4"
    for i in range(count):
        one["endpoints"][0]["conditions"] = {"ready": bool(i % 2), "serving": bool(i % 2), "terminating": not i % 2}
        server.put([one])


def publish(build, folder):
    """Somebody who writes the slices; how long that takes."""
    begun = time.monotonic()
    writer = Daemon(build, os.path.join(folder, "writer"), ["--address-slices"])
    writer.wait()
    return writer, time.monotonic() - begun


def ask_for(build, recordings, nodes, folder, server, beating, options):
    source = Source(os.path.join(build, "test"), folder, options)
    first = source.first
    before = source.settle()
    live(server, recordings, nodes, LIVES)
    after = source.settle()
    life = (total(after, "bytes") - total(before, "bytes")) / LIVES
    beat(server, beating, HEARTBEATS)
    beaten = source.settle()
    heartbeat = (total(beaten, "bytes") - total(after, "bytes")) / HEARTBEATS
    serve(server, recordings, LIVES)
    last = source.settle()
    write = (total(last, "bytes") - total(beaten, "bytes")) / LIVES
    source.stop()
    return {
        "nodes": nodes, "pods": nodes * PODS_PER_NODE, "slices": bool(options), "seen": [first["pods"], first["nodes"]],
        "watches": sum(1 for each in first["kinds"] if each["phase"] == "watching"),
        "listSeconds": first["seconds"], "residentMB": last["residentMB"],
        "listBytes": total(first, "bytes"), "lifeBytes": life, "heartbeatBytes": heartbeat, "sliceBytes": write,
        "bytesPerSecond": nodes * (LIFE_RATE * (life + SERVICE_WRITES * write) + HEARTBEAT_RATE * heartbeat),
    }


def measure(build, recordings, nodes):
    """Without address slices, then with them."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(os.path.join(build, "test"), folder)
        cluster = make_cluster(recordings, nodes)
        server.put(cluster)
        beating = [o for o in cluster if o["kind"] == "Node" and o["metadata"]["name"] != "node-0000"]
        plain = ask_for(build, recordings, nodes, folder, server, beating, [])
        plain["podfencedMB"] = remember(build, folder, server, [])
        writer, seconds = publish(build, folder)
        sliced = ask_for(build, recordings, nodes, folder, server, beating, ["--address-slices", "node-0000"])
        sliced["publishSeconds"] = seconds
        sliced["writerMB"] = {"ready": writer.memory("VmRSS:"), "most": writer.memory("VmHWM:")}
        sliced["podfencedMB"] = remember(build, folder, server, ["--address-slices"])
        writer.stop()
        server.stop()
    return [plain, sliced]


def show(rows):
    print("nodes    pods  slices  watches  lists MB  after s  podfenced MB  most  a life B  heartbeat B  slice B  kB/s a node"
          "  MB/s of the server")
    for row in rows:
        print(f"{row['nodes']:5} {row['pods']:7} {'yes' if row['slices'] else 'no':>7} {row['watches']:8} "
              f"{row['listBytes'] / 1e6:9.1f} {row['listSeconds']:8.2f} "
              f"{row['podfencedMB']['ready']:13.1f} {row['podfencedMB']['most']:5.1f} "
              f"{row['lifeBytes']:9.0f} {row['heartbeatBytes']:12.0f} {row['sliceBytes']:8.0f} "
              f"{row['bytesPerSecond'] / 1e3:12.2f} {row['nodes'] * row['bytesPerSecond'] / 1e6:19.1f}")
    for row in rows:
        if row["slices"]:
            print(f"{row['nodes']} nodes: all published after {row['publishSeconds']:.1f} s; who publishes has "
                  f"{row['writerMB']['ready']:.1f} MB, at most {row['writerMB']['most']:.1f}")


def main():
    build, recordings, out, *sizes = sys.argv[1:]
    rows = []
    for nodes in map(int, sizes):
        rows += measure(build, recordings, nodes)
    with open(out, "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)
    show(rows)


main()
