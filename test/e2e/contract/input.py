# SPDX-License-Identifier: Apache-2.0
"""Behaviours 1 to 5: what goes in and what comes out."""
import json
import os
import resource

from node import LAB, VERSIONS, Pod, expect, expect_in, podfence

# More than cJSON could print back: numbers beyond 2^53, keys of nobody, everything that a version
# of the specification has named.
FULL = r"""{"cniVersion":"@VERSION@","kubernetes":{"a":[1,2,{"b":null}]},
"interfaces":[{"name":"@HOST@","mac":"00:11:22:33:44:55","mtu":1450},
 {"name":"eth0","mac":"00:11:22:33:44:66","mtu":1450,"sandbox":"@NETNS@","socketPath":"/run/x.sock",
  "pciID":"0000:00:1f.6","x":-9007199254740993},
 {"name":"ifb0","mtu":9223372036854775807}],
"ips":[{"version":"4","interface":1,"address":"10.99.9.9/24","gateway":"10.99.9.1"},
 {"version":"6","interface":1,"address":"fd00::9/64"}],
"routes":[{"dst":"0.0.0.0/0","gw":"10.99.9.1","mtu":1400,"advmss":1360,"priority":100,"table":254,
 "scope":0}],
"dns":{"nameservers":["10.96.0.10"],"domain":"cluster.local","search":["svc.cluster.local"],
 "options":["ndots:5"]},
"big":18446744073709551617,"precise":0.1000000000000000055511151231257827,"exp":1E400,
"text":"\u00e9 é \ud83d\ude00 😀 \" \\ \/ \b\u007f","":"empty key","empty":{},"list":[]}"""


def exact(text):
    """JSON with numbers as they are written."""
    return json.loads(text, parse_float=lambda number: f"float {number}",
                      parse_int=lambda number: f"int {number}")


def raw_entry(pod, result, version):
    conf = json.dumps(pod.entry(version, prevResult="@RESULT@"))
    return conf.replace('"@RESULT@"', result)


def full_result(pod, version):
    return (FULL.replace("@VERSION@", version).replace("@HOST@", pod.host)
            .replace("@NETNS@", pod.netns))


def echoes_everything():
    """1 and 2: whatever prevResult holds comes out again, in the configuration's version."""
    with Pod() as pod:
        for version in VERSIONS:
            for before in (version, "0.4.0", None):
                result = full_result(pod, before or "x")
                if before is None:
                    result = result.replace('"cniVersion":"x",', "")
                done = pod.good("ADD", raw_entry(pod, result, version))
                expected = exact(full_result(pod, version))
                expect(f"result of version {version} after {before}", exact(done.stdout), expected)
                if version >= "0.4":
                    pod.good("CHECK", raw_entry(pod, result, version))
                pod.good("DEL", raw_entry(pod, result, version))
        for version in ("0.1.0", "0.2.0", "1.2.0", "1.1", "garbage", ""):
            pod.refused("ADD", 1, "incompatible CNI versions", pod.entry(version))


def answers_version_to_anybody():
    """3: VERSION needs no input and no other variable."""
    dummies = {name: "dummy" for name in
               ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH", "CNI_ARGS")}
    for env in ({}, dummies):
        for how in ({"conf": ""}, {"conf": "{"}, {"conf": '{"cniVersion":"9.9.9"}'},
                    {"conf": "", "preexec_fn": lambda: os.close(0)}):
            done = podfence("VERSION", env=env, **how)
            expect("exit status of VERSION", done.exit, 0)
            expect("supported versions", done.output["supportedVersions"], VERSIONS)
            expect("its own", done.output["cniVersion"], VERSIONS[-1])
            expect("standard error", done.stderr, "")


def names_what_is_missing():
    """4: every required variable alone, and all together."""
    needs = {"ADD": ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
             "CHECK": ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
             "GC": ["CNI_PATH"], "STATUS": ["CNI_PATH"]}
    with Pod() as pod:
        for verb, names in needs.items():
            for name in names:
                for value in (None, ""):
                    pod.refused(verb, 4, f"required env variables [{name}] missing",
                                env=pod.env(**{name: value}))
            pod.refused(verb, 4, f"required env variables [{','.join(names)}] missing", env={})
        for name in ("CNI_CONTAINERID", "CNI_IFNAME"):
            pod.good("DEL", env=pod.env(**{name: None}))
        for bad in ("-x", "a/b", "../x", "a b", "é", "x" * 4096):
            pod.refused("ADD", 4, "", env=pod.env(CNI_CONTAINERID=bad))
            pod.good("DEL", env=pod.env(CNI_CONTAINERID=bad))
        for bad in (".", "..", "a/b", "a:b", "a b", "x" * 16):
            pod.refused("ADD", 4, "nterface name", env=pod.env(CNI_IFNAME=bad))
            pod.good("DEL", env=pod.env(CNI_IFNAME=bad))
        pod.refused("FROBNICATE", 4, "unknown CNI_COMMAND: FROBNICATE")


def names_wrong_values():
    """4: each known key with values of every other type, and each of them twice."""
    good = {"startMode": "closed", "startModes": {}, "holdTimeoutMs": 1, "failurePolicy": "closed",
            "exemptNamespaces": [], "bpffs": "/x", "socket": "/x/s", "logLevel": "info",
            "type": "podfence", "args": {}, "capabilities": {}, "runtimeConfig": {}, "name": "net",
            "cniVersion": "1.1.0", "prevResult": {}}
    null_is_absent = ("args", "capabilities", "runtimeConfig")
    with Pod() as pod:
        for key, right in good.items():
            for value in (None, True, -7, "no such value", [1], {"a": 1}):
                if value is None and key in null_is_absent:
                    continue
                if isinstance(value, type(right)) and isinstance(right, dict) and key != "startModes":
                    continue
                expected = 1 if key == "cniVersion" and value in (None, "no such value") else 7
                if key == "type" and isinstance(value, str):
                    continue
                done = pod.call("ADD", pod.entry(**{key: value}))
                expect(f'code for "{key}": {value!r} ({done.stdout.strip()})', done.code, expected)
                if expected == 7 and not (value is None and key in ("name", "prevResult")):
                    expect_in("message", key if key != "name" else "name", done.output["msg"])
                pod.good("DEL", pod.entry(**{key: value}))
            once = json.dumps({k: v for k, v in pod.entry().items() if k != key})[:-1]
            twice = f'{once}, "{key}": {json.dumps(right)}, "{key}": {json.dumps(right)}}}'
            pod.refused("ADD", 7, f'"{key}" is given twice', twice)
            pod.good("DEL", twice)


def bears_strange_text():
    """4: NUL in every string of ours, deep nesting, duplicate keys of others, unknown keys."""
    with Pod() as pod:
        for key in ("startMode", "failurePolicy", "bpffs", "socket", "logLevel", "type", "name",
                    "cniVersion"):
            pod.refused("ADD", 7, "NUL", pod.entry(**{key: f"{pod.entry().get(key, 'x')}\0x"}))
        for depth, refused in ((900, False), (1100, True), (200000, True)):
            for key in ("runtimeConfig", "x"):
                nested = f'{{"a":{"[" * depth}{"]" * depth}}}'
                conf = json.dumps(pod.entry(**{key: "@"})).replace('"@"', nested)
                if refused:
                    pod.refused("ADD", 6, "", conf)
                else:
                    pod.good("ADD", conf)
                pod.good("DEL", conf)
        conf = json.dumps(pod.entry(prevResult="@")).replace('"@"', '{"dns":{},"dns":1,"x":"\\u0000"}')
        expect_in("result", '{"dns":{},"dns":1,"x":"\\u0000"', pod.good("ADD", conf).stdout
                  .replace('"cniVersion":"1.1.0",', ""))
        done = pod.good("ADD", pod.entry(startmode="hold", **{"cni.dev/x": 1, "\x1b[31m": 2}))
        expect_in("warning", 'unknown key "startmode"', done.stderr)
        expect_in("warning", "\\x1b", done.stderr)
        expect("escape sequences", "\x1b" in done.stderr, False)


def bears_large_input():
    """4: 1 MiB is fine, 100 MiB is refused without taking it into memory."""
    path = os.path.join(LAB, "large")
    with open(path, "wb") as file:
        file.write(b'{"x":"')
        file.truncate(100 << 20)

    def little_memory():
        resource.setrlimit(resource.RLIMIT_AS, (64 << 20, 64 << 20))

    with Pod() as pod:
        pod.good("ADD", pod.entry(args={"x": "y" * (1 << 20)}))
        for verb in ("ADD", "DEL"):
            with open(path, "rb") as large:
                done = pod.call(verb, stdin=large, preexec_fn=little_memory)
            expect(f"code of {verb}", (done.exit, done.code), (1, 5) if verb == "ADD" else (0, None))
    os.unlink(path)


def full_pipe():
    """The write end of a pipe that takes nothing more, blocking again."""
    ends = os.pipe()
    os.set_blocking(ends[1], False)
    try:
        while True:
            os.write(ends[1], b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(ends[1], True)
    return ends


def keeps_its_streams_apart():
    """5: a log that is closed, stuck, full or broken harms no verb; output is one value or none."""
    stuck, broken = full_pipe(), os.pipe()
    os.close(broken[0])
    with open("/dev/full", "w", encoding="utf-8") as full, Pod() as pod:
        logs = {"closed": {"preexec_fn": lambda: os.close(2), "stderr": None},
                "stuck": {"stderr": stuck[1]}, "broken": {"stderr": broken[1]},
                "full": {"stderr": full}}
        conf = pod.entry(logLevel="debug", frobnicate=1)
        gc = {**conf, "cni.dev/valid-attachments": [{"containerID": pod.id, "ifname": "eth0"}]}
        for how in logs.values():
            for verb in ("ADD", "CHECK", "GC", "STATUS", "DEL"):
                done = pod.good(verb, gc if verb == "GC" else conf, **how)
                if verb == "ADD":
                    expect("result", done.output, conf["prevResult"])
        # an answer that nobody can read is a failure, no signal, and DEL then clears up
        for stream in (broken[1], full):
            expect("ADD whose answer is lost", pod.call("ADD", conf, stdout=stream).exit, 1)
            pod.good("DEL", conf)
        for fd in (*stuck, broken[1]):
            os.close(fd)


TESTS = [echoes_everything, answers_version_to_anybody, names_what_is_missing, names_wrong_values,
         bears_strange_text, bears_large_input, keeps_its_streams_apart]
