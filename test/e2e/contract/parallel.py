# SPDX-License-Identifier: Apache-2.0
"""Behaviours 7 and 14: the same again, many at once, killed at any moment."""
import contextlib
import json
import random
import statistics
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import runtime
from node import (DAEMON, PLUGIN, Pod, Wrong, endpoints, entry, eventually, expect, filters,
                  map_entries, podfence)

LABELS = {"args": {"cni": {"labels": {"app": "x"}}}}


def adding_again_changes_nothing():
    """7: a second ADD keeps what the daemon has resolved, number and filters, and so do ten at once."""
    with Pod() as pod, ThreadPoolExecutor(10) as pool:
        conf = pod.entry(startMode="hold", holdTimeoutMs=10000, **LABELS)
        pod.good("ADD", conf)
        first = endpoints(), filters(pod.host), map_entries("endpoints")
        expect("state", first[0][(pod.id, "eth0")]["state"], "enforced")
        list(pool.map(lambda _: pod.good("ADD", conf), range(10)))
        expect("what there is", (endpoints(), filters(pod.host), map_entries("endpoints")), first)


def as_containerd(pod):
    """ADD; on a machine too busy for the watchdog's seconds DEL and once more, as runtimes do."""
    for _ in range(4):
        done = pod.call("ADD", pod.entry(**LABELS))
        if done.code != 11 or "took too long" not in done.output["msg"]:
            break
        pod.good("DEL")
    expect(f"exit of ADD of {pod.name}: {done.stdout}{done.stderr}", done.exit, 0)
    return done.output


def hundred_at_once():
    """14: 100 ADDs in parallel, CHECK of all, 100 DELs; STATUS stays good all the while. Every sandbox
    gets its DEL three times."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(100) as pool:
        pods = [Pod() for _ in range(100)]
        status = stack.enter_context(Repeated("STATUS", entry()))
        results = list(pool.map(as_containerd, pods))
        for pod, result in zip(pods, results):
            expect(f"result of {pod.name}", result, pod.result())
        listed = endpoints()
        expect("endpoints", set(listed), {(pod.id, "eth0") for pod in pods})
        for pod in pods:
            expect(f"address of {pod.name}", listed[(pod.id, "eth0")]["addresses"], [pod.address])
        expect("attached", {item["attached"] for item in listed.values()}, {"ok"})
        eventually("all are resolved", 10,
                   lambda: {item["state"] for item in endpoints().values()} == {"enforced"})
        list(pool.map(lambda pod: pod.good("CHECK"), pods))
        for _ in range(3):
            list(pool.map(lambda pod: pod.good("DEL"), pods))
        expect("calls of STATUS", status.calls >= 10, True)
        expect("endpoints", endpoints(), {})
        list(pool.map(lambda pod: pod.remove(), pods))


class Repeated:
    """A call of the plugin again and again; each must be answered by 0."""

    def __init__(self, verb, conf):
        self.verb, self.conf = verb, conf
        self.calls, self.wrong, self.ending = 0, None, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ending.wait(0.01):
            done = podfence(self.verb, self.conf, {"CNI_PATH": "/"})
            self.calls += 1
            if done.exit != 0:
                self.wrong = f"{self.verb}: {done.exit} {done.stdout}{done.stderr}"
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.ending.set()
        self.thread.join()
        if self.wrong and not kind:
            raise Wrong(self.wrong)


def adding_beside_deleting():
    """14: ADD of one pod with DEL of another, twenty times, GC in between: each gets what is its."""
    old = Pod()
    old.good("ADD")
    with ThreadPoolExecutor(3) as pool:
        for _ in range(20):
            new = Pod()
            listed = entry(**{"cni.dev/valid-attachments": [
                {"containerID": pod.id, "ifname": "eth0"} for pod in (old, new)]})
            calls = [pool.submit(old.good, "DEL"), pool.submit(new.good, "ADD"),
                     pool.submit(podfence, "GC", listed, {"CNI_PATH": "/"})]
            expect("exit of GC", [call.result().exit for call in calls], [0, 0, 0])
            new.good("CHECK")
            expect("endpoints", set(endpoints()), {(new.id, "eth0")})
            expect("filters of the old one", sum(filters(old.host)), 0)
            old.remove()
            old = new
    old.close()


def deleting_while_the_daemon_dies():
    """14: DELs in parallel with GC and with a daemon that is killed and comes back."""
    pods = [Pod() for _ in range(25)]
    with ThreadPoolExecutor(26) as pool:
        list(pool.map(lambda pod: pod.good("ADD", pod.entry(**LABELS)), pods))
        nothing = entry(**{"cni.dev/valid-attachments": []})
        deletions = [pool.submit(pod.good, "DEL") for pod in pods]
        collection = pool.submit(podfence, "GC", nothing, {"CNI_PATH": "/"})
        DAEMON.kill()
        DAEMON.start()
        for deletion in deletions:
            deletion.result()
        expect("exit of GC", collection.result().exit, 0)
    expect("endpoints", endpoints(), {})
    for pod in pods:
        expect("filters", sum(filters(pod.host)), 0)
        pod.remove()


def killed_at_any_moment():
    """7: ADD and DEL are killed at random; the DEL that follows leaves nothing, in the end."""
    with Pod() as pod:
        usual, killed = [], 0
        for _ in range(5):
            usual.append(pod.good("ADD").seconds)
            pod.good("DEL")
        usual = statistics.median(usual)
        for _ in range(25):
            for verb in ("ADD", "DEL"):
                killed += not finishes(pod, verb, random.uniform(0, 1.2 * usual))
            pod.good("DEL")
            expect("endpoints", (map_entries("endpoints"), map_entries("endpoint_info")), ([], []))
            expect("filters", sum(filters(pod.host)), 0)
        expect("some were killed", killed >= 10, True)
        # and the way is free
        pod.good("ADD")
        pod.good("CHECK")


def finishes(pod, verb, seconds):
    """A call with so much time; whether it was enough."""
    try:
        runtime.call(PLUGIN, {"CNI_COMMAND": verb, **pod.env()}, json.dumps(pod.entry()), seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


TESTS = [adding_again_changes_nothing, hundred_at_once, adding_beside_deleting,
         deleting_while_the_daemon_dies, killed_at_any_moment]
