#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The part of a container runtime that reads network configurations: what it holds in memory.

reload.py containerd|crio --conf-dir DIR --bin-dir DIR --out FILE --log FILE

Follows the folders by inotify and acts on the same events as containerd (cni_conf_syncer.go) or CRI-O
(ocicni.go) do by way of fsnotify, and on no others. FILE holds the list that a pod would be started
with, as libcni 1.3 reads it; it is empty while there is none. The log has a line an event and a load.
"""
import argparse
import ctypes
import json
import os
import struct
import subprocess
import sys

MODIFY, ATTRIB, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x2, 0x4, 0x40, 0x80, 0x100, 0x200
# what fsnotify makes of them
NAMES = {MODIFY: "Write", ATTRIB: "Chmod", MOVED_FROM: "Rename", MOVED_TO: "Create",
         CREATE: "Create", DELETE: "Remove"}
LIBC = ctypes.CDLL(None, use_errno=True)


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def dropins(folder, conf):
    if conf.get("loadOnlyInlinedPlugins"):
        return []
    below = os.path.join(folder, conf["name"])
    names = sorted(os.listdir(below)) if os.path.isdir(below) else []
    return [read_json(os.path.join(below, name)) for name in names if name.endswith(".conf")]


def load_file(path):
    """One file as a list; ValueError when libcni would refuse it."""
    conf = read_json(path)
    if not isinstance(conf, dict) or not conf.get("name"):
        raise ValueError("no name")
    if not path.endswith(".conflist"):
        if not conf.get("type"):
            raise ValueError("no type")
        return {"cniVersion": conf.get("cniVersion", ""), "name": conf["name"], "plugins": [conf]}
    if not conf.get("plugins"):
        raise ValueError("no plugins")
    conf["plugins"] += dropins(os.path.dirname(path), conf)
    if not all(plugin.get("type") for plugin in conf["plugins"]):
        raise ValueError("no type")
    return conf


class Runtime:
    def __init__(self, options):
        self.options = options
        self.strict = options.runtime == "containerd"
        self.default = None  # path of what is loaded
        self.log = open(options.log, "w", encoding="utf-8", buffering=1)

    def files(self):
        return sorted(os.path.join(self.options.conf_dir, entry.name)
                      for entry in os.scandir(self.options.conf_dir)
                      if not entry.is_dir(follow_symlinks=False)
                      and entry.name.endswith((".conf", ".conflist", ".json")))

    def has_plugins(self, conf):
        """CRI-O asks each plugin for its versions and passes over a list with one that is not there."""
        for plugin in conf["plugins"]:
            path = os.path.join(self.options.bin_dir, plugin["type"])
            try:
                subprocess.run([path], env={"CNI_COMMAND": "VERSION"}, input=b'{"cniVersion":"1.0.0"}',
                               capture_output=True, check=True)
            except (OSError, subprocess.CalledProcessError):
                return False
        return True

    def load(self):
        self.default, found = None, None
        for path in self.files():
            try:
                found = load_file(path)
            except (ValueError, OSError) as error:
                self.log.write(f"invalid {os.path.basename(path)}: {error}\n")
                if self.strict:
                    break
                continue
            if self.strict or self.has_plugins(found):
                self.default = path
                break
            found = None
        with open(self.options.out + ".new", "w", encoding="utf-8") as file:
            json.dump(found if self.default else None, file)
        os.rename(self.options.out + ".new", self.options.out)
        self.log.write(f"loaded {os.path.basename(self.default or 'nothing')}\n")

    def counts(self, kind, path):
        if self.strict:
            return kind not in ("Create", "Chmod")
        return kind in ("Create", "Write", "Rename") or (kind == "Remove" and path == self.default)

    def follow(self):
        fd = LIBC.inotify_init1(0)
        folders = [self.options.conf_dir] + ([] if self.strict else [self.options.bin_dir])
        mask = MODIFY | ATTRIB | MOVED_FROM | MOVED_TO | CREATE | DELETE
        watches = {LIBC.inotify_add_watch(fd, folder.encode(), mask): folder for folder in folders}
        self.load()
        while True:
            data = os.read(fd, 65536)
            while data:
                watch, mask, _, size = struct.unpack_from("iIII", data)
                name = data[16:16 + size].rstrip(b"\0").decode()
                data = data[16 + size:]
                kind = next((text for bit, text in NAMES.items() if mask & bit), None)
                if not kind:
                    continue
                path = os.path.join(watches[watch], name)
                self.log.write(f"{kind} {name}\n")
                if self.counts(kind, path):
                    self.load()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runtime", choices=["containerd", "crio"])
    for name in ("--conf-dir", "--bin-dir", "--out", "--log"):
        parser.add_argument(name, required=True)
    Runtime(parser.parse_args()).follow()


sys.exit(main())
