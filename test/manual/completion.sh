#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# completion.sh: what bash offers, as it asks for it. One line a case: the words so far, the last of which is to
# be completed ("-" = nothing of it), and what is offered, all of it or with "..." at least that.
set -euo pipefail

build=${FENCE_BUILD:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/folder"
touch "$work/file.yaml"
wrong=0
cases=0

# offered PROGRAM WORD...: in a bash of its own, which knows nothing else.
offered() {
    (cd "$work" && bash --norc --noprofile -c '
        source "$0/completions/$1"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        [ "${COMP_WORDS[COMP_CWORD]}" != - ] || COMP_WORDS[COMP_CWORD]=""
        complete -p "$1" >/dev/null && _podfence_complete "$1"
        printf "%s\n" "${COMPREPLY[@]}" | sort | tr "\n" " "' "$build" "$@")
}

while IFS='>' read -r line expected; do
    [ -n "$line" ] || continue
    read -ra words <<<"$line"
    read -ra expected <<<"$expected"
    got=" $(offered "${words[@]}")"
    cases=$((cases + 1))
    whole=yes
    for word in "${expected[@]}"; do
        if [ "$word" = ... ]; then whole=; continue; fi
        [[ $got = *" $word "* ]] || { echo "FAIL: $line offers$got, not $word" >&2; wrong=$((wrong + 1)); }
    done
    if [ -n "$whole" ] && [ "$(wc -w <<<"$got")" -ne ${#expected[@]} ]; then
        echo "FAIL: $line offers$got, expected ${expected[*]}" >&2
        wrong=$((wrong + 1))
    fi
done <<'CASES'
podfencectl - > status endpoints observe trace diff validate help ...
podfencectl st > status
podfencectl --no-color st > status
podfencectl --socket some st > status
podfencectl --socket = some st > status
podfencectl -- > --bpffs --socket --output --no-color --help --version
podfencectl -o - > text json yaml
podfencectl --output = j > json
podfencectl --output = > text json yaml
podfencectl --help = > text man bash
podfencectl --help tr > trace
podfencectl help tr > trace
podfencectl --bpffs - > folder
podfencectl --socket f > file.yaml folder
podfencectl trace --fr > --from
podfencectl trace --expect - > allow deny
podfencectl trace --family - > 4 6
podfencectl trace --queries f > file.yaml folder
podfencectl trace --objects - > folder
podfencectl trace --from web-1 --expect = d > deny
podfencectl trace -o y > yaml
podfencectl trace --nonsense - > --from --to ...
podfencectl status - > --ready --alive ...
podfencectl endpoints --ver >
podfencectl --socket status tr > trace
podfencectl load --kernel-structs - > auto off
podfencectl install-cni --mode p > patch
podfencectl install-cni --platform k > k3s
podfencectl validate - > file.yaml folder
podfencectl validate fi > file.yaml
podfencectl validate --b > --bpffs
podfencectl diff folder - > file.yaml folder ...
podfencectl cut - > list undo
podfencectl graph -o - > dot mermaid svg html json yaml
podfencectl observe --verdict D > DROPPED
podfencectl cut un > undo
podfencectl cut undo --al > --all
podfencectl cut --for 1m --pe > --peer
podfencectl cut list -o j > json
podfence - > --help
podfence --help = m > man
podfenced - > --objects --attach --audit-all ...
podfenced --attach - > auto tcx clsact
podfenced --attach = t > tcx
podfenced --mark-mask - > off
podfenced --log-level - > error warning info debug
podfenced --node-name - >
podfenced --objects - > folder
podfenced --objects folder --att > --attach
CASES
[ "$wrong" -eq 0 ] || exit 1
echo "ok: $cases command lines"
