#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pods that come and go, for churn.sh: the real plugins, the real daemon, which is killed meanwhile.

A lane adds a batch of pods at the same time, serves in them, asks what is lawful and what is not, and
removes them; two lanes run beside each other. Prints what was done and how much memory the daemon had.
"""
import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

BATCH = 20
LANES = 4
KILLS = 10
# TCP sends a SYN again after 1, 3 and 7 s: the daemon may be away for the first ones.
LAWFUL_MS = 12000
# Long enough for an answer of a busy machine; what is answered later fails the next time.
UNLAWFUL_MS = 400


def run(*command, stdin="", env=None):
    process = subprocess.run(command, input=stdin, text=True, capture_output=True, timeout=60,
                             env=env, check=False)
    if process.returncode != 0:
        raise SystemExit(f"churn.py: {' '.join(command)} {(env or {}).get('CNI_COMMAND', '')}: "
                         f"{process.stdout}{process.stderr}")
    return process.stdout


class Daemon:
    """podfenced, which is started again when it was killed."""

    def __init__(self, command, log):
        self.command, self.log = command, log
        self.process = None
        self.kills = 0

    def start(self):
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(self.command, stderr=log)

    def kill(self):
        if self.process.poll() is not None:
            raise SystemExit(f"churn.py: podfenced ended by itself with {self.process.returncode}")
        self.process.kill()
        self.process.wait()
        self.kills += 1
        self.start()

    def resident_kb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            return int(next(line for line in file if line.startswith("VmRSS")).split()[1])


class Pod:
    def __init__(self, churn, number):
        self.churn, self.number = churn, number
        self.name = f"churn{number}"
        self.netns = f"/run/netns/{self.name}"
        self.id = os.urandom(32).hex()
        self.uid = f"00000000-0000-0000-0000-{number:012d}"
        self.result = self.address = self.server = None

    def object(self):
        return (f"---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {self.name}\n  namespace: shop\n"
                f"  uid: {self.uid}\n  labels: {{ app: api, pod: \"{self.number}\" }}\nspec:\n"
                f"  nodeName: lab-node\n  containers: [ {{ name: c }} ]\n")

    def plugin(self, verb, plugin):
        text = dict(plugin, name=self.churn.conf["name"], cniVersion=self.churn.conf["cniVersion"])
        if self.result is not None:
            text["prevResult"] = self.result
        folder = next(f for f in self.churn.options.cni_path.split(":")
                      if os.path.exists(os.path.join(f, plugin["type"])))
        args = (f"IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME={self.name};K8S_POD_UID={self.uid};"
                f"K8S_POD_INFRA_CONTAINER_ID={self.id}")
        return run(os.path.join(folder, plugin["type"]), stdin=json.dumps(text), env={
            "CNI_COMMAND": verb, "CNI_CONTAINERID": self.id, "CNI_NETNS": self.netns, "CNI_IFNAME": "eth0",
            "CNI_PATH": self.churn.options.cni_path, "CNI_ARGS": args, "PATH": os.environ["PATH"]})

    def add(self):
        run("ip", "netns", "add", self.name)
        for plugin in self.churn.conf["plugins"]:
            self.result = json.loads(self.plugin("ADD", plugin))
        self.address = self.result["ips"][0]["address"].split("/")[0]
        self.server = int(self.churn.probe(self.netns, "serve", "tcp:8080", "tcp:80"))
        self.churn.count_added()

    def remove(self):
        os.kill(self.server, signal.SIGKILL)
        if self.churn.options.without_del == "no" or self.number % 3:
            for plugin in reversed(self.churn.conf["plugins"]):
                self.plugin("DEL", plugin)
        run("ip", "netns", "del", self.name)


class Churn:
    def __init__(self, options):
        self.options = options
        with open(options.conf, encoding="utf-8") as file:
            self.conf = json.load(file)
        self.daemon = Daemon(options.daemon, options.log)
        self.lock = threading.Lock()
        self.added = 0
        self.kill_at = []
        self.asked = {"lawful": 0, "unlawful": 0}
        self.pool = ThreadPoolExecutor(BATCH * LANES)
        self.random = random.Random(options.seed)

    def probe(self, netns, *arguments):
        return run("nsenter", f"--net={netns}", "--", self.options.netprobe, *arguments)

    def count_added(self):
        with self.lock:
            self.added += 1
            due = self.kill_at and self.added >= self.kill_at[0]
            if due:
                self.kill_at.pop(0)
                time.sleep(self.random.uniform(0, 0.05))
                self.daemon.kill()

    def ask(self, kind, netns, milliseconds, targets, wanted):
        """All at once from one place; every one must end as it is wanted."""
        out = self.probe(netns, "try", "-t", str(milliseconds), *targets).split("\n")
        wrong = [line for line in out if line and line.split(" ")[0] != wanted]
        with self.lock:
            self.asked[kind] += len(targets)
        if wrong:
            raise SystemExit(f"churn.py: {kind} from {netns} is not {wanted} for {len(wrong)} of {len(targets)}, "
                             f"pods up to churn{self.added}: {wrong[:3]}")

    def questions(self, pods):
        served = [f"tcp,{pod.address},8080" for pod in pods]
        yield "lawful", "/run/netns/web", LAWFUL_MS, served, "ok"
        yield "unlawful", "/run/netns/web", UNLAWFUL_MS, [f"tcp,{pod.address},80" for pod in pods], "timeout"
        yield "unlawful", "/run/netns/cache", UNLAWFUL_MS, served, "timeout"
        for pod in pods[::5]:
            yield "lawful", pod.netns, LAWFUL_MS, [f"tcp,{self.options.db},5432"], "ok"
            yield "unlawful", pod.netns, UNLAWFUL_MS, [f"tcp,{self.options.db},80"], "timeout"

    def publish(self, lane, pods):
        path = os.path.join(self.options.objects, f"lane{lane}.yaml")
        with open(path + ".tmp", "w", encoding="utf-8") as file:
            file.write("".join(pod.object() for pod in pods))
        os.rename(path + ".tmp", path)

    def batch(self, lane, numbers):
        pods = [Pod(self, number) for number in numbers]
        self.publish(lane, pods)
        list(self.pool.map(Pod.add, pods))
        list(self.pool.map(lambda question: self.ask(*question), self.questions(pods)))
        list(self.pool.map(Pod.remove, pods))
        self.publish(lane, [])

    def work(self, first, last, kills=0):
        """Pods first to last, in batches over the lanes."""
        self.kill_at = sorted(self.random.sample(range(first + 1, last), kills))
        if kills:
            print(f"-- podfenced is killed at pods {self.kill_at}", flush=True)
        batches = [range(n, min(n + BATCH, last)) for n in range(first, last, BATCH)]
        failed = []

        def lane_works(lane):
            while batches and not failed:
                with self.lock:
                    numbers = batches.pop(0) if batches else []
                try:
                    self.batch(lane, numbers)
                except SystemExit as error:
                    failed.append(error)

        lanes = [threading.Thread(target=lane_works, args=[lane]) for lane in range(LANES)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        if failed:
            raise failed[0]

    def settle(self):
        """Until only the residents are there; then the memory is what it is."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                status = json.loads(run(*self.options.ctl.split(), "endpoints", "-o", "json"))
                if len(status["endpoints"]) == self.options.residents:
                    time.sleep(1)
                    return self.daemon.resident_kb()
            except SystemExit:
                pass # it is being started
            time.sleep(0.2)
        raise SystemExit(f"churn.py: there are still endpoints: {status}")

    def all(self):
        size = self.options.size
        steps = [max(size // 10, min(100, size // 3)), size * 65 // 100, size * 75 // 100, size]
        before = time.monotonic()
        self.daemon.start()
        self.work(0, steps[0])
        first = self.settle()
        self.work(steps[0], steps[1], KILLS)
        self.settle()
        self.work(steps[1], steps[2])
        warm = self.settle()
        self.work(steps[2], steps[3])
        last = self.settle()
        took = time.monotonic() - before
        print(f"-- {size} pods in {took:.0f} s, {self.daemon.kills} kills, {self.asked['lawful']} lawful and "
              f"{self.asked['unlawful']} unlawful connections as they should be")
        print(f"-- resident: {first} kB after the first {steps[0]}, {warm} kB {steps[2] - steps[1]} after the last "
              f"kill, {last} kB at the end")
        return max(last - first, last - warm)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--without-del", choices=["no", "third"], default="no")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--conf", required=True)
    parser.add_argument("--cni-path", required=True)
    parser.add_argument("--objects", required=True, help="folder for the pods' objects")
    parser.add_argument("--netprobe", required=True)
    parser.add_argument("--ctl", required=True, help="podfencectl with its options")
    parser.add_argument("--db", required=True, help="address of the resident database")
    parser.add_argument("--residents", type=int, required=True)
    parser.add_argument("--growth", type=int, required=True, help="kB that the daemon may grow")
    parser.add_argument("--log", required=True)
    parser.add_argument("daemon", nargs="+", help="after --: podfenced with its options")
    options = parser.parse_args()
    churn = Churn(options)
    try:
        grown = churn.all()
    finally:
        if churn.daemon.process:
            with open(f"{options.log}.pid", "w", encoding="utf-8") as file:
                file.write(str(churn.daemon.process.pid))
    if grown > options.growth:
        print(f"churn.py: podfenced has grown by {grown} kB, at most {options.growth} are its allocator's")
        return 1
    return 0


sys.exit(main())
