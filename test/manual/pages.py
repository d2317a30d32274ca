#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The manual pages, as installed, beside --help: the same commands, options and keys in both, an example
for each command, nothing that mandoc warns of."""
import os
import re
import subprocess
import sys
import tempfile

BUILD = os.environ["FENCE_BUILD"]
BIN = os.path.join(BUILD, "bin")
failures = []


def run(*arguments, text=None):
    return subprocess.run(arguments, input=text, capture_output=True, text=True, check=True).stdout


def same(what, in_help, in_page):
    for name in sorted(set(in_help) ^ set(in_page)):
        failures.append(f"{what}: {name} is only in {'--help' if name in in_help else 'the page'}")


def options(text):
    """Options with their arguments, as they stand at the beginning of a line."""
    return re.findall(r"^ +((?:-\w, )?--[a-z][a-z-]*(?:\[=\S+\]| [^\s-]\S*)?)(?= {2}|$)", text, re.M)


def page_options(text, known):
    """The same in a page, where the longest that fit beside their text have one blank behind them."""
    short = re.findall(r"^ {7}(--[a-z-]{4})(?= \S)", text, re.M)
    return options(text) + [name for name in short if name in known]


def part(text, begin, end):
    """The lines between those that match."""
    match = re.search(f"^{begin}$(.*?)(?=^{end}|\\Z)", text, re.M | re.S)
    if not match:
        failures.append(f"no {begin} in the page")
    return match.group(1) if match else ""


def shown(root, name, section):
    """The page as a reader sees it, without the formatting."""
    path = os.path.join(root, "usr/share/man", f"man{section}", f"{name}.{section}")
    lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", path], capture_output=True, text=True)
    if lint.returncode or lint.stdout:
        failures.append(f"mandoc on {path}:\n{lint.stdout}")
    text = run("mandoc", "-Tascii", "-Owidth=200", path)
    text = re.sub(".\b", "", text)
    for section_name in ("NAME", "DESCRIPTION", "SEE ALSO"):
        part(text, section_name, "[A-Z]")
    return text


def command_names(text):
    return re.findall(r"^  ([a-z][a-z-]*) ", text, re.M)


def check_ctl(page):
    ctl = os.path.join(BIN, "podfencectl")
    text = run(ctl, "--help")
    names = command_names(text.split("Global options:")[0])
    # the options of the program, then a part for each command
    same("podfencectl", options(text), page_options(part(page, "GLOBAL OPTIONS", "[A-Z]"), options(text)))
    commands = part(page, "COMMANDS", "[A-Z]")
    parts = re.findall(r"^   ([a-z][a-z -]*)$", commands, re.M)
    same("podfencectl", set(names) - {"help"}, [name for name in parts if " " not in name])
    same("podfencectl", names, re.findall(r"^       ([a-z][a-z-]*)(?: |$)", part(page, "DESCRIPTION", "[A-Z]"), re.M))
    for name in parts:
        check_command(name, run(ctl, *name.split(), "--help"), part(commands, f"   {name}", "   [a-z]"))
    # "See also: cut list --help"
    for name in re.findall(r"\b([a-z]+ [a-z]+)\s--help", commands):
        if name not in parts:
            failures.append(f"no part for podfencectl {name}")
    return len(parts)


def check_command(name, text, page):
    own = text.split("Global options:")[0]
    same(f"podfencectl {name}", options(own), page_options(page, options(own)))
    example = text.split("\nExample:\n")
    if len(example) != 2 or f"podfencectl {name}" not in example[1]:
        failures.append(f"podfencectl {name} --help has no example of it")
    elif example[1].strip().splitlines()[0].strip() not in page:
        failures.append(f"podfencectl {name}: the page lacks the example {example[1]}")
    for line in text.splitlines():
        if len(line) > 110:
            failures.append(f"podfencectl {name} --help has a line of {len(line)} characters: {line}")


def check_daemon(page):
    text = run(os.path.join(BIN, "podfenced"), "--help")
    found = options(text)
    same("podfenced", found, page_options(part(page, "OPTIONS", "[A-Z]"), found))
    return text, len(found)


def check_plugin(page, daemon):
    text = run("env", "-u", "CNI_COMMAND", os.path.join(BIN, "podfence"), "--help")
    keys = re.findall(r"^  ([a-z]\w+)$", text, re.M)
    same("podfence", keys, re.findall(r"^ {7}([a-z]\w+)(?: |$)", part(page, "KEYS OF THE ENTRY", "[A-Z]"), re.M))
    readme = open(os.path.join(os.path.dirname(__file__), "../../README.md"), encoding="utf-8").read()
    for key in keys:
        if f"`{key}`" not in readme:
            failures.append(f"README.md does not name {key}")
    for key in ("bpffs", "socket"):
        default = re.search(f"^  {key}\n.*\\[(.*)\\]", text, re.M).group(1)
        if default not in daemon:
            failures.append(f"podfence --help: {default} is not podfenced's {key}")
    return len(keys)


def main():
    with tempfile.TemporaryDirectory() as root:
        subprocess.run(["cmake", "--install", BUILD, "--prefix", "/usr"], check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "DESTDIR": root})
        commands = check_ctl(shown(root, "podfencectl", 1))
        daemon, count = check_daemon(shown(root, "podfenced", 8))
        keys = check_plugin(shown(root, "podfence", 8), daemon)
        for program in ("podfencectl", "podfenced"):
            path = os.path.join(root, "usr/share/bash-completion/completions", program)
            if not os.path.getsize(path):
                failures.append(f"{path} is empty")
    print("\n".join(failures), file=sys.stderr)
    if failures:
        return 1
    print(f"ok: {commands} commands, {count} options of podfenced, {keys} keys")
    return 0


sys.exit(main())
