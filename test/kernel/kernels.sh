# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Debian's kernels for scripts/kernel-matrix.sh, sourced by it: downloaded and unpacked, never
# installed. A kernel is a folder of $KERNELS with vmlinuz and modules/NN-NAME.ko in the
# order in which they go in. What is there with these modules is used again; remove the folder for a newer package.

# What the tests need in the guest; what these depend on comes with them. Built in = not there.
KERNEL_MODULES=(veth bridge sch_ingress cls_bpf nf_conntrack nf_tables nft_chain_nat nft_masq)

kernels_apt_begin() {
    KERNEL_APT=$(mktemp -d)
    mkdir -p "$KERNEL_APT"/{parts,backports/partial,machine/partial}
    cat >"$KERNEL_APT/parts/backports.sources" <<'SOURCES'
Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm-backports trixie-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
    KERNEL_APT_COMMON=(-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root)
}

kernels_apt_end() {
    [ -z "${KERNEL_APT:-}" ] || rm -rf "$KERNEL_APT"
}

# kernel_apt_choose KERNEL: the machine's own sources and lists, or sources and lists of our own, so
# that the machine's apt is not changed.
kernel_apt_choose() {
    KERNEL_APT_OPTIONS=("${KERNEL_APT_COMMON[@]}")
    if [ "$1" != 6.1 ]; then
        KERNEL_APT_OPTIONS+=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$KERNEL_APT/parts"
            -o "Dir::State::lists=$KERNEL_APT/backports")
        [ -e "$KERNEL_APT/backports/lock" ] || apt-get "${KERNEL_APT_OPTIONS[@]}" update -qq >/dev/null
    elif ! apt-cache show linux-image-cloud-amd64 >/dev/null 2>&1; then
        KERNEL_APT_OPTIONS+=(-o "Dir::State::lists=$KERNEL_APT/machine")
        apt-get "${KERNEL_APT_OPTIONS[@]}" update -qq >/dev/null
    fi
}

# kernel_apt TOOL ARGUMENT...
kernel_apt() {
    "$1" "${KERNEL_APT_OPTIONS[@]}" "${@:2}"
}

# kernel_packages KERNEL: names of the packages with the image and its modules, "NAME=VERSION" each.
kernel_packages() {
    kernel_apt apt-cache show linux-image-cloud-amd64 | awk -v kernel="$1" '
        $1 == "Version:" { version = $2; next }
        $1 != "Depends:" { next }
        kernel == "newest" || index(version, kernel ".") == 1 {
            # the newest comes first
            for (i = 2; i <= NF; i++)
                if ($i ~ /^linux-image-[0-9]/) { sub(/,$/, "", $i); image = $i }
            print version, image
            exit
        }' | {
        read -r version image || return 1
        echo "$image=$version"
        # since 7.x the image is a package that only depends on these two
        if [ -n "$(kernel_apt apt-cache show "${image/#linux-image/linux-binary}=$version" 2>/dev/null)" ]; then
            echo "${image/#linux-image/linux-binary}=$version"
            echo "${image/#linux-image/linux-modules}=$version"
        fi
    }
}

# kernel_depends FILE: what a module needs, one a line, with the underscores of its own name.
kernel_depends() {
    tr '\0' '\n' <"$1" | sed -n 's/^depends=//p' | tr ',-' '\n_'
}

# kernel_take_module ROOT NAME FOLDER: the module and before it what it depends on.
kernel_take_module() {
    local root=$1 name=$2 to=$3 file depends
    compgen -G "$to/*-$name.ko" >/dev/null && return
    file=$(find "$root" \( -name "$name.ko*" -o -name "${name//_/-}.ko*" \) -print -quit)
    [ -n "$file" ] || return 0
    case $file in
        *.xz) xz -dc "$file" ;;
        *.zst) zstd -qdc "$file" ;;
        *) cat "$file" ;;
    esac >"$to/$name.new"
    for depends in $(kernel_depends "$to/$name.new"); do
        kernel_take_module "$root" "$depends" "$to"
    done
    mv "$to/$name.new" "$(printf '%s/%02d-%s.ko' "$to" "$(find "$to" -name '*.ko' | wc -l)" "$name")"
}

# kernel_unpack KERNEL FOLDER: image and modules out of the packages in FOLDER/deb.
kernel_unpack() {
    local work=$1 deb image module
    for deb in "$work"/deb/*.deb; do
        dpkg-deb -x "$deb" "$work/root" || return 1
    done
    image=$(find "$work/root" -name 'vmlinuz*' -type f -print -quit)
    [ -n "$image" ] || return 1
    mkdir "$work/kernel" "$work/kernel/modules"
    cp "$image" "$work/kernel/vmlinuz"
    for module in "${KERNEL_MODULES[@]}"; do
        kernel_take_module "$work/root" "$module" "$work/kernel/modules"
    done
    echo "${KERNEL_MODULES[*]}" >"$work/kernel/wanted"
}

# kernel_get KERNEL: into $KERNELS/KERNEL; KERNEL is 6.1, 6.12 (backports) or newest.
kernel_get() {
    local kernel=$1 work packages=()
    [ "$(cat "$KERNELS/$kernel/wanted" 2>/dev/null)" != "${KERNEL_MODULES[*]}" ] || return 0
    kernel_apt_choose "$kernel" || return 1
    mapfile -t packages < <(kernel_packages "$kernel")
    [ ${#packages[@]} -gt 0 ] || return 1
    echo "fetching ${packages[*]}" >&2
    work=$(mktemp -d "$KERNELS/.get.XXXXXX")
    mkdir "$work/deb" "$work/root"
    (cd "$work/deb" && kernel_apt apt-get download -qq "${packages[@]}") >"$work/log" 2>&1 &&
        kernel_unpack "$work" && rm -rf "${KERNELS:?}/$kernel" && mv -T "$work/kernel" "$KERNELS/$kernel" || {
        cat "$work/log" >&2
        rm -rf "$work"
        return 1
    }
    rm -rf "$work"
}
