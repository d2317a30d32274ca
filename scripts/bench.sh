#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Benchmarks, as root: bench.sh policy [--quick] [--check]
#   policy   the policy engine at 100,000 pods and 10,000 policies against its targets, then its
#            growth as a table, build/bench/policy.csv and build/bench/policy.svg
#   --quick  small sizes only, half a minute
#   --check  exit 1 when a target is missed at the largest size
# Exit 1 too when what the changes left differs from a fresh start, whatever it took.
set -euo pipefail

cd "$(dirname "$0")/.."
usage() {
    sed -n '3,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
[ "${1:-}" = policy ] || usage
shift
quick=
check=()
for argument in "$@"; do
    case $argument in
        --quick) quick=yes ;;
        --check) check=(--check) ;;
        *) usage ;;
    esac
done

scripts/deps.sh
command -v gnuplot >/dev/null || {
    echo "installing gnuplot-nox"
    apt-get install -y -qq --no-install-recommends gnuplot-nox >/dev/null
}
scripts/build.sh >build.log 2>&1 || {
    cat build.log
    exit 1
}
rm -f build.log
bench=build/test/bench-policy
out=build/bench
mkdir -p "$out"
rm -f "$out/policy.csv"

if [ -n "$quick" ]; then
    pods=(1000 10000)
    policies=(100 1000)
else
    pods=(1000 10000 100000)
    policies=(100 1000 10000)
fi

# The largest is the one with targets; the others only show how it grows.
status=0
"$bench" --pods "${pods[-1]}" --policies "${policies[-1]}" --csv "$out/policy.csv" "${check[@]}" ||
    status=1
for pod_count in "${pods[@]}"; do
    for policy_count in "${policies[@]}"; do
        [ "$pod_count $policy_count" != "${pods[-1]} ${policies[-1]}" ] || continue
        "$bench" --pods "$pod_count" --policies "$policy_count" --rounds 31 --csv "$out/policy.csv" \
            >"$out/policy-$pod_count-$policy_count.txt" || status=1
    done
done
{
    head -1 "$out/policy.csv"
    tail -n +2 "$out/policy.csv" | sort -t, -n -k1,1 -k2,2
} >"$out/sorted.csv"
mv "$out/sorted.csv" "$out/policy.csv"

printf '\ngrowth, medians in ms\n'
{
    echo 'pods,policies,full,resident,peak,pod,relabel,relabel,local,policy,policy,policy,block,name-'
    echo ',,load,MB,MB,added,known,new,added,port,peer,remote,added,space'
    tail -n +2 "$out/policy.csv" | sed -E 's/(\.[0-9]{2})[0-9]*/\1/g'
} | column -t -s,
gnuplot -e "csv='$out/policy.csv'; svg='$out/policy.svg'; sizes='${policies[*]}'" test/bench/policy.gnuplot
printf '\n%s, %s; the runs in full: %s\n' "$out/policy.csv" "$out/policy.svg" "$out/policy-*.txt"
exit "$status"
