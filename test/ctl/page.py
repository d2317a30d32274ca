#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The HTML page of graph in a headless Chromium, by its debugging pipe: it is drawn, nothing is
reported to the console, nothing is asked of the network, clicks, keys, filters and links work,
light and dark, with 200 workloads and with hostile names.

FENCE_SHOTS=FOLDER keeps the screenshots.
"""
import base64
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from graph import HOSTILE, CTL, SHOP, answer, flow, hostile, workload  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """Chromium over its pipe: messages of JSON that end in NUL, read at 3, written at 4."""

    def __init__(self, folder):
        to_read, self.writer = os.pipe()
        self.reader, to_write = os.pipe()

        def arrange():
            # above 4 first: one of them may be 3 or 4 itself
            high = [os.dup2(to_read, 20), os.dup2(to_write, 21)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)
            for number in high:
                os.close(number)

        self.process = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
             "--disable-extensions", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
             f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"],
            close_fds=False, preexec_fn=arrange, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.number = 0
        self.buffer = b""
        self.events = []
        self.session = None

    def receive(self):
        while b"\0" not in self.buffer:
            part = os.read(self.reader, 1 << 20)
            if not part:
                raise AssertionError("Chromium has ended")
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while True:
            got = self.receive()
            if got.get("id") == self.number:
                if "error" in got:
                    raise AssertionError(f"{method}: {got['error']}")
                return got["result"]
            self.events.append(got)

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
        except (AssertionError, OSError):
            self.process.kill()
        self.process.wait(timeout=20)
        os.close(self.reader)
        os.close(self.writer)


def pixels(png):
    """Rows of bytes of a PNG of 8 bits a channel."""
    at, data, header = 8, b"", None
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at:at + 8])
        body = png[at + 8:at + 8 + size]
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
        if kind == b"IDAT":
            data += body
        at += 12 + size
    width, height, depth, color = header[:4]
    assert depth == 8 and color in (2, 6)
    channels = 3 if color == 2 else 4
    raw, before = zlib.decompress(data), bytearray(width * channels)
    for y in range(height):
        start = y * (width * channels + 1)
        row = bytearray(raw[start + 1:start + 1 + width * channels])
        unfilter(raw[start], row, before, channels)
        yield row, channels
        before = row


def unfilter(kind, row, before, step):
    for i in range(len(row)):
        left = row[i - step] if i >= step else 0
        if kind == 1:
            row[i] = (row[i] + left) & 255
        elif kind == 2:
            row[i] = (row[i] + before[i]) & 255
        elif kind == 3:
            row[i] = (row[i] + (left + before[i]) // 2) & 255
        elif kind == 4:
            corner = before[i - step] if i >= step else 0
            guess = left + before[i] - corner
            near = min((abs(guess - left), 0, left), (abs(guess - before[i]), 1, before[i]),
                       (abs(guess - corner), 2, corner))
            row[i] = (row[i] + near[2]) & 255


def colors_of(png):
    """How many pixels of each colour."""
    found = {}
    for row, channels in pixels(png):
        for i in range(0, len(row), channels):
            color = bytes(row[i:i + 3])
            found[color] = found.get(color, 0) + 1
    return found


def many():
    """200 workloads in 12 namespaces."""
    every = [workload(f"team-{i % 12:02d}", f"service-{i // 12:02d}") for i in range(200)]
    verdicts = ["FORWARDED"] * 9 + ["DROPPED"] + ["FORWARDED"] * 9 + ["AUDIT"]
    flows = [flow(every[i], every[(i * 7 + 12) % 200], count=i * i + 1, verdict=verdicts[i % 20],
                  policy=f"NetworkPolicy/team-{i % 12:02d}/in", rule=0) for i in range(200)]
    flows += [flow(every[i], every[(i + 12) % 200], port=5432, count=3) for i in range(180)]
    flows.append(flow({"kind": "reserved", "name": "world"}, every[0], port=443))
    return answer(flows)


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="podfence-page-")
        cls.browser = Browser(os.path.join(cls.folder, "profile"))
        call = cls.browser.call
        target = call("Target.createTarget", url="about:blank")["targetId"]
        cls.browser.session = call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            call(domain + ".enable")

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def open(self, flows, link="", scheme="light", size=(1440, 900)):
        path = os.path.join(self.folder, "page.html")
        done = subprocess.run([CTL, "graph", "-o", "html", "--file", path, "--flows", "-"], input=flows, check=False)
        self.assertEqual(done.returncode, 0)
        self.browser.events.clear()
        self.browser.call("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1,
                          mobile=False)
        self.browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.browser.call("Page.navigate", url="about:blank")
        self.browser.call("Page.navigate", url=f"file://{path}{link}")
        self.wait("document.body && document.body.dataset.ready === 'yes'")

    def value(self, expression):
        got = self.browser.call("Runtime.evaluate", expression=expression, returnByValue=True)
        self.assertNotIn("exceptionDetails", got, expression)
        return got["result"].get("value")

    def wait(self, expression):
        for _ in range(200):
            if self.value(expression):
                return
            time.sleep(0.05)
        self.fail(f"never: {expression}; {self.complaints()}")

    def complaints(self):
        return [e for e in self.browser.events
                if e.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")]

    def expect_calm(self):
        """No complaint in the console, and nothing but the page itself was loaded."""
        self.assertEqual(self.complaints(), [])
        urls = {e["params"]["request"]["url"] for e in self.browser.events if e.get("method") == "Network.requestWillBeSent"}
        self.assertEqual({u for u in urls if not u.startswith(("file://", "about:"))}, set())

    def click(self, selector):
        box = self.value(f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
                         " return [b.x + b.width / 2, b.y + b.height / 2]; })()")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.browser.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def press(self, key, **more):
        for kind in ("keyDown", "keyUp"):
            self.browser.call("Input.dispatchKeyEvent", type=kind, key=key, **more)

    def shot(self, name):
        """Its colours, of a screenshot a quarter of the size: to look at every pixel takes Python a while."""
        if os.environ.get("FENCE_SHOTS"):
            with open(os.path.join(os.environ["FENCE_SHOTS"], name + ".png"), "wb") as file:
                file.write(base64.b64decode(self.browser.call("Page.captureScreenshot", format="png")["data"]))
        size = self.value("[innerWidth, innerHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 / 4}
        return colors_of(base64.b64decode(self.browser.call("Page.captureScreenshot", format="png", clip=clip)["data"]))

    def panel(self):
        return self.value("document.getElementById('panel').hidden ? null : "
                          "document.getElementById('panel').innerText")

    def shop(self):
        with open(SHOP, "rb") as file:
            return file.read()

    def test_small(self):
        self.open(self.shop())
        self.assertEqual(self.value("[document.body.dataset.nodes, document.body.dataset.edges].join()"), "11,14")
        self.assertIn("9 workloads in 2 namespaces, 14 pairs", self.value("document.getElementById('summary').textContent"))
        self.assertIsNone(self.panel())
        light = self.shot("shop-light")
        self.assertGreater(len(light), 200)
        self.click('.node[aria-label="shop/db"]')
        text = self.panel()
        for part in ("shop/db", "Is reached from", "shop/orders", "monitoring/prometheus"):
            self.assertIn(part, text)
        self.assertEqual(self.value("location.hash"), "#node=shop%2Fdb")
        self.press("Escape")
        self.assertIsNone(self.panel())
        self.expect_calm()
        self.open(self.shop(), scheme="dark")
        dark = self.shot("shop-dark")
        self.assertGreater(len(dark), 200)
        brightness = [sum(sum(color) * n for color, n in shot.items()) / sum(shot.values()) for shot in (light, dark)]
        self.assertGreater(brightness[0], 3 * brightness[1])

    def test_link_and_keys(self):
        self.open(self.shop(), "#edge=shop%2Fpayments,shop%2Fdb")
        text = self.panel()
        for part in ("shop/payments", "shop/db", "790 audit", "5432/TCP", "SegmentPolicy/shop/db", "would drop",
                     "no-rule", "2026-11-27 10:00:00 UTC"):
            self.assertIn(part, text)
        self.press("Escape")
        self.value("document.querySelector('.node[aria-label=\"shop/web\"]').focus()")
        self.press("Enter", code="Enter", windowsVirtualKeyCode=13)
        self.assertIn("Opens connections to", self.panel())
        self.click(".pairs button")
        self.assertRegex(self.value("location.hash"), "^#edge=shop%2Fweb,")
        self.expect_calm()

    def test_filters(self):
        self.open(self.shop())
        self.click("#forwarded")
        self.assertEqual(self.value("[...document.querySelectorAll('.edge[data-edge]')].filter((e) => "
                                    "getComputedStyle(e).display !== 'none').length"), 3)
        self.click("#search")
        for letter in "prom":
            self.press(letter, text=letter)
        self.assertEqual(self.value("document.getElementById('summary').textContent"), "1 of 11 match")
        self.press("Enter", code="Enter", windowsVirtualKeyCode=13)
        self.assertNotEqual(self.value("document.getElementById('graph').viewBox.baseVal.x"), 0)
        self.expect_calm()

    def test_200_workloads(self):
        for scheme in ("light", "dark"):
            self.open(many(), scheme=scheme, size=(1920, 1080))
            self.assertEqual(self.value("document.body.dataset.nodes"), "201")
            # nodes do not overlap, lie in their namespace's box, and their text in them
            self.assertEqual(self.value("""(() => {
                const of = (q) => [...document.querySelectorAll(q)];
                const boxes = of('.node').map((n) => n.querySelector('rect').getBBox());
                const groups = of('.box rect').map((r) => r.getBBox());
                const inside = (a, b) => a.x >= b.x && a.y >= b.y && a.x + a.width <= b.x + b.width && a.y + a.height <= b.y + b.height;
                const apart = (a, b) => a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
                let bad = 0;
                boxes.forEach((a, i) => boxes.forEach((b, j) => { bad += i < j && !apart(a, b); }));
                groups.forEach((a, i) => groups.forEach((b, j) => { bad += i < j && !apart(a, b); }));
                of('.node:not(.reserved)').forEach((n) => {
                    const box = n.querySelector('rect').getBBox();
                    bad += groups.filter((g) => inside(box, g)).length !== 1;
                    bad += !inside(n.querySelector('text').getBBox(), box);
                });
                return [bad, groups.length].join();
            })()"""), "0,12")
            self.assertGreater(len(self.shot("200-" + scheme)), 400)
            self.expect_calm()

    def test_hostile(self):
        self.open(hostile())
        self.assertEqual(self.value("document.title"), "Flows")
        self.assertEqual(self.value("document.querySelectorAll('img').length"), 0)
        self.assertEqual(self.value("document.body.dataset.nodes"), str(len(HOSTILE) * 4))
        for i in range(0, len(HOSTILE) * 4, 5):
            self.value(f"document.querySelectorAll('.node')[{i}].dispatchEvent(new KeyboardEvent('keydown', {{ key: 'Enter' }}))")
            self.assertIsNotNone(self.panel())
        self.assertEqual(self.value("document.querySelectorAll('img, script:not([nonce]):not([type])').length"), 0)
        if os.environ.get("FENCE_SHOTS"):
            self.shot("hostile")
        self.expect_calm()

    def test_nothing(self):
        self.open(answer([]))
        self.assertTrue(self.value("document.body.innerText.includes('No flows.')"))
        self.expect_calm()


if __name__ == "__main__":
    if not CHROMIUM:
        print("there is no chromium: apt-get install chromium", file=sys.stderr)
        sys.exit(77)
    unittest.main()
