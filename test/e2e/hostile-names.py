#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""For hostile-names.sh: makes the names, and judges what became of them.

hostile-names.py names                 names of pods, one a line, quoted for bash
hostile-names.py reason                the reason of a cut
hostile-names.py objects FOLDER        objects, and files, with such names
hostile-names.py text|json|yaml|xml|html FILE   exit status 1 and why when it is not safe, or not well-formed"""
import html.parser
import json
import os
import re
import sys
import xml.etree.ElementTree as tree

import yaml

NAMES = [
    b"\x1b[2J\x1b]0;owned\x07", b"a\nb\rc\td", b"\x7f\x08\x08", b"\xc2\x9b31m", b"\xe2\x80\xaegpj.exe",
    b"\xff\xfe\xc3", b"gr\xc3\xbc\xc3\x9f-\xe6\xbc\xa2-\xf0\x9f\x98\x80", b"\"'`$(id)\\", b"</script><script>alert(1)</script>",
    b"--><img src=x onerror=alert(1)>", b"]]>&lt;&#0;", b"%n%s%x", b"#{x}: [y] |", b"n" * 253,
]
# what no text may hold: C0 but newline and tab, DEL, C1, overrides and isolates of direction, line separators
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
# of ours: colours. Standard output is a file here, so there are none.


def quoted(name):
    return "$'" + "".join(f"\\x{byte:02x}" for byte in name) + "'"


def document(kind, name, label):
    api = {"NetworkPolicy": "networking.k8s.io/v1", "SegmentPolicy": "podfence.io/v1alpha1"}.get(kind, "v1")
    spec = {"NetworkPolicy": {"podSelector": {"matchLabels": {"app": label}}, "ingress": []},
            "SegmentPolicy": {"mode": "Denylist", "appliesTo": {"podSelector": {"matchLabels": {"app": label}}}},
            "Pod": {"nodeName": "lab-node"}}.get(kind)
    made = {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "shop", "labels": {"app": label}}}
    if kind == "Namespace":
        del made["metadata"]["namespace"]
    return made | ({"spec": spec} if spec is not None else {})


def objects(folder):
    """JSON, so that each character gets there; one file for each, so that a refusal is of one."""
    for i, name in enumerate(NAMES):
        text = name.decode("utf-8", "replace")
        for kind in ("Pod", "Namespace", "NetworkPolicy", "SegmentPolicy", "Service", "Node"):
            for j, made in enumerate((document(kind, text, "x"), document(kind, f"ok-{i}", text))):
                with open(os.path.join(folder, f"hostile-{kind.lower()}-{i}-{j}.yaml"), "w", encoding="utf-8") as file:
                    json.dump(made, file)
    # as YAML, bytes as they are; and names of files
    for i, name in enumerate(NAMES):
        with open(os.path.join(folder, f"raw-{i}.yaml"), "wb") as file:
            file.write(b"apiVersion: v1\nkind: Pod\nmetadata: { name: \"" + name + b"\", namespace: shop }\n")
        at = os.path.join(os.fsencode(folder), name.replace(b"/", b"-")[:200] + b".yaml")
        with open(at, "wb") as file:
            file.write(b"kind: Pod\napiVersion: v1\nmetadata: { name: UPPER, namespace: shop }\n")
    with open(os.path.join(folder, "long.yaml"), "w", encoding="utf-8") as file:
        label = {"k." * 126 + "k/" + "n" * 63: "v" * 63}
        json.dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": label}}, file)


def text_is_safe(text):
    found = UNSAFE.search(text)
    if found:
        raise ValueError(f"{found.group()!r} in {text[max(0, found.start() - 60):found.end() + 20]!r}")


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.scripts = 0

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        for name, value in attrs:
            if name.startswith("on") or (name in ("src", "href") and not (value or "").startswith("#")):
                raise ValueError(f"<{tag} {name}={value}>")

    def handle_data(self, data):
        pass


def judge(form, path):
    with open(path, "rb") as file:
        raw = file.read()
    text = raw.decode("utf-8")  # strictly
    text_is_safe(text)
    if form == "json":
        for line in text.splitlines():
            json.loads(line, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))
    elif form == "yaml":
        list(yaml.safe_load_all(text))
    elif form == "xml":
        tree.fromstring(text)
    elif form == "html":
        page = Page()
        page.feed(text)
        page.close()
        if "alert(1)</script>" in text or "<img src=x" in text:
            raise ValueError("a name became a tag")


def main():
    if sys.argv[1] == "names":
        print("\n".join(quoted(name) for name in NAMES))
    elif sys.argv[1] == "reason":
        sys.stdout.buffer.write(b" ".join(NAMES[:13])[:200])
    elif sys.argv[1] == "objects":
        objects(sys.argv[2])
    else:
        try:
            judge(sys.argv[1], sys.argv[2])
        except (ValueError, yaml.YAMLError, tree.ParseError) as error:
            print(f"{sys.argv[1]}: {error}", file=sys.stderr)
            return 1
    return 0


sys.exit(main())
