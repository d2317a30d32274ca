# SPDX-License-Identifier: Apache-2.0
"""test-apiserver (server/README.md) as tests use it: started, asked, told what to do wrong."""

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("FENCE_BUILD", os.path.join(ROOT, "build"))
FIXTURES = os.path.join(ROOT, "../shared/fixtures/kubernetes")
LISTS = ["namespaces", "pods", "nodes", "services", "endpointslices", "networkpolicies"]
TOKEN = "test-token"
failures = []


def expect(what, measured, expected):
    if measured != expected:
        failures.append(f"{what}: measured {str(measured)[:600]}, expected {str(expected)[:600]}")


def skip(why):
    """What is missing is a failure in CI."""
    print(f"skipped: {why}", file=sys.stderr)
    sys.exit(1 if os.environ.get("CI") == "true" else 77)


def finish(what):
    for failure in failures[:30]:
        print("FAIL", failure)
    print(f"{what}: {len(failures)} failures")
    sys.exit(1 if failures else 0)


def fixture(name, suffix):
    with open(os.path.join(FIXTURES, f"{name}.{suffix}"), "rb") as file:
        return file.read()


def request_of(name):
    """Method, URI, header fields and body of a recording's request, with our token."""
    head, _, body = fixture(name, "req").decode().replace("\r\n", "\n").partition("\n\n")
    line, *fields = head.splitlines()
    method, uri, _ = line.split(" ")
    fields = dict(field.split(": ", 1) for field in fields)
    fields = {key: re.sub("<TOKEN(-OF-nobody)?>", TOKEN, value) for key, value in fields.items()
              if key not in ("Host", "User-Agent", "Content-Length")}
    return method, uri, fields, body


class Answer:
    def __init__(self, status, headers, body, cut=False):
        self.status, self.headers, self.body, self.cut = status, headers, body, cut

    def json(self):
        return json.loads(self.body)


class Watch:
    """An open watch: lines as they come."""

    def __init__(self, connection, response):
        self.connection, self.response, self.status = connection, response, response.status
        self.cut, self.rest = False, b""

    def line(self):
        """What there is of one at the end; then b"". Not by readline, which takes a cut stream for a whole one."""
        while b"\n" not in self.rest:
            try:
                piece = self.response.read1(65536)
            except (http.client.IncompleteRead, ConnectionError, ssl.SSLError):
                self.cut, piece = True, b""
            if not piece:
                line, self.rest = self.rest, b""
                return line
            self.rest += piece
        line, _, self.rest = self.rest.partition(b"\n")
        return line + b"\n"

    def event(self):
        line = self.line()
        return json.loads(line) if line.endswith(b"\n") else None

    def events(self, count=None):
        """So many, or all until the end."""
        found = []
        while count is None or len(found) < count:
            event = self.event()
            if event is None:
                break
            found.append(event)
        return found

    def close(self):
        self.response.close()
        self.connection.close()


class ApiServer(contextlib.AbstractContextManager):
    def __init__(self, *options, lists=True):
        self.folder = tempfile.mkdtemp(prefix="test-apiserver.")
        arguments = [os.path.join(BUILD, "test/test-apiserver"), "--folder", self.folder, "--fixtures", FIXTURES]
        for name in LISTS if lists else []:
            arguments += ["--objects", os.path.join(FIXTURES, f"list-{name}.body")]
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen([*arguments, *options], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline().split()
        if len(line) != 2:
            raise RuntimeError(f"test-apiserver {' '.join(options)}: status {self.process.wait()}")
        self.url, self.control_url = line
        host, _, port = self.url.removeprefix("https://").rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)
        self.control_port = int(self.control_url.rpartition(":")[2])
        self.tls = ssl.create_default_context(cafile=os.path.join(self.folder, "ca.crt"))

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder)

    def stop(self):
        self.process.terminate()
        return self.process.wait(20)

    def connect(self, tls=None):
        return http.client.HTTPSConnection(self.host, self.port, context=tls or self.tls, timeout=30)

    def ask(self, method, uri, body=None, headers=None, tls=None):
        """With our token unless `headers` are all that is sent. `cut`: the answer did not come whole."""
        connection = self.connect(tls)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        try:
            connection.request(method, uri, body, {"Authorization": f"Bearer {TOKEN}"} if headers is None else headers)
            response = connection.getresponse()
            try:
                return Answer(response.status, response.headers, response.read())
            except http.client.IncompleteRead as end:
                return Answer(response.status, response.headers, end.partial, True)
        finally:
            connection.close()

    def get(self, uri):
        return self.ask("GET", uri)

    def patch(self, uri, body, kind="application/merge-patch+json"):
        return self.ask("PATCH", uri, body, {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind})

    def watch(self, uri, headers=None):
        connection = self.connect()
        connection.request("GET", uri, None, {"Authorization": f"Bearer {TOKEN}", **(headers or {})})
        return Watch(connection, connection.getresponse())

    def control(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=30)
        connection.request(method, path, json.dumps(body) if body is not None else None)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {text.decode()}")
        return json.loads(text)

    def state(self):
        return self.control("GET", "/state")

    def fault(self, **fault):
        return self.control("POST", "/faults", fault)

    def until(self, what, condition, seconds=5):
        """Wait for what other threads do."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                failures.append(f"{what}: not within {seconds} s")
                return
            time.sleep(0.01)

    def accepts(self):
        try:
            socket.create_connection((self.host, self.port), timeout=5).close()
        except ConnectionRefusedError:
            return False
        return True


def shape(value, path=""):
    """The members that there are, whatever their values."""
    if isinstance(value, dict):
        found = {f"{path} object"}
        for key, member in value.items():
            found |= shape(member, f"{path}.{key}")
        return found
    if isinstance(value, list):
        return {f"{path} list"}.union(*(shape(item, path + "[]") for item in value))
    return {f"{path} {type(value).__name__}"}


def without(value, *members):
    """A copy without these members of every object in it."""
    if isinstance(value, dict):
        return {key: without(member, *members) for key, member in value.items() if key not in members}
    return [without(item, *members) for item in value] if isinstance(value, list) else value
