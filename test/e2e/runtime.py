#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a conflist as libcni and containerd do: the real plugins, real stdin, a result cache.

ADD in order with prevResult and, when it fails, DEL of the whole list; DEL in reverse with the
cached result (none before 0.4.0); CHECK with it; GC and STATUS. Prints the last result, or on
failure {"plugin", "exit", "error", "stderr"} with exit status 1.
"""
import argparse
import json
import os
import random
import subprocess
import sys


class PluginFailed(Exception):
    def __init__(self, plugin, process):
        super().__init__(plugin)
        try:
            error = json.loads(process.stdout)
        except ValueError:
            error = None
        self.report = {"plugin": plugin, "exit": process.returncode, "error": error,
                       "stdout": process.stdout, "stderr": process.stderr}


def version_of(conf):
    return tuple(int(part) for part in conf.get("cniVersion", "0.1.0").split("."))


class Runtime:
    def __init__(self, options):
        self.options = options
        with open(options.conf, encoding="utf-8") as file:
            self.conf = json.load(file)
        self.cache = os.path.join(options.cache, f"{self.conf['name']}-{options.id}-{options.ifname}")

    def cni_args(self):
        """As containerd passes them: the order is that of a Go map, so a new one every time."""
        args = [("IgnoreUnknown", "1")]
        if self.options.pod:
            namespace, name = self.options.pod.split("/", 1)
            args += [("K8S_POD_NAMESPACE", namespace), ("K8S_POD_NAME", name),
                     ("K8S_POD_INFRA_CONTAINER_ID", self.options.id),
                     ("K8S_POD_UID", self.options.uid)]
        random.shuffle(args)
        return ";".join(f"{key}={value}" for key, value in args)

    def environment(self, verb):
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "CNI_COMMAND": verb, "CNI_PATH": self.options.cni_path}
        if verb in ("ADD", "DEL", "CHECK"):
            env["CNI_CONTAINERID"] = self.options.id
            env["CNI_IFNAME"] = self.options.ifname
            env["CNI_ARGS"] = self.cni_args()
            if self.options.netns:
                env["CNI_NETNS"] = self.options.netns
        for name in self.options.without_env:
            env.pop(name, None)
        return env

    def stdin(self, plugin, extra):
        conf = dict(plugin)
        conf["name"] = self.conf["name"]
        conf["cniVersion"] = self.conf["cniVersion"]
        given = json.loads(self.options.capabilities)
        wanted = {key: given[key] for key, on in plugin.get("capabilities", {}).items()
                  if on and key in given}
        if wanted:
            conf["runtimeConfig"] = wanted
        conf.update(extra)
        return json.dumps(conf)

    def run(self, plugin, verb, extra):
        binary = next((os.path.join(folder, plugin["type"])
                       for folder in self.options.cni_path.split(":")
                       if os.path.exists(os.path.join(folder, plugin["type"]))), None)
        if binary is None:
            sys.exit(f"runtime.py: no plugin {plugin['type']} in {self.options.cni_path}")
        process = subprocess.run([binary], input=self.stdin(plugin, extra), text=True, timeout=60,
                                 capture_output=True, env=self.environment(verb), check=False)
        if process.returncode != 0:
            raise PluginFailed(plugin["type"], process)
        sys.stderr.write(process.stderr)
        return process.stdout

    def plugins(self):
        return [plugin for plugin in self.conf["plugins"]
                if not self.options.only or plugin["type"] == self.options.only]

    def cached(self):
        try:
            with open(self.cache, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def add(self):
        result = self.cached() if self.options.only else None
        try:
            for plugin in self.plugins():
                extra = {"prevResult": result} if result is not None else {}
                result = json.loads(self.run(plugin, "ADD", extra))
        except PluginFailed:
            if not self.options.only:
                self.delete(None)
            raise
        with open(self.cache, "w", encoding="utf-8") as file:
            json.dump(result, file)
        print(json.dumps(result))

    def delete(self, result):
        extra = {"prevResult": result} if result and version_of(self.conf) >= (0, 4, 0) else {}
        for plugin in reversed(self.plugins()):
            self.run(plugin, "DEL", extra)
        if not self.options.only and os.path.exists(self.cache):
            os.unlink(self.cache)

    def check(self):
        result = self.cached()
        for plugin in self.plugins():
            self.run(plugin, "CHECK", {"prevResult": result} if result else {})

    def gc(self):
        extra = {}
        if self.options.valid is not None:
            valid = [dict(zip(("containerID", "ifname"), entry.split("/", 1)))
                     for entry in self.options.valid.split()]
            extra = {"cni.dev/valid-attachments": valid, "cni.dev/attachments": valid}
        for plugin in self.plugins():
            self.run(plugin, "GC", extra)

    def status(self):
        for plugin in self.plugins():
            self.run(plugin, "STATUS", {})


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["add", "del", "check", "gc", "status"])
    parser.add_argument("--conf", required=True)
    parser.add_argument("--cache", required=True, help="folder of the result cache")
    parser.add_argument("--cni-path", required=True)
    parser.add_argument("--id", default="")
    parser.add_argument("--ifname", default="eth0")
    parser.add_argument("--netns", default="")
    parser.add_argument("--pod", help="NAMESPACE/NAME; none: not a Kubernetes pod")
    parser.add_argument("--uid", default="")
    parser.add_argument("--capabilities", default="{}", help="what the runtime supplies, JSON")
    parser.add_argument("--only", help="run this plugin of the list alone")
    parser.add_argument("--valid", help="GC: ID/IFNAME of all that is valid; not given: no list")
    parser.add_argument("--without-env", action="append", default=[])
    return parser.parse_args()


def main():
    options = parse()
    runtime = Runtime(options)
    try:
        if options.verb == "del":
            runtime.delete(runtime.cached())
        else:
            getattr(runtime, options.verb)()
    except PluginFailed as failure:
        print(json.dumps(failure.report))
        return 1
    return 0


sys.exit(main())
