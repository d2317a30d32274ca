#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Benchmarks, as root: bench.sh policy|datapath|add|observe|kubernetes [--quick] [--check]
#   policy    the policy engine at 100,000 pods and 10,000 policies against its targets, also with
#             objects as an API tells them, then its growth as a table, build/bench/policy.csv and
#             build/bench/policy.svg
#   datapath  ns per packet of each hook (build/bench/datapath-ns.json), then what a policy costs
#             through real sockets beside other ways of enforcing one (build/bench/datapath.json,
#             .csv, .svg); a quarter of an hour, and both cores are taken from everybody else
#   add       what podfence adds to ADD and DEL of bridge and portmap, alone and 20 at the same time, by
#             each way of attaching, with the kernel's wait for it (build/bench/add.json); 8 minutes
#   observe   what events cost of the rate of new connections, and what 100,000 drops a second cost
#             podfenced, with the books of what was told (build/bench/observe.json); 2 minutes.
#             FENCE_DAEMON_OPTIONS: more options of podfenced, such as those of its logs
#   kubernetes  what each node asks of an API server, in clusters of 100, 1,000 and 5,000 nodes made
#             of recorded objects (../shared/fixtures; build/bench/kubernetes.json); 2 minutes
#   --quick   small sizes and few rounds, a minute
#   --check   exit 1 when a target is missed
# Exit 1 too when what was measured is not right, whatever it took.
set -euo pipefail

cd "$(dirname "$0")/.."
out=build/bench

usage() {
    sed -n '3,19s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

# need COMMAND PACKAGE
need() {
    command -v "$1" >/dev/null && return
    echo "installing $2"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}

build() {
    scripts/build.sh >build.log 2>&1 || {
        cat build.log
        exit 1
    }
    rm -f build.log
    mkdir -p "$out"
}

# ---- the policy engine ---------------------------------------------------------------------------

bench_policy() {
    local bench=build/test/bench-policy status=0 pods=(1000 10000 100000) policies=(100 1000 10000)
    local pod_count policy_count
    need gnuplot gnuplot-nox
    rm -f "$out/policy.csv"
    if [ -n "$quick" ]; then
        pods=(1000 10000)
        policies=(100 1000)
    fi

    # The largest is the one with targets, with services too; the others only show how it grows.
    "$bench" --pods "${pods[-1]}" --policies "${policies[-1]}" --csv "$out/policy.csv" "${check[@]}" ||
        status=1
    printf '\nwith %s services\n' "${policies[-1]}"
    "$bench" --pods "${pods[-1]}" --policies "${policies[-1]}" --services "${policies[-1]}" "${check[@]}" ||
        status=1
    printf '\nwith the objects of an API instead of files\n'
    "$bench" --api --pods "${pods[-1]}" --policies "${policies[-1]}" "${check[@]}" || status=1
    printf '\nthe source alone\n'
    build/test/bench-live "${pods[-1]}" || status=1
    build/test/bench-slices "${pods[-1]}" || status=1
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
    gnuplot -e "csv='$out/policy.csv'; svg='$out/policy.svg'; sizes='${policies[*]}'" \
        test/bench/policy.gnuplot
    printf '\n%s, %s; the runs in full: %s\n' "$out/policy.csv" "$out/policy.svg" "$out/policy-*.txt"
    return "$status"
}

# ---- the data path -------------------------------------------------------------------------------

bench_datapath() {
    local status=0
    need iperf3 iperf3
    need ipset ipset
    need nft nftables
    need gnuplot gnuplot-nox
    build/test/bench-hooks --json "$out/datapath-ns.json" ${quick:+--quick} "${check[@]}" || status=1
    printf '\n'
    FENCE_BUILD=$PWD/build test/bench/sockets.sh ${quick:+--quick} "${check[@]}" \
        --json "$PWD/$out/datapath.json" --csv "$PWD/$out/datapath.csv" || status=1
    gnuplot -e "csv='$out/datapath.csv'; svg='$out/datapath.svg'" test/bench/sockets.gnuplot
    printf '\n%s\n' "$out/datapath-ns.json, $out/datapath.json, $out/datapath.svg"
    return "$status"
}

# ---- the plugin ----------------------------------------------------------------------------------

bench_add() {
    local status=0
    FENCE_BUILD=$PWD/build test/bench/add.sh ${quick:+--quick} "${check[@]}" --json "$PWD/$out/add.json" || status=1
    printf '\n%s\n' "$out/add.json"
    return "$status"
}

# ---- events --------------------------------------------------------------------------------------

bench_observe() {
    local status=0
    FENCE_BUILD=$PWD/build test/bench/observe.sh ${quick:+--quick} "${check[@]}" --json "$PWD/$out/observe.json" || status=1
    printf '\n%s\n' "$out/observe.json"
    return "$status"
}

# ---- the Kubernetes API ----------------------------------------------------------------------------

bench_kubernetes() {
    local nodes=(100 1000 5000) recordings=../shared/fixtures/kubernetes
    [ -z "$quick" ] || nodes=(100 1000)
    unshare --mount --net --propagation private sh -c 'ip link set lo up && exec "$@"' sh \
        test/bench/kubernetes.py build "$recordings" "$out/kubernetes.json" "${nodes[@]}"
    printf '\n%s\n' "$out/kubernetes.json"
}

case ${1:-} in
    policy | datapath | add | observe | kubernetes) what=$1 ;;
    *) usage ;;
esac
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
build
"bench_$what"
