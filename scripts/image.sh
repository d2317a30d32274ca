#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The daemon's image, from scratch: podfenced, podfencectl, the plugin that they install, and the libraries that they
# need. Nothing is run inside, and nothing is fetched but Debian's packages for another architecture.
#   scripts/image.sh [amd64|arm64]...   build/podfence-VERSION-ARCH.tar each, OCI archives [this machine's]
# As root, after scripts/deps.sh. Another architecture than this machine's needs its cross compiler
# (gcc-aarch64-linux-gnu, gcc-x86-64-linux-gnu); its libraries go into build/ARCH, and nothing of it is installed.
set -euo pipefail

cd "$(dirname "$0")/.."
version=$(sed -nE 's/^project\(podfence VERSION ([0-9.]+).*/\1/p' CMakeLists.txt)
own=$(dpkg --print-architecture)
out=$(realpath -m "${BUILD_DIR:-build}")
name=localhost/podfence:$version
limit=$((20 * 1000 * 1000))
declare -A triplet=([amd64]=x86_64-linux-gnu [arm64]=aarch64-linux-gnu)
declare -A processor=([amd64]=x86_64 [arm64]=aarch64)
declare -A interpreter=([amd64]=lib64/ld-linux-x86-64.so.2 [arm64]=lib/ld-linux-aarch64.so.1)
# What scripts/deps.sh installs for this machine, without what only builds and tests.
packages=(libc6 libc6-dev linux-libc-dev libcrypt-dev libgcc-s1 libbpf1 libbpf-dev libelf1 libelf-dev zlib1g zlib1g-dev
    libnl-3-200 libnl-3-dev libnl-route-3-200 libnl-route-3-dev libyaml-0-2 libyaml-dev uthash-dev nettle-dev
    libssl3 libssl-dev libnghttp2-dev)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ---- building for another architecture -----------------------------------------------------------

# Debian's libraries of that architecture, unpacked; the machine's own package lists stay as they are.
make_sysroot() {
    local arch=$1 root=$2 link
    local -a apt=(apt-get -qq -o "APT::Architecture=$arch" -o "APT::Architectures::=$arch" -o "Dir::State::lists=$work/lists"
        -o Dir::State::status=/dev/null -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
    [ ! -e "$root/.complete" ] || return 0
    rm -rf "$root"
    mkdir -p "$root" "$work/lists/partial" "$work/cache/archives/partial" "$work/packages"
    "${apt[@]}" update
    (cd "$work/packages" && "${apt[@]}" download "${packages[@]}")
    for link in "$work"/packages/*.deb; do
        dpkg-deb -x "$link" "$root"
    done
    find "$root" -type l -lname '/*' -printf '%p %l\n' | while read -r link to; do
        ln -sfn "$(realpath -sm --relative-to="$(dirname "$link")" "$root$to")" "$link"
    done
    touch "$root/.complete"
}

cross_build() {
    local arch=$1 root=$2 build=$3 compiler=${triplet[$1]}-gcc
    command -v "$compiler" >/dev/null || {
        echo "image.sh: no $compiler here: apt-get install gcc-${triplet[$arch]//_/-}" >&2
        exit 1
    }
    make_sysroot "$arch" "$root"
    PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$root/usr/lib/${triplet[$arch]}/pkgconfig:$root/usr/share/pkgconfig \
        BUILD_DIR=$build scripts/build.sh -DBUILD_TESTING=OFF -DCMAKE_SYSTEM_NAME=Linux \
        -DCMAKE_SYSTEM_PROCESSOR="${processor[$arch]}" -DCMAKE_C_COMPILER="$compiler" -DCMAKE_SYSROOT="$root" \
        -DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY \
        -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY
}

# ---- the image -----------------------------------------------------------------------------------

# Storage of its own: no containers of this machine are touched, and no file system needs overlays.
buildah() {
    command buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"
}

# library ARCH SYSROOT SONAME: its file
library() {
    local folder
    for folder in "$2"/{usr/,}lib/{"${triplet[$1]}",}; do
        [ ! -e "$folder/$3" ] || {
            readlink -f "$folder/$3"
            return
        }
    done
    echo "image.sh: there is no $3 for $1" >&2
    return 1
}

# copy_libraries ARCH SYSROOT FILE FOLDER: those that the file asks for, and those that these ask for
copy_libraries() {
    local arch=$1 root=$2 file=$3 folder=$4 soname
    for soname in $(readelf -d "$file" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p'); do
        case $soname in ld-linux*) continue ;; esac
        [ ! -e "$folder/$soname" ] || continue
        install -m 755 "$(library "$arch" "$root" "$soname")" "$folder/$soname"
        copy_libraries "$arch" "$root" "$folder/$soname" "$folder"
    done
}

# make_root ARCH SYSROOT BUILD ROOT: the image's files
make_root() {
    local arch=$1 sysroot=$2 build=$3 root=$4 program
    local libraries=$root/usr/lib/${triplet[$arch]} installed=$work/installed-$arch
    mkdir -p "$root"/{dev,etc,proc,sys,tmp,run,var/lib,usr/bin,usr/sbin,usr/libexec/cni} "$libraries"
    ln -s ../run "$root/var/run" # libcni's cache names namespaces below /var/run
    DESTDIR=$installed cmake --install "$build" --prefix /usr >/dev/null
    for program in bin/podfencectl sbin/podfenced libexec/cni/podfence; do
        "${triplet[$arch]}-strip" -o "$root/usr/$program" "$installed/usr/$program"
        chmod 755 "$root/usr/$program"
        copy_libraries "$arch" "$sysroot" "$root/usr/$program" "$libraries"
    done
    install -D -m 755 "$(library "$arch" "$sysroot" "$(basename "${interpreter[$arch]}")")" "$root/${interpreter[$arch]}"
    ln -s podfencectl "$root/usr/bin/kubectl-podfence"
    echo 'root:x:0:0:root:/:/usr/sbin/nologin' >"$root/etc/passwd"
    install -D -m 644 LICENSE "$root/usr/share/doc/podfence/LICENSE"
}

pack() {
    local arch=$1 root=$2 archive=$out/podfence-$version-$1.tar container size
    # one time for every file and layer: the same sources make the same digests
    local made=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
    container=$(buildah from --arch "$arch" scratch)
    buildah copy --quiet "$container" "$root" / >/dev/null
    buildah config --os linux --arch "$arch" --entrypoint '["podfenced"]' --cmd '["--help"]' \
        --env PATH=/usr/sbin:/usr/bin --workingdir / \
        --label org.opencontainers.image.title=podfence \
        --label "org.opencontainers.image.description=Pod micro-segmentation as a chained CNI plugin" \
        --label "org.opencontainers.image.version=$version" \
        --label "org.opencontainers.image.revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
        --label org.opencontainers.image.licenses=Apache-2.0 "$container"
    rm -f "$archive"
    buildah commit --quiet --format oci --disable-compression=false --timestamp "$made" "$container" "oci-archive:$archive:$name" >/dev/null
    buildah rm "$container" >/dev/null
    size=$(stat -c %s "$archive")
    printf '%s: %s, %d.%d MB\n' "$arch" "$archive" $((size / 1000000)) $((size / 100000 % 10))
    [ "$size" -lt "$limit" ] || {
        echo "image.sh: that is more than $((limit / 1000000)) MB" >&2
        exit 1
    }
}

for arch in "${@:-$own}"; do
    [ -n "${triplet[$arch]:-}" ] || {
        echo "image.sh: $arch is none of ${!triplet[*]}" >&2
        exit 2
    }
    sysroot='' build=$out
    if [ "$arch" = "$own" ]; then
        BUILD_DIR=$build scripts/build.sh
    else
        sysroot=$out/$arch/sysroot build=$out/$arch/build
        cross_build "$arch" "$sysroot" "$build"
    fi
    make_root "$arch" "$sysroot" "$build" "$work/root-$arch"
    pack "$arch" "$work/root-$arch"
done
