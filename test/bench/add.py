#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time a chain's plugins, for bench.sh add (add.sh makes the node).

  run NAME CONFLIST NETNS...   ADD into each namespace one after the other and DEL again, then all
                               at the same time; appends to --samples what each plugin took
  report                       the table of --samples, and --json

A plugin's time is from before it is started until it has ended, with its answer read.
"""
import argparse
import json
import os
import statistics
import sys
import time

CNI_PATH = "/usr/lib/cni"


def binary_of(kind, own):
    return os.path.join(own if kind == "podfence" else CNI_PATH, kind)


def call(path, text, environment):
    """What the plugin printed, and the ms that it took."""
    stdin = os.memfd_create("stdin")
    os.write(stdin, text.encode())
    os.lseek(stdin, 0, os.SEEK_SET)
    answer, stdout = os.pipe()
    errors = os.memfd_create("stderr")
    before = time.perf_counter_ns()
    pid = os.posix_spawn(path, [path], environment, file_actions=[
        (os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, stdout, 1),
        (os.POSIX_SPAWN_DUP2, errors, 2)])
    os.close(stdout)
    with os.fdopen(answer, "rb") as pipe:
        output = pipe.read().decode()
    status = os.waitpid(pid, 0)[1]
    took = (time.perf_counter_ns() - before) / 1e6
    os.lseek(errors, 0, os.SEEK_SET)
    said = os.read(errors, 4096).decode()
    os.close(stdin)
    os.close(errors)
    if status != 0 or "closed until" in said:
        raise SystemExit(f"add.py: {path} {environment['CNI_COMMAND']}: {output}{said}")
    return output, took


class Pod:
    """One attachment: ADD through the chain, DEL back through it."""

    def __init__(self, options, conf, name):
        self.options, self.conf, self.name = options, conf, name
        self.netns = f"/run/netns/{name}"
        self.id = os.urandom(32).hex()
        self.result = None

    def environment(self, verb):
        return {"CNI_COMMAND": verb, "CNI_CONTAINERID": self.id, "CNI_NETNS": self.netns, "CNI_IFNAME": "eth0",
                "CNI_PATH": f"{CNI_PATH}:{self.options.plugins}", "PATH": os.environ["PATH"],
                "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME={self.name};"
                            f"K8S_POD_INFRA_CONTAINER_ID={self.id}"}

    def stdin(self, plugin):
        text = dict(plugin, name=self.conf["name"], cniVersion=self.conf["cniVersion"])
        if plugin["type"] == "portmap":
            text["runtimeConfig"] = {"portMappings": []}
        if self.result is not None:
            text["prevResult"] = self.result
        return json.dumps(text)

    def verb(self, verb):
        """The ms of each plugin by its name, and of all as `chain`."""
        plugins = self.conf["plugins"] if verb == "ADD" else reversed(self.conf["plugins"])
        times = {}
        before = time.perf_counter_ns()
        for plugin in plugins:
            path = binary_of(plugin["type"], self.options.plugins)
            output, times[plugin["type"]] = call(path, self.stdin(plugin), self.environment(verb))
            if verb == "ADD":
                self.result = json.loads(output)
        times["chain"] = (time.perf_counter_ns() - before) / 1e6
        return times


def in_parallel(pods, verb):
    """ms from the start of the first to the end of the last, each in a process of its own."""
    ready, go = os.pipe(), os.pipe()
    results = []
    for pod in pods:
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(go[1])
            os.write(ready[1], b".")
            os.read(go[0], 1)
            pod.verb(verb)
            os.write(writer, json.dumps(pod.result).encode())
            os._exit(0)
        os.close(writer)
        results.append(reader)
    for _ in pods:
        os.read(ready[0], 1)
    before = time.perf_counter_ns()
    os.close(go[1])
    for pod, reader in zip(pods, results):
        with os.fdopen(reader, "rb") as pipe:
            text = pipe.read()
        if not text:
            raise SystemExit(f"add.py: {verb} of {pod.name} failed")
        pod.result = json.loads(text)
    took = (time.perf_counter_ns() - before) / 1e6
    for _ in pods:
        os.wait()
    for fd in (*ready, go[0]):
        os.close(fd)
    return took


def run(options):
    name, conflist, *names = options.arguments
    with open(conflist, encoding="utf-8") as file:
        conf = json.load(file)
    samples = []
    for pod in [Pod(options, conf, name) for name in names[:options.alone]]:
        add = pod.verb("ADD")
        samples.append({"add": add, "del": pod.verb("DEL")})
    pods = [Pod(options, conf, name) for name in names]
    together = {verb.lower(): in_parallel(pods, verb) for verb in ("ADD", "DEL")}
    with open(options.samples, "a", encoding="utf-8") as file:
        file.write(json.dumps({"config": name, "alone": samples, "parallel": together,
                               "count": len(pods)}) + "\n")


# ---- the report ----------------------------------------------------------------------------------

class Figures:
    """All rounds' samples, as medians and quartiles."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.attach = {}
        for line in lines:
            for mode, times in line.get("attach", {}).items():
                self.attach.setdefault(mode, []).extend(times)
        self.rounds = [line for line in lines if "config" in line]
        self.configs = list(dict.fromkeys(line["config"] for line in self.rounds))
        self.count = self.rounds[0]["count"]

    def alone(self, config, verb, what):
        return [sample[verb][what] for line in self.rounds if line["config"] == config
                for sample in line["alone"] if what in sample[verb]]

    def parallel(self, config, verb):
        return [line["parallel"][verb] for line in self.rounds if line["config"] == config]


def quartiles(values):
    if len(values) < 2:
        values = list(values) * 2
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": round(median, 2), "quartiles": [round(low, 2), round(high, 2)]}


def text_of(value):
    return f"{value['median']:.2f} ({value['quartiles'][0]:.2f} to {value['quartiles'][1]:.2f})" if value else "-"


def table(figures):
    """A row a configuration."""
    rows = {}
    for config in figures.configs:
        row = rows[config] = {}
        for verb in ("add", "del"):
            own = figures.alone(config, verb, "podfence")
            chain = figures.alone(config, verb, "chain")
            row[verb] = {"podfence": quartiles(own) if own else None, "chain": quartiles(chain),
                         "portmap": quartiles(figures.alone(config, verb, "portmap")),
                         "parallel": quartiles(figures.parallel(config, verb))}
            row[verb]["share"] = round(100 * row[verb]["podfence"]["median"] /
                                       row[verb]["chain"]["median"]) if own else None
    return rows


def print_table(rows, figures):
    header = ["ms, median (quartiles)", "podfence", "share", "portmap", "chain",
              f"{figures.count} in parallel", "ratio"]
    for verb in ("add", "del"):
        lines = [header]
        base = rows["without"][verb]["parallel"]["median"]
        for config, row in rows.items():
            cell = row[verb]
            share = "-" if cell["share"] is None else f"{cell['share']} %"
            lines.append([f"{verb.upper()} {config}", text_of(cell["podfence"]), share, text_of(cell["portmap"]),
                          text_of(cell["chain"]), text_of(cell["parallel"]),
                          f"{cell['parallel']['median'] / base:.2f}"])
        widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
        for line in lines:
            print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
        print()
    for mode, times in figures.attach.items():
        print(f"the kernel's wait for attaching both directions by {mode}: {text_of(quartiles(times))} ms")


def targets(rows, figures):
    """What is wanted of each way of attaching: text, measured, limit."""
    portmap = statistics.median([ms for config in rows for ms in figures.alone(config, "add", "portmap")])
    base = rows["without"]["add"]["parallel"]["median"]
    for config, row in rows.items():
        if config == "without":
            continue
        mode, start = config.split(" ")
        wait = statistics.median(figures.attach["tcx" if mode == "tcx" else "clsact"])
        own = row["add"]["podfence"]["median"] - wait
        yield f"{config}: ADD without the attach wait", own, {"closed": 3, "hold": 6}[start]
        yield f"{config}: the same against portmap", own, portmap
        if mode == "auto":
            yield f"{config}: {figures.count} in parallel, against without podfence", \
                row["add"]["parallel"]["median"] / base, 2


def report(options):
    figures = Figures(options.samples)
    rows = table(figures)
    print_table(rows, figures)
    print()
    missed = False
    results = []
    for text, measured, limit in targets(rows, figures):
        met = measured <= limit
        missed = missed or not met
        results.append({"target": text, "measured": round(measured, 2), "limit": round(limit, 2), "met": met})
        print(f"{'met   ' if met else 'MISSED'}  {text}: {measured:.2f}, at most {limit:.2f}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"configs": rows, "targets": results,
                       "attach": {mode: quartiles(times) for mode, times in figures.attach.items()}},
                      file, indent=1)
    return 1 if missed and options.check else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["run", "report"])
    parser.add_argument("--samples", required=True)
    parser.add_argument("--plugins", help="folder of podfence")
    parser.add_argument("--alone", type=int, default=3, help="how many one after the other")
    parser.add_argument("--json")
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_intermixed_args()
    return run(options) if options.verb == "run" else report(options)


sys.exit(main())
