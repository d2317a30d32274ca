#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Do the programs load, attach and judge on other kernels as they do on this one? Debian's 6.1, 6.12
# and the newest of backports are booted in qemu (software emulation), with the programs and tests of
# this build, and asked what test/kernel/checks says; this kernel is asked the same. One table: kernel
# by check. As root, after scripts/build.sh. Exit 1 on any failure, 2 on misuse; when kernels or qemu
# cannot be had 77, with CI=true 1.
#   --kernels LIST   of host, 6.1, 6.12, newest; commas between [all of them]
#   --all            all checks (many minutes), not the quick ones only
# Kernels are kept in build/kernels, logs in build/kernels/log.
set -euo pipefail

cd "$(dirname "$0")/.."
build=${FENCE_BUILD:-$PWD/build}
KERNELS=${FENCE_KERNELS:-$build/kernels}
kernels=(host 6.1 6.12 newest)
sets=quick
memory=1024
limit=600

# shellcheck source=test/kernel/kernels.sh
source test/kernel/kernels.sh
# shellcheck source=test/kernel/image.sh
source test/kernel/image.sh

misuse() {
    echo "kernel-matrix.sh: $1; there are --kernels host,6.1,6.12,newest and --all" >&2
    exit 2
}

# What is missing is no verdict on the programs, but in CI nothing may be missing.
missing() {
    echo "kernel-matrix.sh: $1" >&2
    [ "${CI:-}" != true ] || exit 1
    exit 77
}

while [ $# -gt 0 ]; do
    case $1 in
        --all) sets='quick|all' limit=3000 ;;
        --kernels)
            [ $# -gt 1 ] || misuse "--kernels needs a list"
            IFS=, read -ra kernels <<<"$2"
            shift
            ;;
        *) misuse "$1 is no option" ;;
    esac
    shift
done
for kernel in "${kernels[@]}"; do
    [[ $kernel =~ ^(host|6\.1|6\.12|newest)$ ]] || misuse "$kernel is no kernel of the matrix"
done
[ "$(id -u)" -eq 0 ] || missing "needs root"
[ -x "$build/test/kernel-verified" ] || {
    echo "kernel-matrix.sh: no $build/test/kernel-verified: run scripts/build.sh" >&2
    exit 1
}

mkdir -p "$KERNELS/log"
work=$(mktemp -d)
trap 'kernels_apt_end; rm -rf "$work"' EXIT

install_qemu() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-system-x86 >/dev/null
}

prepare() {
    command -v qemu-system-x86_64 >/dev/null || {
        echo "installing qemu-system-x86"
        install_qemu || { apt-get update -qq && install_qemu; } || missing "qemu-system-x86 cannot be installed"
    }
    kernels_apt_begin
    for kernel in "${kernels[@]}"; do
        [ "$kernel" = host ] || kernel_get "$kernel" || missing "Debian's kernel $kernel cannot be downloaded"
    done
    image_make "$build" "$work/root" "$work/checks"
    image_archive "$work/root" >"$work/base.cpio"
}

# On this kernel: namespaces and a /run of its own, the same programs.
run_host() {
    export FENCE_DATA=$work/root/data
    PATH=$work/root/bin:$PATH LD_LIBRARY_PATH='' \
        unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private \
        sh -c 'mount -t sysfs sys /sys && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && exec run-checks "$FENCE_DATA/checks"'
}

# One processor each: more would not make these checks faster, and several guests run at once. Without
# CMPXCHG16B, after which qemu 7.2 now and then leaves wrong flags (a double fault in the guest).
run_guest() {
    local kernel=$1 extra=$work/$1
    mkdir -p "$extra"
    cp -r "$KERNELS/$kernel/modules" "$extra/modules"
    { cat "$work/base.cpio" && image_archive "$extra"; } >"$extra.cpio"
    qemu-system-x86_64 -accel tcg -cpu max,-cx16 -smp 1 -m "$memory" -nodefaults -no-user-config -display none \
        -no-reboot -serial stdio -kernel "$KERNELS/$kernel/vmlinuz" -initrd "$extra.cpio" \
        -append "console=ttyS0 quiet panic=-1 mitigations=off" </dev/null
}

# run KERNEL: its log is the result.
run() {
    local log=$KERNELS/log/$1
    if [ "$1" = host ]; then
        export -f run_host
        work=$work timeout "$limit" bash -c run_host >"$log" 2>&1 || true
    else
        export -f run_guest image_archive
        work=$work KERNELS=$KERNELS memory=$memory timeout "$limit" bash -c "run_guest $1" >"$log" 2>&1 || true
    fi
    tr -d '\r' <"$log" >"$log.txt"
    rm "$log"
}

# table LOG...: rows are checks, columns kernels. Exit 1 when something failed or did not finish.
table() {
    awk '
        FNR == 1 { kernel++; release[kernel] = "not booted"; name = ""; note = "" }
        $1 != "@@" { next }
        $2 == "begin" { release[kernel] = $3; sub(/-cloud.*/, "", release[kernel]) }
        $2 == "run" { name = $3; note = "" }
        $2 == "note" { note = $0; sub(/^@@ note /, "", note) }
        $2 == "end" { ended[kernel] = 1 }
        $2 == "check" {
            if (!($3 in row)) { row[$3] = ++rows; title[rows] = $3 }
            bad = $4 != 0
            failed += bad
            cell[row[$3], kernel] = sprintf("%s%s %.0f s", bad ? "FAIL" : "ok", note ? " (" note ")" : "", $6 - $5)
        }
        END {
            line = sprintf("%-22s", "check")
            for (k = 1; k <= kernel; k++) line = line sprintf(" %-30s", release[k])
            print line
            for (r = 1; r <= rows; r++) {
                line = sprintf("%-22s", title[r])
                for (k = 1; k <= kernel; k++) line = line sprintf(" %-30s", (r, k) in cell ? cell[r, k] : "not run")
                print line
            }
            for (k = 1; k <= kernel; k++)
                if (!ended[k]) { print ARGV[k] " did not finish"; failed++ }
            exit failed > 0
        }' "$@"
}

awk -v sets="^($sets)\$" '/^[a-z]/ && $2 ~ sets { $2 = ""; sub(/ +/, " "); print }' test/kernel/checks >"$work/checks"
prepare
logs=("${kernels[@]/#/$KERNELS/log/}")
# the newest takes the longest, so it begins
for ((i = ${#kernels[@]} - 1; i >= 0; i--)); do
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
        wait -n || true
    done
    run "${kernels[i]}" &
done
wait
status=0
echo
table "${logs[@]/%/.txt}" || status=1
if [ $status -ne 0 ]; then
    for log in "${logs[@]/%/.txt}"; do
        printf '\n== %s\n' "$log"
        awk '$1 == "@@" && $2 == "run" { text = "" } { text = text $0 "\n" }
            $1 == "@@" && $2 == "check" { if ($4 != 0) printf "%s", text; text = "" } END { if (text !~ /@@ end/) printf "%s", text }' "$log" | tail -n 60
    done
fi
echo "$((SECONDS)) s"
exit $status
