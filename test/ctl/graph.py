#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""top and graph, from saved flows: golden files of each format, and hostile names in each.

graph.py --update writes the golden files (test/ctl/data/graph) anew.
"""
import html.parser
import json
import os
import re
import subprocess
import sys
import unittest
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "data", "graph")
CTL = os.path.join(os.environ["FENCE_BUILD"], "bin", "podfencectl")
SHOP = os.path.join(DATA, "shop.json")
GOLDEN = {"dot": ["dot"], "mermaid": ["mermaid"], "svg": ["svg"], "graph.json": ["json"], "yaml": ["yaml"]}

HOSTILE = [
    "</script><script>document.title='owned'</script>", "--><img src=x onerror=alert(1)>", "]]>", "a\"b'c`d\\e",
    "line\nbreak\ttab", "\x1b[31mred\x1b]0;title\x07", "\u202egnirts\u2066", "\u2028\u2029", "日本語の名前", "x" * 253,
    "n0 --> n1", "end", "%% comment", "#quot;", "${jndi}", "&lt;", "\uffff\ufffe", "label=\"x\"]; n0 -> n1 [", "",
]


def run(arguments, text=None, status=0):
    done = subprocess.run([CTL, *arguments], input=text, capture_output=True, timeout=60, check=False)
    if done.returncode != status:
        raise AssertionError(f"{arguments}: exit {done.returncode}: {done.stderr.decode()}")
    return done.stdout if status == 0 else done.stderr


def workload(namespace, app):
    return {"kind": "workload", "namespace": namespace, "app": app, "labels": {"app": app}}


def flow(source, destination, **members):
    made = {"source": source, "destination": destination, "protocol": "TCP", "port": 80, "direction": "INGRESS",
            "verdict": "FORWARDED", "reason": "rule", "policy": None, "rule": None, "auditPolicy": None,
            "auditRule": None, "count": 1, "firstSeen": "2026-01-01T00:00:00.000Z",
            "lastSeen": "2026-01-02T00:00:00.000Z"}
    made.update(members)
    return made


def answer(flows, **members):
    return json.dumps({"since": "2026-01-01T00:00:00.000Z", "lost": 0, "flows": flows, **members}).encode()


def hostile():
    flows = []
    for i, name in enumerate(HOSTILE):
        other = HOSTILE[(i + 1) % len(HOSTILE)]
        verdict = ["FORWARDED", "DROPPED", "AUDIT"][i % 3]
        flows.append(flow(workload(name, name), workload(other, name), verdict=verdict, policy="Kind/" + name,
                          auditPolicy="Kind/" + name if verdict == "AUDIT" else None))
        flows.append(flow({"kind": "node", "node": name}, {"kind": "reserved", "name": name}))
    return answer(flows)


class Page(html.parser.HTMLParser):
    """Elements and the text of the script that holds the data."""

    def __init__(self):
        super().__init__()
        self.tags = []
        self.outside = []
        self.data = None
        self.is_data = False

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.is_data = attributes.get("type") == "application/json"
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "action") or name.startswith("on") or name == "style":
                self.outside.append((tag, name, value))

    def handle_data(self, data):
        if self.is_data:
            self.data = data
            self.is_data = False


def shown(name):
    """As a terminal may see it."""
    def escape(match):
        return "".join(f"\\x{byte:02x}" for byte in match.group().encode())
    return re.sub("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\u061c]", escape, name)


class Golden(unittest.TestCase):
    def test_golden(self):
        for name, arguments in GOLDEN.items():
            with self.subTest(name):
                with open(os.path.join(DATA, "shop." + name), "rb") as file:
                    self.assertEqual(run(["graph", "--flows", SHOP, "-o", *arguments]).decode(), file.read().decode())

    def test_same_again(self):
        """Whatever the order of the flows, and in several files."""
        with open(SHOP, encoding="utf-8") as file:
            flows = json.load(file)["flows"]
        turned = answer(list(reversed(flows)), since="2026-11-20T08:00:00.000Z")
        self.assertEqual(run(["graph", "-o", "svg", "--flows", "-"], turned), run(["graph", "-o", "svg", "--flows", SHOP]))

    def test_top(self):
        lines = run(["top", "--flows", SHOP, "-l", "3"]).decode().splitlines()
        self.assertEqual(re.sub(r" +", " ", lines[0]), "SOURCE DESTINATION PORT FORWARDED DROPPED AUDIT LAST SEEN POLICY")
        self.assertRegex(lines[1], r"^world +shop/web +443/TCP +18234 +- +- +\w+ ago +NetworkPolicy/shop/web-in rule 0$")
        self.assertEqual(lines[4], "and 12 more: -l 32 shows them")
        dropped = run(["top", "--flows", SHOP, "--verdict", "dropped", "--by", "last"]).decode().splitlines()
        self.assertEqual(len(dropped), 3)
        self.assertRegex(dropped[1], r"monitoring/prometheus +shop/db +9187/TCP +- +60 +- ")

    def test_saved_answer_is_read_again(self):
        saved = run(["top", "--flows", SHOP, "-o", "json"])
        with open(SHOP, encoding="utf-8") as file:
            self.assertEqual(json.loads(saved)["flows"], json.load(file)["flows"])
        self.assertEqual(run(["top", "--flows", "-", "-o", "json"], saved), saved)

    def test_filters(self):
        one = json.loads(run(["graph", "--flows", SHOP, "-o", "json", "--namespace", "monitoring"]))
        self.assertEqual([(e["source"], e["destination"]) for e in one["edges"]],
                         [("monitoring/prometheus", "shop/api"), ("monitoring/prometheus", "shop/db")])
        none = json.loads(run(["graph", "--flows", SHOP, "-o", "json", "--namespace", "nobody"]))
        self.assertEqual((none["nodes"], none["edges"]), ([], []))
        for output in ("dot", "mermaid", "svg", "html"):
            run(["graph", "--flows", SHOP, "-o", output, "--namespace", "nobody"])
        recent = answer([flow(workload("a", "old"), workload("a", "x"), lastSeen="2026-01-01T23:00:00.000Z"),
                         flow(workload("a", "new"), workload("a", "x"))])
        text = run(["top", "--flows", "-", "--since", "10m"], recent).decode()
        self.assertIn("a/new", text)
        self.assertNotIn("a/old", text)


class Counting(unittest.TestCase):
    def count(self, *rows):
        flows = [flow(workload("a", "x"), workload("a", "y"), direction=d, verdict=v, count=n) for d, v, n in rows]
        edge = json.loads(run(["graph", "-o", "json", "--flows", "-"], answer(flows)))["edges"][0]
        return edge["forwarded"], edge["dropped"], edge["audit"]

    def test_once(self):
        """What both hooks of a node have judged is counted once."""
        e, i = "EGRESS", "INGRESS"
        self.assertEqual(self.count((e, "FORWARDED", 5), (i, "FORWARDED", 5)), (5, 0, 0))
        self.assertEqual(self.count((e, "FORWARDED", 5)), (5, 0, 0))
        self.assertEqual(self.count((i, "FORWARDED", 5)), (5, 0, 0))
        self.assertEqual(self.count((e, "FORWARDED", 5), (i, "DROPPED", 5)), (0, 5, 0))
        self.assertEqual(self.count((e, "DROPPED", 3), (e, "FORWARDED", 2), (i, "FORWARDED", 2)), (2, 3, 0))
        self.assertEqual(self.count((e, "AUDIT", 4), (i, "FORWARDED", 4)), (0, 0, 4))
        self.assertEqual(self.count((e, "AUDIT", 4), (i, "AUDIT", 4)), (0, 0, 4))
        self.assertEqual(self.count((e, "FORWARDED", 9), (i, "AUDIT", 4), (i, "FORWARDED", 3), (i, "DROPPED", 2)),
                         (3, 2, 4))

    def test_labels_are_one_workload(self):
        flows = [flow({**workload("a", "x"), "labels": {"version": v}}, workload("a", "y"), count=2) for v in "12"]
        edge, = json.loads(run(["graph", "-o", "json", "--flows", "-"], answer(flows)))["edges"]
        self.assertEqual(edge["forwarded"], 4)


class Hostile(unittest.TestCase):
    def setUp(self):
        self.flows = hostile()

    def graph(self, output):
        return run(["graph", "-o", output, "--flows", "-"], self.flows).decode()

    def names(self):
        return {name for name in HOSTILE}

    def test_json(self):
        value = json.loads(self.graph("json"))
        self.assertEqual({node["name"] for node in value["nodes"]}, self.names())
        self.assertNotRegex(self.graph("json").rstrip("\n"), "[\x00-\x1f\x7f\u202e]")

    def test_svg(self):
        root = xml.etree.ElementTree.fromstring(self.graph("svg"))
        tags = {element.tag.split("}")[1] for element in root.iter()}
        self.assertEqual(tags, {"svg", "title", "style", "rect", "defs", "marker", "path", "g", "text"})
        titles = {element.text or "" for element in root.iter() if element.tag.endswith("title")}
        for name in HOSTILE:
            wanted = shown(name).replace("\uffff", "\ufffd").replace("\ufffe", "\ufffd")
            self.assertIn(f"{wanted}/{wanted}", titles)

    def test_html(self):
        text = self.graph("html")
        page = Page()
        page.feed(text)
        page.close()
        self.assertEqual((page.tags.count("script"), page.tags.count("style"), page.tags.count("img")), (2, 1, 0))
        self.assertEqual(page.outside, [])
        self.assertEqual({node["name"] for node in json.loads(page.data)["nodes"]}, self.names())
        self.assertNotRegex(page.data, "[<>&\u2028\u2029]")
        nonce = re.search(r"script-src 'nonce-([0-9a-f]{32})'", text).group(1)
        self.assertIn("default-src 'none'", text)
        self.assertNotIn(nonce, self.graph("html"))
        self.assertEqual(re.findall(r"https?://[^\"]+", text.replace("http://www.w3.org/2000/svg", "")), [])

    def test_dot(self):
        string = r'"(?:[^"\\]|\\.)*"'
        lines = (r"digraph flows \{", r"  (rankdir=LR|(graph|node|edge) \[.*\]);", r"  subgraph cluster_\d+ \{",
                 rf"    label={string};", rf"    n\d+ \[label={string}(, style=\"filled,rounded\")?\];", r"  \}",
                 rf"  n\d+ -> n\d+ \[label={string}, color=\"#\w+\", fontcolor=\"#\w+\", style=\w+, arrowhead=\w+, "
                 r"penwidth=[\d.]+\];", r"\}")
        for line in self.graph("dot").rstrip("\n").split("\n"):
            self.assertRegex(line, "^(" + "|".join(lines) + ")$")
            self.assertNotRegex(line, "[\x00-\x1f\x7f\u202e]")

    def test_mermaid(self):
        string = r'"(?:[A-Za-z0-9./_:+, -]|#\d+;|[^\x00-\x7f])*"'
        lines = (r"flowchart LR", rf"  subgraph g\d+\[{string}\]", r"  end", rf"    n\d+\[{string}\]",
                 rf"    n\d+\(\[{string}\]\)", rf"  n\d+ (-->|--x|-\.->)\|{string}\| n\d+",
                 r"  linkStyle \d+ stroke:#\w+,stroke-width:[\d.]+px")
        for line in self.graph("mermaid").rstrip("\n").split("\n"):
            self.assertRegex(line, "^(" + "|".join(lines) + ")$")

    def test_top(self):
        text = run(["top", "--flows", "-", "-l", "100"], self.flows).decode()
        self.assertNotRegex(text, "[\x00-\x09\x0b-\x1f\x7f\u202e]")
        self.assertEqual(len(text.splitlines()), 1 + 2 * len(HOSTILE))


class Refused(unittest.TestCase):
    def test_input(self):
        rows = ((b"nonsense", "standard input is not JSON"), (b"{}", "no list `flows`"),
                (answer([{}]), r"flows\[0\]: source is missing"),
                (answer([flow(workload("a", "b"), {"kind": "ghost"})]), r"flows\[0\]: destination"),
                (answer([flow(workload("a", "b"), workload("a", "c")),
                         flow(workload("a", "b"), workload("a", "c"), verdict="MAYBE")]), r"flows\[1\]: verdict"),
                (answer([flow(workload("a", "b"), workload("a", "c"), port=70000)]), "port"),
                (answer([flow(workload("a", "b"), workload("a", "c"), lastSeen="today")]), "lastSeen"))
        for text, says in rows:
            with self.subTest(says):
                self.assertRegex(run(["top", "--flows", "-"], text, status=1).decode(), says)

    def test_usage(self):
        rows = ((["graph"], "-o is missing"), (["graph", "-o", "png"], "dot, mermaid"), (["top", "--by", "size"], "count and last"),
                (["top", "-l", "0"], "-l 0"), (["top", "--since", "soon"], "90s, 10m"), (["top", "--verdict", "maybe"], "forwarded, dropped"),
                (["top", "-f", "--flows", SHOP], "follows the daemon"))
        for arguments, says in rows:
            with self.subTest(says):
                self.assertIn(says, run(arguments, status=2).decode())

    def test_file_is_whole_or_untouched(self):
        path = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"graph-{os.getpid()}.svg")
        try:
            run(["graph", "-o", "svg", "--flows", SHOP, "--file", path])
            with open(path, "rb") as file:
                self.assertEqual(file.read(), run(["graph", "-o", "svg", "--flows", SHOP]))
            run(["graph", "-o", "svg", "--flows", "-", "--file", path], b"nonsense", status=1)
            with open(path, "rb") as file:
                self.assertTrue(file.read().endswith(b"</svg>\n"))
        finally:
            os.unlink(path)


def update():
    for name, arguments in GOLDEN.items():
        with open(os.path.join(DATA, "shop." + name), "wb") as file:
            file.write(run(["graph", "--flows", SHOP, "-o", *arguments]))


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        update()
    else:
        unittest.main()
