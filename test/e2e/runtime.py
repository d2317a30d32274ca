#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a conflist as libcni and containerd do: the real plugins, real stdin, libcni's result cache.

ADD in order with prevResult and, when it fails, DEL of the whole list; DEL in reverse with the
cached result (none before 0.4.0); CHECK with it; GC and STATUS. Prints the last result, or on
failure {"plugin", "exit", "error", "stderr"} with exit status 1. Also a module: call() is one call
of one plugin, Runtime a conflist for one attachment.
"""
import argparse
import base64
import json
import os
import random
import subprocess
import sys
import time

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def json_or_none(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


class Call:
    """What one process of a plugin did. `output` is its JSON value, None when there is none."""

    def __init__(self, process, seconds):
        self.exit = process.returncode
        self.stdout = process.stdout or ""
        self.stderr = process.stderr or ""
        self.seconds = seconds
        self.output = json_or_none(self.stdout)

    @property
    def code(self):
        return self.output.get("code") if isinstance(self.output, dict) else None


def call(binary, env, text="", timeout=30, **process):
    """One call; `process` goes to subprocess.run (cwd, preexec_fn, stdout, stderr, input)."""
    if "stdin" not in process:
        process.setdefault("input", text)
    process.setdefault("stdout", subprocess.PIPE)
    process.setdefault("stderr", subprocess.PIPE)
    begin = time.monotonic()
    done = subprocess.run([binary], env=env, encoding="utf-8", errors="surrogateescape",
                          timeout=timeout, check=False, **process)
    return Call(done, time.monotonic() - begin)


class PluginFailed(Exception):
    def __init__(self, plugin, failed):
        super().__init__(plugin)
        self.report = {"plugin": plugin, "exit": failed.exit, "error": failed.output,
                       "stdout": failed.stdout, "stderr": failed.stderr}


def version_of(conf):
    return tuple(int(part) for part in conf.get("cniVersion", "0.1.0").split("."))


def kubernetes_args(pod, uid, container_id):
    """As containerd passes them: the order is that of a Go map, so a new one every time."""
    args = [("IgnoreUnknown", "1")]
    if pod:
        namespace, name = pod.split("/", 1)
        args += [("K8S_POD_NAMESPACE", namespace), ("K8S_POD_NAME", name),
                 ("K8S_POD_INFRA_CONTAINER_ID", container_id), ("K8S_POD_UID", uid)]
    random.shuffle(args)
    return args


class Runtime:
    """`options` has what parse() gives."""

    def __init__(self, options):
        self.options = options
        with open(options.conf, "rb") as file:
            self.conf_bytes = file.read()
        self.conf = json.loads(self.conf_bytes)
        self.args = kubernetes_args(options.pod, options.uid, options.id)
        self.given = json.loads(options.capabilities)
        self.cache = self.cache_path(options.id, options.ifname)

    def cache_path(self, container_id, ifname):
        return os.path.join(self.options.cache, f"{self.conf['name']}-{container_id}-{ifname}")

    def environment(self, verb):
        env = {"PATH": SEARCH_PATH, "CNI_COMMAND": verb, "CNI_PATH": self.options.cni_path}
        if verb in ("ADD", "DEL", "CHECK"):
            env["CNI_CONTAINERID"] = self.options.id
            env["CNI_IFNAME"] = self.options.ifname
            env["CNI_ARGS"] = ";".join(f"{key}={value}" for key, value in self.args)
            if self.options.netns:
                env["CNI_NETNS"] = self.options.netns
        if "FENCE_FAILPOINT" in os.environ:  # where a test has the plugin killed
            env["FENCE_FAILPOINT"] = os.environ["FENCE_FAILPOINT"]
        for name in self.options.without_env:
            env.pop(name, None)
        return env

    def stdin(self, plugin, extra):
        conf = dict(plugin)
        conf["name"] = self.conf["name"]
        conf["cniVersion"] = self.conf["cniVersion"]
        wanted = {key: self.given[key] for key, on in plugin.get("capabilities", {}).items()
                  if on and key in self.given}
        if wanted:
            conf["runtimeConfig"] = wanted
        conf.update(extra)
        # as Go prints a map
        return json.dumps(conf, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def binary(self, plugin):
        for folder in self.options.cni_path.split(":"):
            path = os.path.join(folder, plugin["type"])
            if os.path.exists(path):
                return path
        sys.exit(f"runtime.py: no plugin {plugin['type']} in {self.options.cni_path}")

    def run(self, plugin, verb, extra):
        done = call(self.binary(plugin), self.environment(verb), self.stdin(plugin, extra))
        if done.exit != 0:
            raise PluginFailed(plugin["type"], done)
        sys.stderr.write(done.stderr)
        return done.stdout

    def plugins(self):
        return [plugin for plugin in self.conf["plugins"]
                if not self.options.only or plugin["type"] == self.options.only]

    # ---- the cache (libcni/api.go) ---------------------------------------------------------------

    def write_cache(self, result):
        os.makedirs(self.options.cache, mode=0o700, exist_ok=True)
        entry = {"kind": "cniCacheV1", "containerId": self.options.id,
                 "config": base64.b64encode(self.conf_bytes).decode(),
                 "ifName": self.options.ifname, "networkName": self.conf["name"],
                 "netns": self.options.netns, "cniArgs": [list(pair) for pair in self.args],
                 "capabilityArgs": self.given, "result": result}
        entry = {key: value for key, value in entry.items() if value not in ("", [], {})}
        with open(os.open(self.cache, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w",
                  encoding="utf-8") as file:
            json.dump(entry, file)

    def cached(self):
        """The result; older files are nothing else."""
        try:
            with open(self.cache, encoding="utf-8") as file:
                entry = json.load(file)
        except FileNotFoundError:
            return None
        return entry["result"] if entry.get("kind") == "cniCacheV1" else entry

    # ---- verbs -----------------------------------------------------------------------------------

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
        self.write_cache(result)
        return result

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


def parse(arguments=None):
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
    return parser.parse_args(arguments)


def main():
    options = parse()
    runtime = Runtime(options)
    try:
        if options.verb == "del":
            runtime.delete(runtime.cached())
        elif options.verb == "add":
            print(json.dumps(runtime.add()))
        else:
            getattr(runtime, options.verb)()
    except PluginFailed as failure:
        print(json.dumps(failure.report))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
