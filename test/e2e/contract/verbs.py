# SPDX-License-Identifier: Apache-2.0
"""Behaviours 8 to 12, 15 and 16: DEL, CHECK, GC and STATUS on a node that is not as it should be,
and whose state is whose."""
import fcntl
import os

from node import (BPFFS, DAEMON, LAB, LAYOUT, SOCKET, Pod, Wrong, endpoints, entry, eventually,
                  expect, filters, ifindex, new_id, podfence, sh)

MAPS = os.path.join(LAYOUT, "maps")


class Mess:
    """Something of the node's state that is not as it should be, for a while."""

    def __init__(self, make, mend):
        self.make, self.mend = make, mend

    def __enter__(self):
        return self.make()

    def __exit__(self, *_):
        self.mend()


def moved(path):
    return Mess(lambda: os.rename(path, path + "-moved"), lambda: os.rename(path + "-moved", path))


def another_map_in_place_of(name, other):
    path, aside = os.path.join(MAPS, name), os.path.join(MAPS, name + "-moved")

    def make():
        sh("bpftool", "map", "pin", "pinned", os.path.join(MAPS, other), path + "-other")
        os.rename(path, aside)
        os.rename(path + "-other", path)

    def mend():
        os.unlink(path)
        os.rename(aside, path)
    return Mess(make, mend)


def read_only():
    mount = os.path.join(LAB, "bpf")
    return Mess(lambda: sh("mount", "-o", "remount,ro", mount),
                lambda: sh("mount", "-o", "remount,rw", mount))


def locked():
    fd = os.open(LAYOUT, os.O_RDONLY)
    return Mess(lambda: fcntl.flock(fd, fcntl.LOCK_EX), lambda: os.close(fd))


def record_is_a_folder(pod):
    path = os.path.join(os.path.dirname(SOCKET), "unenforced", f"{pod.id}:{pod.ifname}")
    return Mess(lambda: os.makedirs(path, mode=0o700), lambda: os.rmdir(path))


def del_never_fails():
    """8: DEL answers 0 and nothing whatever the node is like, and later clears up what it had to leave."""
    DAEMON.kill()
    with Pod() as pod:
        pod.good("DEL")  # before ADD
        messes = {
            "lock": locked(), "bpffs moved": moved(BPFFS), "map moved": moved(f"{MAPS}/endpoint_info"),
            "program moved": moved(f"{LAYOUT}/progs/from_pod"),
            "another map": another_map_in_place_of("endpoints", "endpoint_info"),
            "another info map": another_map_in_place_of("endpoint_info", "settings"),
            "another settings map": another_map_in_place_of("settings", "endpoint_info"),
            "read-only": read_only(),
            "corrupt record": record_is_a_folder(pod),
        }
        for what, mess in messes.items():
            pod.good("ADD")
            with mess:
                done = pod.good("DEL")
            if what != "bpffs moved" and "could not remove" not in done.stderr and is_there(pod):
                raise Wrong(f"{what}: DEL left the endpoint without a word: {done.stderr!r}")
            pod.good("DEL")
            expect(f"endpoints after {what}", endpoints(), {})
            expect(f"filters after {what}", filters(pod.host), [0, 0, 0, 0])
        for conf in ("", "{", pod.entry(prevResult=None), pod.entry(prevResult={"ips": 5}),
                     pod.entry(startMode=7), pod.entry(cniVersion="0.2.0"), pod.entry(name="")):
            pod.good("ADD")
            pod.good("DEL", conf)
            pod.good("DEL")
        for env in (pod.env(CNI_NETNS=""), pod.env(CNI_NETNS="/run/netns/none"), pod.env(CNI_NETNS=None),
                    pod.env(CNI_ARGS="x"), pod.env(CNI_PATH=None)):
            pod.good("ADD")
            pod.good("DEL", env=env)
            expect("endpoints", endpoints(), {})
            pod.good("DEL", env=env)
    DAEMON.start()


def is_there(pod):
    return (pod.id, pod.ifname) in endpoints()


def del_when_the_network_has_gone():
    """8: neither the namespace nor the link is there any more."""
    DAEMON.kill()
    pod = Pod()
    pod.good("ADD")
    pod.remove()
    pod.good("DEL")
    expect("endpoints", endpoints(), {})
    DAEMON.start()


def check_sees(pod, what):
    done = pod.refused("CHECK", 100)
    if done.seconds > 1:
        raise Wrong(f"CHECK took {done.seconds:.1f} s, {what}")
    pod.good("ADD")  # the same pod: puts it right
    pod.good("CHECK")


def check_finds_what_is_wrong():
    """10: right after ADD all is well, without a daemon; what is missing or not ours is found."""
    DAEMON.kill()
    with Pod() as pod:
        pod.good("ADD")
        expect("seconds of CHECK", pod.good("CHECK").seconds < 1, True)
        index = ifindex(pod.host)
        key = ["key", index & 255, index >> 8 & 255, 0, 0]
        if DAEMON.attach == "tcx":
            for side in ("from_pod", "to_pod"):
                os.unlink(f"{LAYOUT}/links/{index}-{side}")
                check_sees(pod, f"without the link {side}")
        else:
            clsact_damage(pod)
        for name in ("endpoints", "endpoint_info"):
            sh("bpftool", "map", "delete", "pinned", f"{MAPS}/{name}", *key)
            check_sees(pod, f"without its entry in {name}")
        pod.refused("CHECK", 100, "10.1.2.3", pod.entry(prevResult={"ips": [{"address": "10.1.2.3/8"}]}))
        sh("ip", "link", "del", pod.host)
        sh("ip", "link", "add", pod.host, "type", "veth", "peer", "name", "eth0", "netns", pod.name)
        check_sees(pod, "on a new link of the same name")
    DAEMON.start()


def clsact_damage(pod):
    for side, other in (("ingress", "to_pod"), ("egress", "from_pod")):
        listed = sh("tc", "filter", "show", "dev", pod.host, side).split()
        handle = listed[listed.index("handle") + 1]
        ours = ["dev", pod.host, side, "prio", "1", "handle", handle, "bpf"]
        other = ["da", "object-pinned", f"{LAYOUT}/progs/{other}"]
        sh("tc", "filter", "del", *ours)
        check_sees(pod, f"without the filter at {side}")
        sh("tc", "filter", "replace", *ours, *other)
        check_sees(pod, f"another program under our handle at {side}")
        sh("tc", "filter", "add", "dev", pod.host, side, "prio", "1", "handle", "0x99", "bpf", *other)
        check_sees(pod, f"a program ahead of ours at {side}")
        sh("tc", "filter", "del", "dev", pod.host, side, "prio", "1", "handle", "0x99", "bpf")


def status_says_whether_an_add_would_work():
    """12: 0 with a daemon and without one, 51 when what is pinned is damaged, 50 when nothing is."""
    with Pod() as pod:
        pod.good("STATUS")
        pod.good("ADD")
        DAEMON.kill()
        done = pod.good("STATUS")
        expect("warning about the daemon", "podfenced is not there" in done.stderr, True)
        with moved(f"{MAPS}/policies"):
            pod.refused("STATUS", 51, "damaged")
        with moved(BPFFS):
            pod.refused("STATUS", 50)
            pod.good("STATUS", pod.entry(failurePolicy="open"))
        pod.good("STATUS")
    DAEMON.start()


def gc_removes_what_is_not_listed():
    """11: either key, both, none; only this network's; an absent list is not an empty one."""
    def gc(network, **lists):
        listed = {f"cni.dev/{key.replace('_', '-')}":
                  [{"containerID": pod.id, "ifname": pod.ifname} for pod in pods]
                  if pods is not None else None for key, pods in lists.items()}
        done = podfence("GC", entry(name=network, **listed), {"CNI_PATH": "/"})
        expect(f"GC of {network}: {done.stdout}{done.stderr}", done.exit, 0)
        expect("output of GC", done.stdout, "")
        return {pod_id for pod_id, _ in endpoints()}

    with Pod() as one, Pod() as two, Pod(network="other") as third:
        pods = [one, two, third]

        def all_there():
            for pod in pods:
                pod.good("ADD")
            return {pod.id for pod in pods}
        everybody = all_there()
        expect("without a list", gc("net"), everybody)
        expect("all valid", gc("net", valid_attachments=[one, two]), everybody)
        expect("a network of nobody", gc("nobody", valid_attachments=[], attachments=[]), everybody)
        for keys in (["valid_attachments"], ["attachments"], ["valid_attachments", "attachments"]):
            expect(f"one is valid, by {keys}", gc("net", **{key: [one] for key in keys}),
                   {one.id, third.id})
            all_there()
            for none in ([], None):  # as libcni says it: a nil slice of Go is null
                expect(f"none is valid, by {keys}: {none}", gc("net", **{key: none for key in keys}), {third.id})
                all_there()
        two.good("CHECK")


def a_late_del_leaves_the_new_pod_alone():
    """15: same pod name, same name of the host's link, a new container and ifindex."""
    old = Pod("sts-0", "cali0123456789a")
    old.good("ADD")
    first = ifindex(old.host)
    old.remove()
    with Pod("sts-0", "cali0123456789a") as new:
        new.good("ADD")
        expect("a new index", ifindex(new.host) != first, True)
        before = filters(new.host)
        for env in (old.env(CNI_NETNS=""), old.env(), old.env(CNI_NETNS=None)):
            new.good("DEL", old.entry(), env)
            new.good("CHECK")
            expect("filters", filters(new.host), before)
            expect("endpoints", set(endpoints()), {(new.id, "eth0")})
    # the DEL of the old one never came, and its link lives on under another name
    with Pod("sts-1", "caliold") as left:
        left.good("ADD")
        sh("ip", "netns", "add", "sts-2")
        new = Pod("sts-2", "calinew")
        new.good("ADD")
        left.good("DEL", env=left.env(CNI_NETNS=""))
        new.good("CHECK")
        expect("filters of the old one", filters(left.host), [0, 0, 0, 0])
        new.close()


def two_attachments_are_two_endpoints():
    """16: eth0 of one network and net1 of another, in one container."""
    with Pod(network="net") as first:
        second = Pod(first.name, ifname="net1", network="second")
        second.id = first.id
        for pod in (first, second, first):
            pod.good("ADD")
        expect("endpoints", set(endpoints()), {(first.id, "eth0"), (first.id, "net1")})
        listed = {item["network"]: item["addresses"] for item in endpoints().values()}
        expect("networks", listed, {"net": [first.address], "second": [second.address]})
        done = podfence("GC", entry(name="second", **{"cni.dev/valid-attachments": []}), {"CNI_PATH": "/"})
        expect("GC", done.exit, 0)
        first.good("CHECK")
        second.refused("CHECK", 100)
        second.good("ADD")
        first.good("DEL")
        second.good("CHECK")
        first.refused("CHECK", 100)
        second.good("DEL")
        sh("ip", "link", "del", second.host)


def what_vanishes_is_let_go():
    """15: a pod that is gone without DEL is no hindrance, and its late DEL none to anybody."""
    pod = Pod()
    pod.good("ADD")
    pod.remove()
    eventually("the daemon notices", 15, lambda: not endpoints())
    pod.good("DEL", env=pod.env(CNI_NETNS=""))
    pod.good("DEL", env=pod.env(CNI_CONTAINERID=new_id()))


TESTS = [del_never_fails, del_when_the_network_has_gone, check_finds_what_is_wrong,
         status_says_whether_an_add_would_work, gc_removes_what_is_not_listed,
         a_late_del_leaves_the_new_pod_alone, two_attachments_are_two_endpoints, what_vanishes_is_let_go]
