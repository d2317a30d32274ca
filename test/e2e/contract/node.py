# SPDX-License-Identifier: Apache-2.0
"""What the sub-tests share: the daemon, pods with hand-made links, calls of the plugin, and what
must be true of the node."""
import json
import os
import secrets
import signal
import subprocess
import time

import runtime

LAB = os.environ["LAB"]
BIN = os.environ["LAB_BIN"]
TOOLS = os.environ["LAB_TOOLS"]
SOURCE = os.environ["LAB_SOURCE"]
CNI_DIR = os.environ["LAB_CNI_DIR"]
BPFFS = os.environ["LAB_BPFFS"]
SOCKET = os.environ["LAB_SOCKET"]
LAYOUT = os.path.join(BPFFS, os.environ["LAB_LAYOUT"])
PLUGIN = os.path.join(BIN, "podfence")
VERSIONS = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]


class Wrong(AssertionError):
    pass


def expect(what, measured, expected):
    if measured != expected:
        raise Wrong(f"{what}: measured {measured!r}, expected {expected!r}")


def expect_in(what, part, text):
    if part not in text:
        raise Wrong(f"{what}: no {part!r} in {text!r}")


def sh(*arguments, check=True, **options):
    """The output of a command."""
    done = subprocess.run([str(argument) for argument in arguments], text=True, check=False,
                          capture_output=True, **options)
    if check and done.returncode != 0:
        raise Wrong(f"{' '.join(map(str, arguments))}: {done.returncode} {done.stderr}{done.stdout}")
    return done.stdout


def eventually(what, seconds, condition):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Wrong(f"{what} did not happen in {seconds} s")
        time.sleep(0.02)


# ---- the daemon ----------------------------------------------------------------------------------

def ctl(*arguments):
    return json.loads(sh(os.path.join(BIN, "podfencectl"), "--bpffs", BPFFS, "--socket", SOCKET,
                         *arguments, "-o", "json"))


class Daemon:
    LOG = os.path.join(LAB, "daemon.log")

    def __init__(self):
        self.process = None
        self.attach = "auto"

    def start(self, *options, seal=None):
        """`seal`: of sealed.py."""
        command = [os.path.join(BIN, "podfenced"), "--bpffs", BPFFS, "--socket", SOCKET,
                   "--objects", os.path.join(LAB, "objects"), "--state", os.path.join(LAB, "state"),
                   "--node-name", "lab-node", "--attach", self.attach, *options]
        with open(self.LOG, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, stderr=log,
                                            preexec_fn=seal(command, {}) if seal else None)
        eventually("podfenced answers", 20,
                   lambda: os.path.exists(SOCKET) and ctl("status")["daemon"]["running"])

    def stop(self, number=signal.SIGTERM):
        if not self.process:
            return
        self.process.send_signal(number)
        status = self.process.wait(20)
        self.process = None
        if number == signal.SIGTERM:
            expect("exit status of podfenced after SIGTERM", status, 0)

    def kill(self):
        self.stop(signal.SIGKILL)

    def log_text(self):
        try:
            with open(self.LOG, encoding="utf-8") as log:
                return log.read()
        except FileNotFoundError:
            return ""


DAEMON = Daemon()


# ---- pods ----------------------------------------------------------------------------------------

def new_id():
    return secrets.token_hex(32)


def entry(**settings):
    """podfence's entry as the runtime hands it over, without prevResult."""
    return {"cniVersion": "1.1.0", "name": "net", "type": "podfence", "bpffs": BPFFS,
            "socket": SOCKET, "startMode": "closed", **settings}


def podfence(verb, conf, env, **process):
    """A call whose standard output is one JSON value or nothing, as the contract has it."""
    done = runtime.call(PLUGIN, {"CNI_COMMAND": verb, **env},
                        conf if isinstance(conf, str) else json.dumps(conf), **process)
    if done.stdout.strip() and done.output is None:
        raise Wrong(f"{verb}: standard output is not one JSON value: {done.stdout!r}")
    return done


class Pod:
    """A namespace with a veth pair, as a main plugin would have left it."""
    count = 0

    def __init__(self, name=None, host=None, ifname="eth0", network="net"):
        Pod.count += 1
        self.name = name or f"p{Pod.count}"
        self.host = host or f"veth{Pod.count}"
        self.ifname = ifname
        self.network = network
        self.id = new_id()
        self.address = f"10.99.{Pod.count // 250}.{Pod.count % 250 + 1}"
        self.netns = f"/run/netns/{self.name}"
        if not os.path.exists(self.netns):
            sh("ip", "netns", "add", self.name)
        sh("ip", "link", "add", self.host, "type", "veth", "peer", "name", ifname, "netns",
           self.name)

    def env(self, **more):
        env = {"CNI_CONTAINERID": self.id, "CNI_NETNS": self.netns, "CNI_IFNAME": self.ifname,
               "CNI_PATH": BIN, "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;"
                                            f"K8S_POD_NAME={self.name};K8S_POD_UID=u"}
        env.update(more)
        return {key: value for key, value in env.items() if value is not None}

    def result(self, version="1.1.0"):
        address = {"interface": 1, "address": f"{self.address}/24"}
        if version.startswith("0."):
            address["version"] = "4"
        return {"cniVersion": version, "interfaces": [
            {"name": self.host}, {"name": self.ifname, "sandbox": self.netns}],
            "ips": [address], "dns": {}}

    def entry(self, version="1.1.0", **settings):
        return entry(**{"name": self.network, "cniVersion": version,
                        "prevResult": self.result(version), **settings})

    def call(self, verb, conf=None, env=None, **process):
        return podfence(verb, self.entry() if conf is None else conf,
                        self.env() if env is None else env, **process)

    def good(self, verb, conf=None, env=None, **process):
        done = self.call(verb, conf, env, **process)
        if done.exit != 0:
            raise Wrong(f"{verb} of {self.name}: {done.exit} {done.stdout}{done.stderr}")
        if verb in ("DEL", "CHECK", "GC", "STATUS"):
            expect(f"standard output of {verb}", done.stdout, "")
        return done

    def refused(self, verb, code, text="", conf=None, env=None, **process):
        done = self.call(verb, conf, env, **process)
        expect(f"exit status of {verb}, {text or code}", done.exit, 1)
        expect(f"code of {verb} ({done.stdout.strip()})", done.code, code)
        expect_in(f"message of {verb}", text,
                  f"{done.output['msg']} {done.output.get('details', '')}")
        return done

    def remove(self):
        """The network goes, as when the main plugin is done."""
        sh("ip", "link", "del", self.host, check=False)
        sh("ip", "netns", "del", self.name, check=False)

    def close(self):
        self.good("DEL")
        self.remove()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()


# ---- what must be true ---------------------------------------------------------------------------

def map_entries(name):
    return json.loads(sh("bpftool", "-j", "map", "dump", "pinned",
                         os.path.join(LAYOUT, "maps", name)))


def endpoints():
    """(container ID, interface) of all there are, with what is known of them."""
    return {(item["containerId"], item["interface"]): item for item in ctl("endpoints")["endpoints"]}


def ifindex(host):
    return json.loads(sh("ip", "-j", "link", "show", "dev", host))[0]["ifindex"]


def filters(host):
    """Of anybody: TCX in, TCX out, clsact in, clsact out."""
    tcx = [int(n) for n in sh(os.path.join(TOOLS, "tcxcount"), ifindex(host)).split()]
    return tcx + [sh("tc", "filter", "show", "dev", host, side, check=False).count(" handle ")
                  for side in ("ingress", "egress")]


def expect_nothing_left():
    if os.path.isdir(os.path.join(LAYOUT, "maps")):
        for name in ("endpoints", "endpoint_info", "locals"):
            expect(f"entries left in map {name}", len(map_entries(name)), 0)
        expect("pins left", os.listdir(os.path.join(LAYOUT, "links")), [])
    expect("namespaces left", os.listdir("/run/netns"), ["outside"])
    folder = os.path.join(os.path.dirname(SOCKET), "unenforced")
    expect("records left", os.listdir(folder) if os.path.isdir(folder) else [], [])


def objects(name, text):
    """Put a file into the objects folder as kubelet does: one rename."""
    folder = os.path.join(LAB, "objects")
    path = os.path.join(folder, f"{name}.yaml")
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)
