# SPDX-License-Identifier: Apache-2.0
"""test-apiserver answers what a real API server answered (../shared/fixtures/kubernetes), and goes wrong as told."""

import gzip
import json
import os
import re
import ssl
import statistics
import time

from apiserver import FIXTURES, TOKEN, ApiServer, expect, finish, fixture, request_of, shape, skip, without

# The same objects are there, so that these are equal to the last member.
EQUAL = """list-pods list-pods-rv0 list-pods-rv0-limit2 list-pods-page1 list-pods-page2 list-pods-page3 list-pods-page4
    list-pods-node-a list-pods-label list-pods-empty list-nodes list-namespaces list-namespaces-meta
    list-namespaces-meta-fallback list-services list-endpointslices list-networkpolicies get-pod get-pod-404
    crd-404-before crd-404-watch crd-404-group 401-bad-token 401-bad-signature 401-watch 403-anonymous 400-bad-rv
    watch-bad-rv 400-bad-selector watchlist-422 406-accept""".split()
# These have other versions in them, or other words.
ALIKE = "version 400-bad-continue 504-rv-too-large list-services-gzip-small".split()
POLICY = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "tmp"},
          "spec": {"podSelector": {}, "egress": [{}], "policyTypes": ["Egress"]}}
POLICIES = "/apis/networking.k8s.io/v1/namespaces/lab/networkpolicies"
GADGETS = "/apis/test.example.org/v1/namespaces/lab/gadgets"
GADGET = {"group": "test.example.org", "version": "v1", "plural": "gadgets", "singular": "gadget", "kind": "Gadget",
          "shortName": "gg", "namespaced": True}


def pod(name, labels, node=None, namespace="shop"):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {"containers": [{"name": "c", "image": "x"}], **({"nodeName": node} if node else {})},
            "status": {"phase": "Running"}}


def types(events):
    return " ".join(event["type"] for event in events)


def shape_of_event(event):
    """Labels and their managers are the user's: they changed between recordings."""
    return event["type"], sorted(shape(without(event, "managedFields", "labels")))


def recorded_events(name):
    return [json.loads(line) for line in fixture(name, "body").splitlines()]


# ---- as recorded ------------------------------------------------------------------------------------------------

def check_recording(server, name, equal):
    method, uri, headers, body = request_of(name)
    answer = server.ask(method, uri, body or None, headers)
    head = fixture(name, "hdr").decode()
    expect(f"{name}: status", answer.status, int(head.split()[1]))
    for field in ("Content-Type", "Retry-After", "Content-Encoding"):
        recorded = re.search(rf"^{field}: (.*?)\r?$", head, re.M)
        expect(f"{name}: {field}", answer.headers[field], recorded and recorded.group(1))
    if equal:  # what is in one piece has a length
        expect(f"{name}: chunked", "Transfer-Encoding" in answer.headers, "Transfer-Encoding" in head)
    recorded = fixture(name, "body")
    if answer.headers["Content-Type"] != "application/json":
        expect(name, answer.body, recorded)
    elif equal:
        expect(name, answer.json(), json.loads(recorded))
        expect(f"{name}: order of members", list(answer.json()), list(json.loads(recorded)))
    else:
        expect(name, sorted(shape(answer.json())), sorted(shape(json.loads(recorded))))


def check_recordings():
    with ApiServer() as server:
        for name in EQUAL:
            check_recording(server, name, True)
        for name in ALIKE:
            check_recording(server, name, False)
        server.control("POST", "/rights", {"refuse": [{"verb": "watch", "group": "", "resource": "configmaps"},
                                                      {"verb": "list", "group": "*", "resource": "networkpolicies"}]})
        check_recording(server, "403-watch", True)
        expect("another verb", server.get("/api/v1/configmaps").status, 200)
        check_recording(server, "403-no-role", False)
        server.control("POST", "/compact", {})
        check_recording(server, "410-exact-old", True)
    print(f"{len(EQUAL) + 2} recordings equal, {len(ALIKE) + 1} alike")


def check_replays():
    """Each recording, by its own request."""
    names = sorted(name[:-4] for name in os.listdir(FIXTURES) if name.endswith(".hdr"))
    with ApiServer("--replay", "version", lists=False) as server:
        expect("--replay", server.get("/version").body, fixture("version", "body"))
        for name in names:
            method, uri, headers, body = request_of(name)
            server.fault(replay=name, scale=0)
            answer = server.ask(method, uri, body or None, headers)
            head = fixture(name, "hdr").decode().split("\r\n")
            expect(f"{name}: status", answer.status, int(head[0].split()[1]))
            for field in head[1:]:
                key, _, value = field.partition(": ")
                if key not in ("", "Date", "Content-Length"):
                    expect(f"{name}: {key}", answer.headers[key] or "", value)
            expect(f"{name}: a length", "Content-Length" in answer.headers, any(line.startswith("Content-Length") for line in head))
            expect(f"{name}: body", answer.body, fixture(name, "body"))
            expect(f"{name}: cut", answer.cut, name == "watch-server-killed")
        server.control("DELETE", "/faults")
        server.fault(replay="watch-pods-events", scale=0.02, match="GET /whatever")
        begin = time.monotonic()
        expect("any request", len(server.get("/whatever").body.splitlines()), 11)
        expect("at its times", 0.15 < time.monotonic() - begin < 2, True)
    print(f"{len(names)} recordings replayed")


# ---- watches ----------------------------------------------------------------------------------------------------

def check_initial_events(server):
    for name in ("watch-pods-norv", "watch-pods-rv0", "watchlist-pods-rv0", "watchlist-empty",
                 "watchlist-namespaces-meta"):
        _, uri, headers, _ = request_of(name)
        watch = server.watch(uri.replace("timeoutSeconds=2", "timeoutSeconds=1"), headers)
        recorded = recorded_events(name)
        measured = watch.events()
        expect(f"{name}: end", watch.cut, False)
        expect(name, [shape_of_event(event) for event in measured], [shape_of_event(event) for event in recorded])


def check_changes(server):
    """What was done while these were recorded."""
    _, uri, headers, _ = request_of("watch-namespaces")
    watch = server.watch(uri.replace("resourceVersion=258", f"resourceVersion={server.state()['resourceVersion']}"),
                         headers)
    begin = time.monotonic()
    server.patch("/api/v1/namespaces/lab", {"metadata": {"labels": {"added": "x"}}})
    server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "tmp"}, "spec": {"finalizers": ["kubernetes"]}})
    server.ask("DELETE", "/api/v1/namespaces/tmp")
    measured, recorded = watch.events(5), recorded_events("watch-namespaces")
    expect("bookmark 2 s before the end", 1.5 < time.monotonic() - begin < 3.8, True)
    expect("watch-namespaces", [shape_of_event(event) for event in measured],
           [shape_of_event(event) for event in recorded])
    expect("end of watch-namespaces", (watch.line(), watch.cut), (b"", False))
    expect("timeoutSeconds=4", 3.5 < time.monotonic() - begin < 10, True)
    watch = server.watch(f"{POLICIES}?watch=1&resourceVersion={server.state()['resourceVersion']}")
    server.ask("POST", POLICIES, POLICY)
    server.patch(f"{POLICIES}/tmp", {"spec": {"policyTypes": ["Ingress", "Egress"]}})
    deleted = server.ask("DELETE", f"{POLICIES}/tmp").json()
    events = watch.events(3)
    expect("networkpolicy", types(events), types(recorded_events("watch-networkpolicies")[:3]))
    expect("its shape", sorted(shape(without(events[0], "managedFields"))),
           sorted(shape(without(recorded_events("watch-networkpolicies")[0], "managedFields"))))
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    expect("versions", versions, list(range(versions[0], versions[0] + 3)))
    expect("generations", [event["object"]["metadata"]["generation"] for event in events], [1, 2, 2])
    expect("DELETE", (deleted["status"], deleted["details"]["name"]), ("Success", "tmp"))
    watch.close()


def check_selectors(server):
    number = server.state()["resourceVersion"]
    by_label = server.watch(f"/api/v1/pods?watch=1&labelSelector=app%3Dweb&resourceVersion={number}")
    by_node = server.watch(f"/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dnode-a&resourceVersion={number}")
    by_namespace = server.watch(f"/api/v1/namespaces/lab/pods?watch=1&resourceVersion={number}")
    for change in (pod("w", {"app": "web"}), pod("w", {"app": "web"}, "node-a"), pod("w", {"app": "other"}, "node-a"),
                   pod("w", {"app": "web", "x": "y"}, "node-a"), pod("elsewhere", {}, None, "lab")):
        server.control("POST", "/objects", change)
    server.ask("DELETE", "/api/v1/namespaces/shop/pods/w")
    events = by_label.events(6)
    expect("by label", types(events), "ADDED MODIFIED DELETED ADDED MODIFIED DELETED")
    expect("the labels before", events[2]["object"]["metadata"]["labels"], {"app": "web"})
    expect("with the new version", events[2]["object"]["metadata"]["resourceVersion"], str(number + 3))
    expect("marked", "deletionTimestamp" in events[4]["object"]["metadata"], True)
    expect("by node", types(by_node.events(5)), "ADDED MODIFIED MODIFIED MODIFIED DELETED")
    expect("by namespace", by_namespace.event()["object"]["metadata"]["name"], "elsewhere")
    for watch in (by_label, by_node, by_namespace):
        watch.close()
    for selector, expected in (("app", 3), ("!app", 0), ("app=web", 2), ("app==web", 2), ("app!=web", 1),
                               ("app in (web,db)", 3), ("app notin (web, db)", 0), ("app in (db),app", 1),
                               ("nope", 0), ("!nope", 3), ("app,", None), ("app in web", None), ("=x", None)):
        answer = server.get("/api/v1/namespaces/shop/pods?fieldSelector=metadata.name!%3Dcache-0&labelSelector=" +
                            selector.replace(" ", "%20").replace("=", "%3D").replace("!", "%21"))
        measured = len(answer.json()["items"]) if answer.status == 200 else None
        expect(f"labelSelector={selector} ({answer.status})", measured, expected)


def check_compaction(server):
    old = server.state()["resourceVersion"]
    first = server.get("/api/v1/pods?limit=3").json()
    server.control("POST", "/objects", pod("between", {}, None, "default"))
    rest = server.get(f"/api/v1/pods?limit=500&continue={first['metadata']['continue']}").json()
    expect("pages are of one moment", (rest["metadata"]["resourceVersion"], "between" in str(rest)), (str(old), False))
    server.ask("DELETE", "/api/v1/namespaces/default/pods/between")
    server.control("POST", "/compact", {})
    server.control("POST", "/objects", pod("later", {}, None, "default"))
    watch = server.watch(f"/api/v1/pods?watch=1&resourceVersion={old}")
    recorded = recorded_events("410-watch-after-restart")
    events = watch.events()
    expect("a watch too old", (watch.status, types(events), events[0]["object"]["code"], watch.cut),
           (200, "ERROR", 410, False))
    expect("its shape", sorted(shape(events)), sorted(shape(recorded)))
    gone = server.get(f"/api/v1/pods?limit=500&continue={first['metadata']['continue']}")
    expect("a continue token too old", (gone.status, sorted(shape(gone.json()))),
           (410, sorted(shape(json.loads(fixture("410-continue", "body"))))))
    expect("its words", gone.json()["message"], json.loads(fixture("410-continue", "body"))["message"])
    rest = server.get(f"/api/v1/pods?limit=500&continue={gone.json()['metadata']['continue']}")
    names, there = ([item["metadata"]["name"] for item in answer.json()["items"]] for answer in (rest, server.get("/api/v1/pods")))
    expect("the rest as it is now", (rest.status, len(names) > 5, names), (200, True, there[-len(names):]))
    expect("the newest is not too old", server.watch(
        f"/api/v1/pods?watch=1&timeoutSeconds=1&resourceVersion={server.state()['resourceVersion']}").events(), [])
    expect("from the future", server.watch("/api/v1/pods?watch=1&timeoutSeconds=1&resourceVersion=99999999").events(), [])


def check_latency(server):
    """From before the change is sent to the event: no polling, or it would be more."""
    watch = server.watch(f"/api/v1/pods?watch=1&resourceVersion={server.state()['resourceVersion']}")
    times = []
    for i in range(200):
        begin = time.monotonic()
        server.control("POST", "/objects", pod("fast", {"round": str(i)}))
        event = watch.event()
        times.append((time.monotonic() - begin) * 1000)
        expect("round", event["object"]["metadata"]["labels"], {"round": str(i)})
    watch.close()
    print(f"change to event: median {statistics.median(times):.2f} ms, largest {max(times):.2f} ms of {len(times)}")
    expect("median below 20 ms", statistics.median(times) < 20, True)


def check_watches():
    with ApiServer() as server:
        begin = time.monotonic()
        quiet = server.watch("/api/v1/namespaces/lab/pods?watch=1&timeoutSeconds=2&resourceVersion=258")
        expect("a quiet watch's header fields come at once", time.monotonic() - begin < 1, True)
        expect("a quiet watch", (quiet.status, quiet.line(), quiet.cut), (200, b"", False))
        for check in (check_initial_events, check_changes, check_selectors, check_compaction, check_latency):
            check(server)
        server.until("watches that were closed are gone", lambda: server.state()["openWatches"] == 0)


# ---- writes -----------------------------------------------------------------------------------------------------

def check_custom_resources():
    with ApiServer("--without", "podfence.io") as server:
        expect("without podfence.io", server.get("/apis/podfence.io/v1alpha1/segmentpolicies").body, b"404 page not found\n")
        server.control("POST", "/resources", {"group": "podfence.io", "plural": "segmentpolicies"})
        expect("installed", server.get("/apis/podfence.io/v1alpha1/segmentpolicies").status, 200)
        server.control("POST", "/resources", GADGET)
        discovery = json.loads(fixture("crd-discovery", "body"))
        expect("crd-discovery", sorted(shape(without(server.get("/apis/test.example.org/v1").json()))),
               sorted(shape(without(discovery, "storageVersionHash"))))
        check_recording(server, "crd-404-other-kind", True)
        check_recording(server, "crd-list-empty", False)
        for name, spec in (("g1", {"cidrs": ["10.0.0.0/8"], "mode": "a", "size": 3}), ("g2", {"mode": "b", "size": 9})):
            made = server.ask("POST", GADGETS, {"apiVersion": "test.example.org/v1", "kind": "Gadget",
                                                "metadata": {"name": name}, "spec": spec})
            expect(f"POST {name}", made.status, 201)
        expect("crd-get", sorted(shape(server.get(f"{GADGETS}/g1").json())),
               sorted(shape(without(json.loads(fixture("crd-get", "body")), "managedFields"))))
        for name in ("crd-status-patch", "crd-status-apply"):
            method, uri, headers, body = request_of(name)
            expect(name, sorted(shape(server.ask(method, uri, body, headers).json())),
                   sorted(shape(without(json.loads(fixture(name, "body")), "managedFields"))))
        for name in ("crd-status-conflict", "crd-status-404"):
            check_recording(server, name, True)
        server.control("POST", "/rights", {"refuse": [{"verb": "patch", "group": "test.example.org", "resource": "gadgets"}]})
        check_recording(server, "crd-spec-403", True)
        patched = server.patch(f"{GADGETS}/g1/status", {"status": {"a": 1}, "spec": {"size": 1}}).json()
        expect("its status may be, and nothing else is", (patched["status"]["a"], patched["spec"]["size"]), (1, 3))
        server.control("POST", "/rights", {"refuse": []})
        check_generation(server)
        watch = server.watch(f"{GADGETS}?watch=1&resourceVersion={server.state()['resourceVersion']}")
        server.control("POST", "/resources", {**GADGET, "installed": False})
        expect("a CRD that is deleted", (types(watch.events()), watch.cut), ("DELETED DELETED", False))
        check_recording(server, "crd-404-after", True)


def check_generation(server):
    number = server.state()["resourceVersion"]
    expect("nothing new", server.patch(f"{GADGETS}/g1", {"spec": {"size": 3}}).status, 200)
    expect("is no version", server.state()["resourceVersion"], number)
    expect("a spec", server.patch(f"{GADGETS}/g1", {"spec": {"size": 4}}).json()["metadata"]["generation"], 2)
    expect("a label", server.patch(f"{GADGETS}/g1", {"metadata": {"labels": {"a": "b"}}}).json()["metadata"]["generation"], 2)
    whole = server.get(f"{GADGETS}/g1").json()
    del whole["status"], whole["spec"]["cidrs"]
    put = server.ask("PUT", f"{GADGETS}/g1", whole).json()
    expect("PUT", (put["metadata"]["generation"], put["spec"], put["status"]["a"]), (3, {"mode": "a", "size": 4}, 1))
    expect("PUT of what has changed", server.ask("PUT", f"{GADGETS}/g1", whole).status, 409)


def check_writes():
    with ApiServer() as server:
        expect("created", server.ask("POST", POLICIES, POLICY).status, 201)
        again = server.ask("POST", POLICIES, POLICY)
        expect("again", (again.status, again.json()["reason"], again.json()["message"]),
               (409, "AlreadyExists", 'networkpolicies.networking.k8s.io "tmp" already exists'))
        nowhere = server.ask("POST", POLICIES.replace("lab", "nowhere"), POLICY)
        expect("in no namespace", (nowhere.status, nowhere.json()["message"]), (404, 'namespaces "nowhere" not found'))
        for body in ("", "{", "[]", "\0", '{"metadata":1}', '{"metadata":{"name":"a/b"}}', "{" * 5000):
            expect(f"POST {body[:20]}", 400 <= server.ask("POST", POLICIES, body).status < 500, True)
        event = {"metadata": {"generateName": "e-"}, "reason": "Refused"}
        names = {server.ask("POST", "/api/v1/namespaces/lab/events", event).json()["metadata"]["name"] for _ in range(3)}
        expect("generateName", len(names), 3)
        server.patch("/api/v1/namespaces/lab/pods/shell", {"spec": {"containers": [{"name": "c", "image": "new"}]}},
                     "application/strategic-merge-patch+json")
        (container,) = server.get("/api/v1/namespaces/lab/pods/shell").json()["spec"]["containers"]
        expect("a list by its keys", (container["image"], container["imagePullPolicy"]), ("new", "IfNotPresent"))
        applied = server.ask("PATCH", f"{POLICIES}/new?fieldManager=x&force=true", json.dumps(POLICY | {"metadata": {"name": "new"}}),
                             {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/apply-patch+yaml"})
        expect("applied", applied.status, 201)
        yaml = "# as people write it\nkind: NetworkPolicy\nspec:\n  policyTypes: [Ingress] # one\n"
        applied = server.patch(f"{POLICIES}/new?force=true", yaml, "application/apply-patch+yaml").json()
        expect("applied in YAML", applied["spec"], POLICY["spec"] | {"policyTypes": ["Ingress"]})
        expect("json patch", server.patch(f"{POLICIES}/tmp", [], "application/json-patch+json").status // 100, 4)
        expect("DELETE of all", server.ask("DELETE", POLICIES).status, 405)
        expect("DELETE of a namespace", server.ask("DELETE", "/api/v1/namespaces/lab").json()["status"]["phase"], "Terminating")
        expect("what was in it", server.get(POLICIES).json()["items"], [])


# ---- faults -----------------------------------------------------------------------------------------------------

def check_answers_that_fail(server):
    server.fault(match="^GET /api/v1/pods", times=2, status=429, retryAfter=1)
    for _ in range(2):
        answer = server.get("/api/v1/pods")
        expect("429", (answer.status, answer.headers["Retry-After"], answer.body), (429, "1", fixture("429-overload", "body")))
    expect("then no more", server.get("/api/v1/pods").status, 200)
    for status in (500, 503, 401, 403, 404, 410):
        server.fault(match="pods", status=status)
        expect(f"status {status}", server.get("/api/v1/pods").status, status)
    server.fault(match="pods", status=200, text="no JSON")
    expect("a text", server.get("/api/v1/pods").body, b"no JSON")
    server.fault(match="pods", reset=True)
    try:
        server.get("/api/v1/pods")
        expect("reset", "an answer", "none")
    except (ConnectionError, ssl.SSLError):
        pass
    for fault in ({"mach": "x"}, {"match": "("}, {"replay": "nope"}, []):
        try:
            server.fault(**fault) if fault else server.control("POST", "/faults", 3)
            expect(f"fault {fault}", "taken", "refused")
        except RuntimeError:
            pass


def check_bodies_that_fail(server):
    whole = server.get("/api/v1/pods").body
    for cut in (0, 1, 100, 5000, len(whole) - 1):
        server.fault(match="pods", cutAfter=cut)
        answer = server.get("/api/v1/pods")
        expect(f"cut after {cut}", (answer.cut, answer.body == whole[:cut]), (True, True))
    server.fault(match="pods", length=100)
    answer = server.get("/api/v1/pods")
    expect("a length too long", (answer.headers["Content-Length"], answer.cut, len(answer.body)),
           (str(len(whole) + 100), True, len(whole)))
    server.fault(match="pods", length=-100)
    answer = server.get("/api/v1/pods")
    expect("a length too short", (answer.headers["Content-Length"], answer.body == whole[:-100]), (str(len(whole) - 100), True))
    server.fault(match="pods", piece=7)
    expect("in pieces", server.get("/api/v1/pods").body == whole, True)
    server.fault(match="pods", delay=300)
    begin = time.monotonic()
    expect("late", (server.get("/api/v1/pods").status, time.monotonic() - begin >= 0.3), (200, True))
    for fault in ({"delay": -1}, {"silent": True}):
        server.fault(match="pods", **fault)
        connection = server.connect()
        connection.timeout = 0.5
        connection.request("GET", "/api/v1/pods", headers={"Authorization": f"Bearer {TOKEN}"})
        try:
            connection.getresponse().read()
            expect(f"{fault}", "an answer", "none")
        except TimeoutError:
            pass
        connection.close()
    server.until("those who wait are gone with their connections", lambda: server.state()["connections"] == 0)


def check_watches_that_fail(server):
    uri = f"/api/v1/pods?watch=1&resourceVersion={server.state()['resourceVersion']}"
    for how, cut, line in (("properly", False, b""), ("cut", True, b""), ("line", True, b"")):
        watches = [server.watch(uri) for _ in range(3)] + [server.watch("/api/v1/nodes?watch=1&resourceVersion=258")]
        expect("ended", server.control("POST", "/watches", {"end": how, "group": "", "plural": "pods"}), {"ended": 3})
        for watch in watches[:3]:
            expect(f"{how}", (watch.line()[-1:] != b"\n", watch.line(), watch.cut), (True, line, cut))
        server.control("POST", "/watches", {"end": "properly"})
        expect("others", (watches[3].line(), watches[3].cut), (b"", False))
    whole = server.watch("/api/v1/pods?watch=1&timeoutSeconds=1").events()
    line = server.watch("/api/v1/pods?watch=1").line()
    for cut in (0, 1, len(line) - 1, len(line), len(line) + 1):
        server.fault(match="watch=1", cutAfter=cut)
        expect(f"cut after {cut} of a line of {len(line)}", server.get("/api/v1/pods?watch=1").body, (line + b"{")[:cut])
    server.fault(match="watch=1", piece=3)
    expect("in pieces", server.watch("/api/v1/pods?watch=1&timeoutSeconds=1").events(), whole)


def check_listener(server):
    watch = server.watch(f"/api/v1/pods?watch=1&resourceVersion={server.state()['resourceVersion']}")
    server.control("POST", "/listener", {"open": False})
    server.until("refused", lambda: not server.accepts())
    server.control("POST", "/objects", pod("meanwhile", {}))
    expect("what is open goes on", watch.event()["object"]["metadata"]["name"], "meanwhile")
    server.control("POST", "/listener", {"open": True})
    expect("again", server.get("/api/v1/pods").status, 200)
    server.control("POST", "/watches", {"end": "properly"})
    expect("its end", (watch.line(), watch.cut), (b"", False))


def check_counters(server):
    server.control("DELETE", "/counters")
    body = server.get("/api/v1/nodes").body
    server.get("/api/v1/nodes")
    watch = server.watch("/api/v1/nodes?watch=1&resourceVersion=0")
    lines = watch.line() + watch.line()
    counters = server.control("GET", "/counters")
    expect("lists", counters["list /api/v1/nodes"], {"requests": 2, "bytes": 2 * len(body), "open": 0, "2xx": 2})
    expect("watches", counters["watch /api/v1/nodes"], {"requests": 1, "bytes": len(lines), "open": 1, "2xx": 1})
    expect("requests", server.control("GET", "/requests")[0], "GET /api/v1/nodes 200")
    watch.close()
    server.until("closed", lambda: server.control("GET", "/counters")["watch /api/v1/nodes"]["open"] == 0)


def check_faults():
    with ApiServer() as server:
        for check in (check_answers_that_fail, check_bodies_that_fail, check_watches_that_fail, check_listener, check_counters):
            check(server)
        server.control("POST", "/tokens", {"accept": ["other"]})
        expect("a token that was taken back", server.get("/api/v1/pods").status, 401)
        expect("the new one", server.ask("GET", "/api/v1/pods", headers={"Authorization": "Bearer other"}).status, 200)


# ---- connections ------------------------------------------------------------------------------------------------

def check_gzip(server):
    server.control("POST", "/objects", {"kind": "PodList", "apiVersion": "v1", "items": [
        pod(f"bulk-{i:03}", {"filler": "x" * 60}, None, "lab") for i in range(800)]})
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "gzip"}
    answer = server.ask("GET", "/api/v1/namespaces/lab/pods", headers=headers)
    expect("compressed", (answer.headers["Content-Encoding"], answer.headers["Vary"]), ("gzip", "Accept-Encoding"))
    expect("what it is", gzip.decompress(answer.body) == server.get("/api/v1/namespaces/lab/pods").body, True)
    watch = server.watch("/api/v1/namespaces/lab/pods?watch=1", headers)
    expect("a watch", (watch.response.headers["Content-Encoding"], types(watch.events(800)).count("ADDED")), (None, 800))
    watch.close()
    names, token = [], ""
    while True:
        page = server.get(f"/api/v1/namespaces/lab/pods?limit=93{token}").json()
        names += [item["metadata"]["name"] for item in page["items"]]
        if "continue" not in page["metadata"]:
            break
        token = "&continue=" + page["metadata"]["continue"]
    expect("pages", names == sorted(set(names)) and len(names) == 802, True)


def check_connections():
    with ApiServer("--listen", "[::1]:0") as server:
        expect("over IPv6", server.get("/healthz").body, b"ok\n")
        by_certificate = ssl.create_default_context(cafile=f"{server.folder}/ca.crt")
        by_certificate.load_cert_chain(f"{server.folder}/client.crt", f"{server.folder}/client.key")
        expect("by certificate", server.ask("GET", "/api/v1/pods", headers={}, tls=by_certificate).status, 200)
        expect("without", server.ask("GET", "/api/v1/pods", headers={}).status, 403)
        with open(f"{server.folder}/serviceaccount/token", encoding="utf-8") as file:
            expect("token of the service account", file.read(), TOKEN)
        check_gzip(server)
        many = [server.watch(f"/api/v1/nodes?watch=1&resourceVersion={server.state()['resourceVersion']}") for _ in range(200)]
        server.patch("/api/v1/nodes/node-a", {"metadata": {"labels": {"x": "y"}}})
        expect("200 watches", {watch.event()["type"] for watch in many}, {"MODIFIED"})
        expect("status of the end", server.stop(), 0)
        expect("their end", {(watch.line(), watch.cut) for watch in many}, {(b"", False)})


if not os.path.isdir(FIXTURES):
    skip("no ../shared/fixtures/kubernetes")
for check_all in (check_recordings, check_replays, check_watches, check_custom_resources, check_writes, check_faults,
                  check_connections):
    check_all()
finish("test-apiserver")
