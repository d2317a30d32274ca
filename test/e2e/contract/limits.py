# SPDX-License-Identifier: Apache-2.0
"""Behaviours 13, 17 and 18, and what a name or a value must never become: CNI_ARGS, time, tight
limits; no program is started, and no secret told (advisories 24 and 14)."""
import contextlib
import json
import os
import random
import resource
import signal
import socket
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor

import runtime
from input import full_pipe
from node import (DAEMON, LAB, PLUGIN, SOCKET, VERSIONS, Pod, Wrong, ctl, endpoints, expect, expect_in,
                  objects, podfence)
from sealed import sealed

PAIRS = ["IgnoreUnknown=1", "K8S_POD_NAMESPACE=shop", "K8S_POD_NAME=web-1", "K8S_POD_UID=u-1",
         "K8S_POD_INFRA_CONTAINER_ID=c"]


def takes_arguments_in_any_order():
    """13: any order, the last of equal keys, unknown and empty ones, UTF-8, 64 KiB; else code 4."""
    def who(pod, args):
        pod.good("ADD", env=pod.env(CNI_ARGS=args))
        listed = endpoints()[(pod.id, "eth0")]
        pod.good("DEL", env=pod.env(CNI_ARGS=args))
        return listed["namespace"], listed["pod"], listed["uid"]

    large = ";".join(f"KEY_{number}={'v' * 50}" for number in range(1200))
    with Pod() as pod:
        for _ in range(10):
            pairs = random.sample(PAIRS, len(PAIRS))
            expect(f"{pairs}", who(pod, ";".join(pairs)), ("shop", "web-1", "u-1"))
        usual = ";".join(PAIRS)
        expect("64 KiB", len(large) > 1 << 16, True)
        for args, expected in {
                f"{usual};K8S_POD_NAME=web-2": ("shop", "web-2", "u-1"),
                f"{large};{usual}": ("shop", "web-1", "u-1"),
                f"{usual};X=;Y=é😀": ("shop", "web-1", "u-1"),
                "K8S_POD_NAME=é😀": ("default", "é😀", ""), "": ("default", "", ""),
                "IgnoreUnknown=true;K8S_POD_NAMESPACE=": ("default", "", ""),
                "IgnoreUnknown=1;K8S_POD_NAME=box": ("default", "box", "")}.items():
            expect(f"who is {args[-40:]}", who(pod, args), expected)
        for args in ("X=y", f"{usual};X", f"{usual};X=y=z", "IgnoreUnknown=0;X=y", "IgnoreUnknown=yes",
                     f"K8S_POD_NAME={'n' * 65536}", f"{usual};", "K8S_POD_NAMESPACE=" + "é" * 40):
            pod.refused("ADD", 4, "ARGS", env=pod.env(CNI_ARGS=args))
            pod.good("DEL", env=pod.env(CNI_ARGS=args))


def has_capability(number):
    with open("/proc/self/status", encoding="utf-8") as status:
        effective = next(line.split()[1] for line in status if line.startswith("CapEff"))
    return bool(int(effective, 16) >> number & 1)


MAY_RAISE_LIMITS = has_capability(24)  # CAP_SYS_RESOURCE, which a runtime's root has


def block_signals():
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))


def tighten():
    """What a runtime of another taste may hand down."""
    os.umask(0o777)
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16 if MAY_RAISE_LIMITS else 1024))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    block_signals()
    gone = tempfile.mkdtemp()
    os.chdir(gone)
    os.rmdir(gone)


def runs_anywhere():
    """18: nothing but CNI_* in the environment, a working directory that has gone, tight limits."""
    with Pod() as pod:
        conf = pod.entry(args={"cni": {"labels": {"app": "x"}}}, startMode="hold")
        listed = {**conf, "cni.dev/valid-attachments": [{"containerID": pod.id, "ifname": "eth0"}]}
        for _ in range(2):
            expect("result", pod.good("ADD", conf, preexec_fn=tighten).output, conf["prevResult"])
            expect("state", endpoints()[(pod.id, "eth0")]["state"], "enforced")
            for verb in ("CHECK", "STATUS", "GC", "DEL"):
                pod.good(verb, listed if verb == "GC" else conf, preexec_fn=tighten)
            done = podfence("VERSION", "", {}, preexec_fn=tighten)
            expect("versions", done.output["supportedVersions"], VERSIONS)
        # nothing is pinned and the pod may start: what is recorded is for root alone
        free = pod.entry(bpffs=os.path.join(LAB, "none"), failurePolicy="open")
        pod.good("ADD", free, preexec_fn=tighten)
        record = os.path.join(os.path.dirname(SOCKET), "unenforced", f"{pod.id}:eth0")
        expect("mode of the record", os.stat(record).st_mode & 0o777, 0o600)
        pod.good("DEL", free, preexec_fn=tighten)
        expect("record", os.path.exists(record), False)


def is_quick():
    """17: each verb below 100 ms where nobody has to be waited for; the median of seven calls is
    judged more kindly, for machines that have other things to do."""
    DAEMON.kill()
    with Pod() as pod:
        pod.good("ADD")
        gc = {**pod.entry(), "cni.dev/valid-attachments": [{"containerID": pod.id, "ifname": "eth0"}]}
        for verb, conf in (("CHECK", None), ("STATUS", None), ("GC", gc), ("VERSION", None),
                           ("DEL", None), ("ADD", None)):
            seconds = []
            for _ in range(7):
                if verb == "ADD":
                    pod.good("DEL")
                seconds.append(pod.good(verb, conf).seconds)
                if verb == "DEL":
                    pod.good("ADD", pod.entry(startMode="hold"))
            if min(seconds) > 0.1 or statistics.median(seconds) > 0.4:
                raise Wrong(f"{verb} took {[f'{1000 * second:.0f} ms' for second in seconds]}")
    DAEMON.start()


@contextlib.contextmanager
def mute_daemon(accepts):
    """Somebody on the daemon's socket who never answers; one who does not accept has a full queue."""
    path = os.path.join(LAB, f"mute-{accepts}.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server, contextlib.ExitStack() as stack:
        server.bind(path)
        server.listen(64 if accepts else 0)
        if not accepts:
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            waiting.connect(path)
        yield path


def gives_up_in_time():
    """17: no verb takes 5 s: with a daemon that never answers, an input that never ends, an output
    that nobody reads, a locked data path. All at the same time, each for a pod of its own."""
    endless, unread = os.pipe(), full_pipe()
    with mute_daemon(True) as mute, mute_daemon(False) as full, contextlib.ExitStack() as stack:
        pods = [stack.enter_context(Pod()) for _ in range(8)]
        held = {"startMode": "hold"}  # 2 s by default
        calls = [
            ("ADD", {"socket": mute, **held}, {}, 0), ("ADD", {"socket": full, **held}, {}, 0),
            ("ADD", {"startMode": "closed"}, {"stdin": endless[0]}, 1),
            ("DEL", {}, {"stdin": endless[0], "preexec_fn": block_signals}, 0),
            ("STATUS", {"socket": mute}, {}, 0), ("DEL", {"socket": full}, {}, 0),
            ("ADD", {"startMode": "closed"}, {"stdout": unread[1]}, 1),
            ("CHECK", {}, {"stdin": endless[0], "stdout": unread[1]}, 1),
        ]
        with ThreadPoolExecutor(len(calls)) as pool:
            running = [pool.submit(pod.call, verb, pod.entry(**settings), **process)
                       for pod, (verb, settings, process, _) in zip(pods, calls)]
        for call, done in zip(calls, (future.result() for future in running)):
            if done.exit != call[3] or done.seconds >= 5:
                raise Wrong(f"{call}: exit {done.exit} after {done.seconds:.1f} s, {done.stdout}")
            if call[2].get("stdin") and call[0] == "ADD":
                expect("code when time is up", done.code, 11)
        pods[0].good("CHECK")
    for fd in (*endless, *unread):
        os.close(fd)


HOSTILE = ["$(touch /run/pwned)", "`touch /run/pwned`", ";touch /run/pwned;", "|touch /run/pwned",
           "\ntouch /run/pwned\n", "../../run/pwned", "%s%n", "-rf", "'\"", "${IFS}", "\x1b]0;x\x07"]


def starts_no_program():
    """Advisory 24: the plugin and the daemon are killed if they start anything, whatever names and
    values say."""
    control = runtime.call("/bin/sh", {}, preexec_fn=sealed(["/bin/sh", "-c", "/bin/true; :"], {}))
    expect("exit of somebody who does", control.exit, -signal.SIGSYS)
    DAEMON.stop()
    DAEMON.start(seal=sealed)
    for number, text in enumerate(HOSTILE):
        objects(f"hostile-{number}", json.dumps({
            "apiVersion": "v1", "kind": "Pod", "metadata": {
                "name": text, "namespace": text, "uid": text, "labels": {"app": text}}}))
    with Pod("a;b", "c$(d)|e`f`") as pod:
        for text in HOSTILE:
            conf = pod.entry(startMode="hold", holdTimeoutMs=50, frobnicate=text, **{text: text},
                             runtimeConfig={"io.kubernetes.cri.pod-annotations": {text: text}},
                             args={"cni": {"x": text}})
            name = text.replace(";", ",")  # which parts the pairs
            args = f"IgnoreUnknown=1;K8S_POD_NAMESPACE={name};K8S_POD_NAME={name};{name}=x"
            for verb in ("ADD", "CHECK", "STATUS", "DEL"):
                env = {**pod.env(CNI_ARGS=args), "CNI_COMMAND": verb}
                pod.good(verb, conf, env, preexec_fn=sealed([PLUGIN], env))
            for variable in ("CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS", "CNI_PATH"):
                for verb in ("ADD", "DEL"):
                    env = {**pod.env(**{variable: text}), "CNI_COMMAND": verb}
                    done = pod.call(verb, conf, env, preexec_fn=sealed([PLUGIN], env))
                    expect(f"{verb} with {variable}={text!r} is not killed", done.exit in (0, 1), True)
                    if "\x1b" in done.stdout + done.stderr:
                        raise Wrong(f"an escape sequence came through: {done.stdout}{done.stderr}")
    expect("what names would have made", os.path.exists("/run/pwned"), False)
    expect("the daemon goes on", ctl("status")["daemon"]["running"], True)
    for number in range(len(HOSTILE)):
        os.unlink(os.path.join(LAB, "objects", f"hostile-{number}.yaml"))
    DAEMON.stop()
    DAEMON.start()


SECRET = "correct-horse-battery-staple"


def told():
    """All that anybody could read, or would send along with a report."""
    yield "the daemon's log", DAEMON.log_text()
    for verb in ("status", "endpoints", "identities", "policies"):
        yield f"podfencectl {verb}", json.dumps(ctl(verb))
    for folder, _, names in os.walk(LAB):
        if "/bpf" in folder or "/objects" in folder:
            continue
        for path in (os.path.join(folder, name) for name in names):
            if os.path.isfile(path):
                with open(path, errors="replace", encoding="utf-8") as file:
                    yield path, file.read()


def tells_no_secrets():
    """Advisory 14: what annotations, Secrets and foreign keys hold is in no log, report or state."""
    applied = json.dumps({"spec": {"containers": [{"env": [{"name": "PASSWORD", "value": SECRET}]}]}})
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied, "token": SECRET}
    objects("secret", f"""
apiVersion: v1
kind: Secret
metadata: {{ name: s, namespace: shop, annotations: {{ token: {SECRET} }} }}
stringData: {{ password: {SECRET} }}
---
apiVersion: v1
kind: Pod
metadata:
  name: keeper
  namespace: shop
  labels: {{ app: keeper }}
  annotations: {json.dumps(annotations)}
spec: {{ containers: [ {{ name: c, env: [ {{ name: PASSWORD, value: {SECRET} }} ] }} ] }}
---
apiVersion: v1
kind: Pod
metadata: {{ name: broken, namespace: shop, labels: [], annotations: {json.dumps(annotations)} }}
""")
    capability = "io.kubernetes.cri.pod-annotations"
    with Pod("keeper") as pod:
        confs = [pod.entry(logLevel="debug", startMode="hold", holdTimeoutMs=2000, unknown=SECRET,
                           runtimeConfig=config, args={"cni": {"token": SECRET}, "token": SECRET})
                 for config in ({capability: annotations}, {capability: SECRET}, {"x": [SECRET]})]
        confs += [pod.entry(runtimeConfig=[annotations]), pod.entry(runtimeConfig=SECRET),
                  pod.entry(args=[SECRET]), pod.entry(capabilities=SECRET),
                  json.dumps(pod.entry(runtimeConfig=annotations))[:-9]]
        for conf in confs:
            for verb in ("ADD", "CHECK", "STATUS", "DEL"):
                done = pod.call(verb, conf)
                expect_in(f"{verb} ends well", str(done.exit), "01")
                if SECRET in done.stderr + done.stdout:
                    raise Wrong(f"{verb} tells it: {done.stdout}{done.stderr}")
        pod.good("ADD", confs[0])
        free = pod.entry(bpffs=os.path.join(LAB, "none"), failurePolicy="open",
                         runtimeConfig={capability: annotations})
        pod.good("ADD", free)
        expect("state", endpoints()[(pod.id, "eth0")]["state"], "enforced")
        for where, text in told():
            if SECRET in text:
                raise Wrong(f"{where} holds it: …{text[max(0, text.index(SECRET) - 200):][:300]}…")
        pod.good("DEL", free)
    os.unlink(os.path.join(LAB, "objects", "secret.yaml"))


TESTS = [takes_arguments_in_any_order, runs_anywhere, is_quick, gives_up_in_time, starts_no_program,
         tells_no_secrets]
