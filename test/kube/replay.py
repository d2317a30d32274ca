# SPDX-License-Identifier: Apache-2.0
"""Recordings over TLS, by test-apiserver's replay fault, to the whole client (watcher.c): what it tells, keeps and asks
for next. kube.recordings has all of them, without a network."""

import gzip
import json
import os
import re

from apiserver import FIXTURES, ApiServer, expect, finish, fixture, skip
from watcher import PODS, Watcher

STREAM = "^GET /api/v1/pods.*sendInitialEvents"
WATCH = "^GET /api/v1/pods.watch=1.*&resourceVersion="
PAGE = "^GET /api/v1/pods.limit=500$"
FIRST = "^GET /api/v1/pods.limit=500 "  # as the server notes it, with a status
SCALE = 0.02  # of recorded times
NOT_HERE = dict(match=STREAM, times=-1, status=422)  # a server without streaming lists


def objects_of(name):
    """What the recording tells: (told or gone, object)."""
    body = fixture(name, "body")
    if body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    if b'"items":[' in body:
        return [("object", item) for item in json.loads(body)["items"]]
    whole = [line for line in body.splitlines(True) if line.endswith(b"\n")]
    events = [json.loads(line) for line in whole]
    return [("deleted" if event["type"] == "DELETED" else "object", event["object"])
            for event in events if event["type"] in ("ADDED", "MODIFIED", "DELETED")]


class Case:
    """A server of its own, so that nothing is left of another case."""

    def __init__(self, name, *faults):
        self.name, self.faults = name, faults

    def __enter__(self):
        self.server = ApiServer(lists=False)
        for fault in self.faults:
            self.server.fault(**{"scale": SCALE, **fault})
        self.watcher = Watcher(os.path.join(self.server.folder, "kubeconfig"), PODS)
        return self

    def __exit__(self, *error):
        self.watcher.__exit__(*error)
        self.server.__exit__(*error)

    def told(self, *names):
        """All that was told is what these recordings have, in this order."""
        expected = [pair for name in names for pair in objects_of(name)]
        lines = self.watcher.told("object", "deleted")
        told = [(line["what"], line["object"]) for line in lines]
        expect(f"{self.name}: number told", len(told), len(expected))
        expect(f"{self.name}: told", told == expected, True)

    def asks(self, *patterns):
        """In this order, the last one now; a watch that is open is asked for before it is answered."""
        self.server.until(f"{self.name}: {patterns[-1]}", lambda: len(self.requests()) >= len(patterns))
        requests = self.requests()
        for i, pattern in enumerate(patterns):
            if i >= len(requests) or not re.search(pattern, requests[i]):
                expect(f"{self.name}: request {i}", requests[i] if i < len(requests) else None, pattern)

    def requests(self):
        return [line for line in self.server.control("GET", "/requests") if "/api/v1/pods" in line]

    def state(self, seconds=10, **members):
        found = self.watcher.state(f"{self.name}: {members}", seconds, **members)
        return found or dict.fromkeys(("waits", "lists", "watches", "bytes", "ms"), -1)

    def ended(self, count=1):
        expect(f"{self.name}: lists told to their end", len(self.watcher.told("ended")), count)


def listed(**fault):
    """Eight pods as a stream, which ends properly; then a watch from 289, of which this is the answer."""
    return dict(match=STREAM, replay="watchlist-pods"), dict(match=WATCH + "289", **fault)


# ---- ends -------------------------------------------------------------------------------------------------------

def check_proper_end():
    with Case("properly", *listed(replay="watch-pods-events")) as case:
        case.state(version="285", phase="watching", problem="", watches=2)
        case.told("watchlist-pods", "watch-pods-events")
        case.asks(STREAM, WATCH + "289", WATCH + "285")
        case.ended()


def check_sigterm():
    with Case("sigterm", *listed(replay="watch-server-sigterm")) as case:
        case.state(version="528", phase="watching", problem="", watches=2)
        case.told("watchlist-pods", "watch-server-sigterm")
        case.asks(STREAM, WATCH + "289", WATCH + "528")
        case.ended()
    with Case("sigterm, idle", *listed(replay="watch-server-sigterm-idle")) as case:
        # without its 60 s it looks like a server that ends watches at once
        waits = case.state(phase="waiting", problem="the watch ended at once", version="289")["waits"]
        expect(f"sigterm, idle: waits {waits}", 400 <= waits <= 1001, True)
        case.state(phase="watching", version="289", watches=2)
        case.ended()


def check_killed():
    with Case("killed", *listed(replay="watch-server-killed")) as case:
        state = case.state(phase="waiting", version="239", problem="ended in the middle of the answer")
        expect(f"killed: waits {state['waits']}", 400 <= state["waits"] <= 1001, True)
        case.state(phase="watching", version="239", watches=2)
        case.told("watchlist-pods", "watch-server-killed")
        case.asks(STREAM, WATCH + "289", WATCH + "239")
        case.ended()
    for name in ("watchlist-pods", "list-pods"):
        # in the middle of a line of a list: begun again, and not what came taken for all
        whole = fixture(name, "body")
        match = dict(match=STREAM if name == "watchlist-pods" else PAGE)
        first = [] if name == "watchlist-pods" else [NOT_HERE]
        with Case(f"{name} cut", *first, dict(replay=name, cutAfter=len(whole) // 3, **match), dict(replay=name, **match)) as case:
            case.state(phase="waiting", problem="ended in the middle of the answer")
            case.ended(0)
            case.state(phase="watching", listed=True, seconds=15)
            case.ended()
            expect(f"{name} cut: lists begun", len(case.watcher.told("begun")), 2)


# ---- lists ------------------------------------------------------------------------------------------------------

def check_gzip():
    with Case("gzip", NOT_HERE, dict(match=PAGE, replay="list-pods-bulk-gzip")) as case:
        state = case.state(phase="watching", version="381", listed=True, problem="")
        case.told("list-pods-bulk-gzip")
        size = len(fixture("list-pods-bulk-gzip", "body"))
        expect("gzip: bytes as on the wire", size <= state["bytes"] < size + 4096, True)
        case.asks(STREAM, FIRST, WATCH + "381")
        case.ended()
    with Case("gzip, a watch", *listed(replay="watch-gzip")) as case:
        case.state(phase="watching", version="227", problem="", watches=2)
        case.told("watchlist-pods", "watch-gzip")


def check_pages():
    pages = [dict(match="^GET /api/v1/pods.limit=500", replay=f"list-pods-page{i}") for i in range(1, 5)]
    with Case("pages", NOT_HERE, *pages) as case:
        case.state(phase="watching", version="258", listed=True, problem="")
        case.told(*[f"list-pods-page{i}" for i in range(1, 5)])
        case.asks(STREAM, FIRST, "limit=500&continue=", "limit=500&continue=", "limit=500&continue=", WATCH + "258")
        case.ended()
    # another page that is too old: all of it again
    with Case("410-continue", NOT_HERE, dict(match=PAGE, replay="list-pods-page1"),
              dict(match="continue=", replay="410-continue"), dict(match=PAGE, replay="list-pods")) as case:
        case.state(phase="waiting", problem="HTTP 410: The provided continue parameter is too old")
        case.ended(0)
        case.state(phase="watching", version="258", listed=True, problem="")
        case.told("list-pods-page1", "list-pods")
        case.asks(STREAM, FIRST, "continue=.* 410", FIRST, WATCH + "258")
        case.ended()


def check_unstreamable():
    for name in ("watchlist-unsupported", "watchlist-422"):
        with Case(name, dict(match=STREAM, times=-1, replay=name), dict(match=PAGE, replay="list-pods")) as case:
            case.state(phase="watching", version="258", listed=True, problem="")
            case.told("list-pods")
            case.asks(STREAM, FIRST, WATCH + "258")


# ---- errors -----------------------------------------------------------------------------------------------------

def check_too_old():
    with Case("410 of a watch", *listed(replay="410-watch-after-restart"), dict(match=STREAM, replay="watchlist-pods-rv0")) as case:
        case.state(phase="waiting", problem="the watch ended with 410: too old resource version: 515 (529)")
        case.state(phase="watching", version="289", lists=2, problem="")
        case.told("watchlist-pods", "watchlist-pods-rv0")
        case.asks(STREAM, WATCH + "289", STREAM, WATCH + "289")
        case.ended(2)
    with Case("HTTP 410", *listed(replay="410-exact-old")) as case:
        case.state(phase="waiting", problem="HTTP 410: The resourceVersion for the provided list is too old.")
        case.asks(STREAM, WATCH + "289.* 410", STREAM)


def check_overload():
    for name, seconds, match in (("429-overload", 1, STREAM), ("429-apf", 1, WATCH), ("429-apf-watch", 2, WATCH),
                                 ("504-rv-too-large", 1, STREAM)):
        faults = (dict(match=match, replay=name), dict(match=STREAM, replay="watchlist-pods"))
        with Case(name, *faults) as case:
            status = name[:3]
            state = case.state(phase="waiting", problem=f"HTTP {status}: ")
            expect(f"{name}: waits {state['waits']}", seconds * 1000 - 100 <= state["waits"] <= seconds * 1000 + 1, True)
            again = case.state(phase="listing" if match == STREAM else "watching")
            waited = again["ms"] - state["ms"]
            expect(f"{name}: waited {waited}", seconds * 1000 - 100 <= waited <= seconds * 1000 + 900, True)
            case.state(phase="watching", version="289", problem="")
            case.ended()


def check_rights():
    for name, phase, problem in (("403-startup", "refused", "HTTP 403: networkpolicies.networking.k8s.io is forbidden"),
                                 ("401-watch", "refused", "HTTP 401: Unauthorized"),
                                 ("crd-404-watch", "absent", "HTTP 404: 404 page not found")):
        with Case(name, dict(match=STREAM, replay=name), dict(match=STREAM, replay="watchlist-pods")) as case:
            state = case.state(phase=phase, problem=problem, listed=False)
            expect(f"{name}: waits {state['waits']}", 900 <= state["waits"] <= 2001, True)
            expect(f"{name}: told nothing", case.watcher.told("begun", "ended", "object"), [])
            case.state(phase="watching", version="289", problem="", listed=True)
            case.ended()
    # what is told stays told
    with Case("crd-watch-crd-deleted", dict(match=STREAM, replay="crd-watch-crd-deleted"),
              dict(match=WATCH, times=-1, replay="crd-404-after"), dict(match=STREAM, times=-1, replay="crd-404-after")) as case:
        case.state(phase="absent", problem="404 page not found", listed=True, version="305")
        case.told("crd-watch-crd-deleted")
        case.ended()


def check_not_begun():
    """The reason is told: a token file that is not there."""
    server = ApiServer(lists=False)
    path = os.path.join(server.folder, "kubeconfig")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(re.sub(r"token: \S+", "tokenFile: /nonexistent/token", text))
    with server, Watcher(path, PODS) as watcher:
        watcher.state("no token", phase="waiting", problem="the request could not be begun: ")
        expect("its reason", "/nonexistent/token" in watcher.states()["pods"]["problem"], True)


if not os.path.isdir(FIXTURES):
    skip("no ../shared/fixtures/kubernetes")
for check in (check_proper_end, check_sigterm, check_killed, check_gzip, check_pages, check_unstreamable, check_too_old,
              check_overload, check_rights, check_not_begun):
    check()
finish("recordings over TLS")
