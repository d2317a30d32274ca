#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Benchmarks, as root: bench.sh policy [--quick] [--check]
#   policy   the policy engine at 100,000 pods and 10,000 policies against its targets, and its
#            growth as a table, build/bench/policy.csv and build/bench/policy.svg
#   --quick  only the sizes that take a second or two
#   --check  exit 1 when a target is missed
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

if [ -n "$quick" ]; then
    "$bench" --pods 10000 --label-sets 1000 --policies 1000 "${check[@]}"
    sizes=("1000 1000" "10000 1000" "10000 100")
else
    "$bench" "${check[@]}"
    sizes=("1000 10000" "10000 10000" "100000 10000" "100000 100" "100000 1000")
fi

# Growth: each size in a process of its own, since memory is measured.
header=pods,policies,compile_ms,apply_ms,resident_mb,peak_mb,pod_added_ms,pod_relabelled_ms
header=$header,pod_new_set_ms,pod_removed_ms,local_added_ms,policy_changed_ms,policy_elsewhere_ms,block_moved_ms
echo "$header" >"$out/policy.csv"
for size in "${sizes[@]}"; do
    read -r pods policies <<<"$size"
    sets=$((pods / 20 < 5000 ? pods / 20 : 5000))
    "$bench" --pods "$pods" --label-sets "$sets" --policies "$policies" --row >>"$out/policy.csv"
done
printf '\nGrowth (label sets: a twentieth of the pods)\n\n'
column -t -s, "$out/policy.csv" | cut -c1-200

# One plot along the pods, one along the policies; the largest of the other in each.
most_pods=$(awk -F, 'NR > 1 && $1 > most { most = $1 } END { print most }' "$out/policy.csv")
most_policies=$(awk -F, 'NR > 1 && $2 > most { most = $2 } END { print most }' "$out/policy.csv")
awk -F, -v most="$most_policies" 'NR > 1 && $2 == most' "$out/policy.csv" | sort -t, -n -k1 >"$out/by-pods.csv"
awk -F, -v most="$most_pods" 'NR > 1 && $1 == most' "$out/policy.csv" | sort -t, -n -k2 >"$out/by-policies.csv"
gnuplot <<PLOT
set terminal svg size 1100,520 font "sans,13" background "white"
set output "$out/policy.svg"
set datafile separator ","
set logscale xy
set grid
set key below
set yrange [0.001:10000]
set format x "%.0f"
set ylabel "ms, MB where resident"
set multiplot layout 1,2 title "podfence: cost of the policy engine"
set xlabel "pods ($most_policies policies)"
plot "$out/by-pods.csv" using 1:(\$3+\$4) with linespoints title "full", \\
     "" using 1:7 with linespoints title "remote pod added", \\
     "" using 1:8 with linespoints title "remote pod relabelled", \\
     "" using 1:12 with linespoints title "policy in use changed", \\
     "" using 1:5 with linespoints title "MB resident"
set xlabel "policies ($most_pods pods)"
plot "$out/by-policies.csv" using 2:(\$3+\$4) with linespoints title "full", \\
     "" using 2:7 with linespoints title "remote pod added", \\
     "" using 2:8 with linespoints title "remote pod relabelled", \\
     "" using 2:12 with linespoints title "policy in use changed", \\
     "" using 2:5 with linespoints title "MB resident"
unset multiplot
PLOT
echo
echo "table: $out/policy.csv, plot: $out/policy.svg"
