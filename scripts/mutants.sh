#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Breaks the engine in named ways (test/mutants/mutants.txt), one at a time and in a copy, and shows
# that a test notices each. As root: mutants.sh [NAME...], --list for the names. Exit 1 when one is
# not noticed. Takes some seconds a mutant.
set -euo pipefail

cd "$(dirname "$0")/.."
[ "${1:-}" != --list ] || { sed -n 's/^= //p' test/mutants/mutants.txt; exit; }
scripts/deps.sh
exec python3 - "$PWD" "$@" <<'PY'
import os, shutil, subprocess, sys, time

root, wanted = sys.argv[1], sys.argv[2:]
copy = os.path.join(root, "build", "mutants")
source = os.path.join(copy, "source")
build = os.path.join(copy, "build")


def read():
    mutants, name = [], None
    for line in open(os.path.join(root, "test/mutants/mutants.txt")):
        if line.startswith("= "):
            name = {"name": line[2:].strip(), "file": None, "old": "", "new": ""}
            mutants.append(name)
        elif name and not name["file"] and line.strip() and line[0] not in "-+#":
            name["file"] = line.strip()
        elif name and line.startswith("-"):
            name["old"] += line[1:]
        elif name and line.startswith("+"):
            name["new"] += line[1:]
    return mutants


def run(command, limit):
    try:
        done = subprocess.run(command, cwd=copy, timeout=limit, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env={**os.environ, "CI": "false"})
        return done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired:
        return 124, "takes longer than %d s" % limit


# What may notice, the quickest first, and what has to be built for it. The cases in the tree beside
# this one are used where they are.
cases = [os.path.join(root, "test/cases")]
shared = os.path.join(root, "../shared/cases")
if os.path.isdir(shared):
    cases.append(shared)
test = os.path.join(build, "test")
stages = [
    ("changes one by one", "test-policy-follow", [os.path.join(test, "test-policy-follow")], 60),
    ("cases", "run-cases", [os.path.join(test, "run-cases"), "--no-kernel", *cases], 120),
    ("random worlds", "property",
     [os.path.join(test, "property"), "--worlds", "400", "--sequences", "80"], 120),
    ("between writes", "property",
     [os.path.join(test, "property"), "--kernel", "--worlds", "0", "--sequences", "60"], 120),
    ("cases in the kernel", "run-cases", [os.path.join(test, "run-cases"), *cases], 300),
    ("maps", "tests-of-mutants",
     ["ctest", "--test-dir", build, "-R", r"^(datapath\.(apply|moves|sweep|restart|takeover|full)|"
      r"policy\.(compile|judge|endpoints|match|paint|services)|bpf\.policy)$"], 300),
]


def make(target):
    code, text = run(["ninja", "-C", build, target], 600)
    if code:
        sys.exit("mutants.sh: cannot build:\n" + text[-3000:])


def stale_or_not_once(mutant, text):
    return text.count(mutant["old"]) != 1


mutants = [m for m in read() if not wanted or m["name"] in wanted]
unknown = set(wanted) - {m["name"] for m in mutants}
if unknown or not mutants:
    sys.exit("mutants.sh: no mutant has the name %s; see --list" % ", ".join(unknown))
for mutant in mutants:
    if stale_or_not_once(mutant, open(os.path.join(root, mutant["file"])).read()):
        sys.exit("mutants.sh: '%s': what it changes does not stand in %s once: mend "
                 "test/mutants/mutants.txt" % (mutant["name"], mutant["file"]))
os.makedirs(copy, exist_ok=True)
shutil.rmtree(source, ignore_errors=True)
files = subprocess.run(["git", "ls-files"], cwd=root, stdout=subprocess.PIPE, check=True)
for name in files.stdout.decode().split("\n"):
    if name and os.path.exists(os.path.join(root, name)):
        os.makedirs(os.path.dirname(os.path.join(source, name)), exist_ok=True)
        shutil.copy2(os.path.join(root, name), os.path.join(source, name))
# the build may still have what the last run broke
for name in {m["file"] for m in read()}:
    os.utime(os.path.join(source, name))
code, text = run(["cmake", "-S", source, "-B", build, "-G", "Ninja", "-DFENCE_WERROR=OFF"], 120)
if code:
    sys.exit(text)
make("tests-of-mutants")
for name, _, command, limit in stages:
    code, text = run(command, limit)
    if code not in (0, 77):
        sys.exit("mutants.sh: %s already fails:\n%s" % (name, text[-2000:]))

missed = []
for mutant in mutants:
    path = os.path.join(source, mutant["file"])
    original = open(path).read()
    begin = time.time()
    open(path, "w").write(original.replace(mutant["old"], mutant["new"]))
    noticed = None
    for name, target, command, limit in stages:
        make(target)
        code, text = run(command, limit)
        if code not in (0, 77):
            noticed = name + (", out of time" if code == 124 else "")
            break
    open(path, "w").write(original)
    print("%-14s %5.1f s  %s" % (("by " + noticed) if noticed else "NOT NOTICED",
                                time.time() - begin, mutant["name"]), flush=True)
    if not noticed:
        missed.append(mutant["name"])
print("%d mutants, %d noticed, %d not" % (len(mutants), len(mutants) - len(missed), len(missed)))
sys.exit(1 if missed else 0)
PY
