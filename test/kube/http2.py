# SPDX-License-Identifier: Apache-2.0
"""All kinds over one HTTP/2 connection: test-apiserver, which has HTTP/1.1, behind nghttpx; the proxy dies, the way to it
goes silent."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

from apiserver import ApiServer, expect, finish, skip
from watcher import ALL, Watcher

SILENCE_MS = 3000


class Proxy:
    """HTTP/2 in front of the server, always at the same port."""

    def __init__(self, server):
        self.server, self.port, self.process = server, free_port(), None
        self.log = os.path.join(server.folder, "nghttpx.log")
        self.start()

    def start(self, protocols="h2,http/1.1"):
        files = [os.path.join(self.server.folder, name) for name in ("server.key", "server.crt")]
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            ["nghttpx", "--conf=/dev/null", f"--frontend=127.0.0.1,{self.port}", "--workers=1", "--npn-list=" + protocols,
             f"--backend={self.server.host},{self.server.port};;tls;proto=http/1.1", "--insecure",
             "--backend-read-timeout=600s", "--frontend-http2-read-timeout=600s", "--stream-read-timeout=600s",
             "--accesslog-file=" + self.log, "--accesslog-format=$alpn $request $status", "--errorlog-file=/dev/null", *files],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.server.until("nghttpx listens", self.listens, 10)

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def logged(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read().splitlines()

    def kill(self):
        self.process.kill()
        self.process.wait()


class Way:
    """TCP to the proxy, whose connections can be made to go silent: open, acknowledged, and nothing comes."""

    def __init__(self, port):
        self.to, self.pairs = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            pair = {"silent": False, "near": near, "open": True}
            try:
                pair["far"] = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                near.close()
                continue
            self.pairs.append(pair)
            threading.Thread(target=self.carry, args=(pair, "near", "far"), daemon=True).start()
            threading.Thread(target=self.carry, args=(pair, "far", "near"), daemon=True).start()

    @staticmethod
    def carry(pair, one, other):
        try:
            while data := pair[one].recv(65536):
                if not pair["silent"]:
                    pair[other].sendall(data)
        except OSError:
            pass
        if one == "near":
            pair["open"] = False
        if not pair["silent"]:
            for name in ("near", "far"):
                try:
                    pair[name].shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def silence(self):
        for pair in self.pairs:
            pair["silent"] = True

    def open(self):
        return sum(pair["open"] for pair in self.pairs)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def kubeconfig(server, port):
    """The server's, by another port."""
    with open(os.path.join(server.folder, "kubeconfig"), encoding="utf-8") as file:
        text = re.sub(r"server: \S+", f"server: https://127.0.0.1:{port}", file.read())
    path = os.path.join(server.folder, f"kubeconfig-{port}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def connections_of(watcher, port):
    """As the kernel has them."""
    listed = subprocess.run(["ss", "-tnpH", "state", "established", "dport", f"= :{port}"], capture_output=True, text=True,
                            check=True).stdout
    return sum(f"pid={watcher.process.pid}," in line for line in listed.splitlines())


def all_watch(server, watcher, what, **members):
    server.until(f"{what}: all kinds are watched", lambda: len(watcher.states()) == len(ALL) and all(
        state["phase"] == "watching" and not state["problem"] and all(state[key] == value for key, value in members.items())
        for state in watcher.states().values()) and server.state()["openWatches"] == len(ALL), 40)


def told_of_changes(server, watcher, number):
    """What is changed now is told, of two kinds, once."""
    name = f"change-{number}"
    server.control("POST", "/objects", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    server.control("POST", "/objects", {"apiVersion": "podfence.io/v1alpha1", "kind": "ClusterSegmentPolicy",
                                        "metadata": {"name": name}, "spec": {"mode": "Audit"}})
    def told(kind):
        return sum(line["kind"] == kind and line["object"]["metadata"]["name"] == name for line in watcher.told("object"))
    for kind in ("namespaces", "clustersegmentpolicies"):
        server.until(f"{name}: {kind}", lambda kind=kind: told(kind) > 0, 10)
        expect(f"{name}: {kind} told", told(kind), 1)


def one_connection(server, watcher, port, what):
    expect(f"{what}: connections that the client has", watcher.states()["pods"]["connections"], 1)
    expect(f"{what}: connections that the kernel has", connections_of(watcher, port), 1)
    expect(f"{what}: lists begun and told to their end", (len(watcher.told("begun")), len(watcher.told("ended"))),
           (len(ALL), len(ALL)))
    expect(f"{what}: watches at the server", server.state()["openWatches"], len(ALL))


def check_proxy_dies():
    with ApiServer() as server:
        proxy = Proxy(server)
        with Watcher(kubeconfig(server, proxy.port), *ALL) as watcher:
            all_watch(server, watcher, "first", lists=1)
            one_connection(server, watcher, proxy.port, "first")
            told_of_changes(server, watcher, 0)
            for i in range(1, 4):
                proxy.kill()
                server.until("all wait", lambda: all(state["phase"] == "waiting" for state in watcher.states().values()), 10)
                server.control("POST", "/objects", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"missed-{i}"}})
                proxy.start()
                all_watch(server, watcher, f"killed {i} times", lists=1)
                one_connection(server, watcher, proxy.port, f"killed {i} times")
                expect("what happened meanwhile is told", sum(
                    line["object"]["metadata"]["name"] == f"missed-{i}" for line in watcher.told("object")), 1)
                told_of_changes(server, watcher, i)
        # a stream is noted when it has ended
        server.until("all are in the proxy's log", lambda: len(proxy.logged()) >= len(ALL))
        expect("all by HTTP/2", [line for line in proxy.logged() if not line.startswith("h2 ")], [])
        proxy.kill()


def check_ends_of_streams():
    """One stream ends, however it does: the others stay, and so does the connection."""
    with ApiServer() as server:
        proxy = Proxy(server)
        with Watcher(kubeconfig(server, proxy.port), *ALL) as watcher:
            all_watch(server, watcher, "before", lists=1, watches=0)
            for i, how in enumerate(("properly", "cut", "line"), 1):
                expect(f"{how}: ended", server.control("POST", "/watches", {"end": how, "group": "", "plural": "pods"}), {"ended": 1})
                server.until(f"{how}: watched again", lambda i=i: watcher.states()["pods"]["watches"] >= i, 10)
                all_watch(server, watcher, how, lists=1)
                one_connection(server, watcher, proxy.port, how)
                told_of_changes(server, watcher, i)
            watches = {kind: state["watches"] for kind, state in watcher.states().items() if state["watches"]}
            expect("who watched again", list(watches), ["pods"])
        proxy.kill()


def check_farewell():
    """GOAWAY, as API servers send it to spread their clients: what is open goes on, what is new goes elsewhere."""
    with ApiServer() as server:
        proxy = Proxy(server)
        with Watcher(kubeconfig(server, proxy.port), *ALL) as watcher:
            all_watch(server, watcher, "before", lists=1, watches=0)
            old = proxy.process
            old.send_signal(signal.SIGQUIT)
            server.until("the old one takes no more", lambda: not proxy.listens(), 10)
            proxy.start()
            told_of_changes(server, watcher, 1)
            server.control("POST", "/watches", {"end": "properly"})
            all_watch(server, watcher, "after GOAWAY", lists=1)
            told_of_changes(server, watcher, 2)
            # not one for each exchange that began while the first was closed
            expect("connections after GOAWAY", connections_of(watcher, proxy.port) in (1, 2), True)
            expect("the old proxy is done", old.wait(20), 0)
        proxy.kill()


def check_another_protocol():
    """The proxy comes back without HTTP/2, where each watch needs a connection, and with it."""
    with ApiServer() as server:
        proxy = Proxy(server)
        with Watcher(kubeconfig(server, proxy.port), *ALL) as watcher:
            all_watch(server, watcher, "by HTTP/2", lists=1)
            for i, (protocols, count) in enumerate((("http/1.1", len(ALL)), ("h2", 1)), 1):
                proxy.kill()
                server.until("all wait", lambda: all(state["phase"] == "waiting" for state in watcher.states().values()), 10)
                proxy.start(protocols)
                all_watch(server, watcher, protocols, lists=1)
                server.until(f"{protocols}: {count} connections",
                             lambda count=count: connections_of(watcher, proxy.port) == count)
                told_of_changes(server, watcher, i)
        proxy.kill()


def check_silence():
    """A way that swallows everything, as after a firewall forgot the connection: the kernel notices nothing."""
    with ApiServer() as server:
        proxy = Proxy(server)
        way = Way(proxy.port)
        with Watcher(kubeconfig(server, way.port), *ALL, silence=SILENCE_MS) as watcher:
            all_watch(server, watcher, "before", lists=1)
            one_connection(server, watcher, way.port, "before")
            way.silence()
            begun = time.monotonic()
            server.control("POST", "/objects", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "unheard"}})
            server.until("it is told over another connection", lambda: any(
                line["object"]["metadata"]["name"] == "unheard" for line in watcher.told("object")), 40)
            print(f"a silent connection was left after {time.monotonic() - begun:.1f} s, where a watch may be silent for "
                  f"{SILENCE_MS / 1000:.0f} s")
            server.until("the silent one is closed", lambda: way.open() == 1, 10)
            expect("connections", connections_of(watcher, way.port), 1)
            expect("lists", {state["lists"] for state in watcher.states().values()}, {1})
        proxy.kill()


for program in ("nghttpx", "ss"):
    if not shutil.which(program):
        skip(f"no {program}: run scripts/deps.sh")
for check in (check_proxy_dies, check_ends_of_streams, check_farewell, check_another_protocol, check_silence):
    check()
finish("HTTP/2")
