# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The guest's file system for scripts/kernel-matrix.sh, sourced by it: programs of this build and of
# this machine with their libraries, as an archive that the kernel unpacks into memory.

# image_archive FOLDER: as cpio, on standard output.
image_archive() {
    (cd "$1" && find . | busybox cpio -o -H newc 2>/dev/null)
}

# image_make BUILD FOLDER CHECKS: all but the modules. FOLDER is new.
image_make() {
    local build=$1 root=$2 file programs
    programs=("$build"/bin/* "$build"/test/test-bpf-* "$build"/test/test-datapath-*
        "$build"/test/{run-cases,netprobe,tcxcount,kernel-verified}
        "$(command -v ip)" "$(command -v tc)" "$(command -v nsenter)" "$(command -v nft)" test/kernel/{run-checks,pods.sh})
    mkdir -p "$root"/{bin,busybox,dev,proc,sys,run,tmp,modules,data}
    cp -L "${programs[@]}" "$root/bin/"
    cp -L "$(command -v dash)" "$root/bin/sh"
    cp -L "$(command -v busybox)" "$root/busybox/"
    for file in "${programs[@]}" "$(command -v dash)"; do
        ldd "$file" 2>/dev/null || true # scripts and static ones
    done | grep -o '/[^ ]*' | sort -u | while read -r file; do
        install -D -m 755 "$file" "$root$file"
    done
    cp -r test/cases "$root/data/"
    cp "$3" "$root/data/checks"
    install -m 755 test/kernel/init "$root/init"
}
