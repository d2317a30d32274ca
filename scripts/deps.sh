#!/usr/bin/env bash
# Install what building, testing and the demo need, on Debian 12. Needs root and the Debian archive.
set -euo pipefail

packages=(
    build-essential clang llvm cmake ninja-build pkg-config dpkg-dev clang-format clang-tidy
    libbpf-dev libelf-dev zlib1g-dev libnl-3-dev libnl-route-3-dev libyaml-dev uthash-dev
    libcmocka-dev linux-libc-dev bpftool
    containernetworking-plugins containerd runc iproute2 iptables nftables procps busybox-static jq python3
    python3-grpcio python3-protobuf protobuf-compiler
    shellcheck git
    python3-yaml python3-jsonschema systemd buildah
    nettle-dev prometheus chromium mandoc bash-completion
    libmicrohttpd-dev libgnutls28-dev openssl libssl-dev libnghttp2-dev nghttp2-proxy
)
# The folder that CMake looks in (FENCE_CJSON_DIR).
cjson_dir=${FENCE_CJSON_DIR:-/usr/local/src/podfence/cjson}
# And for libmicrohttpd (FENCE_MICROHTTPD_DIR).
microhttpd_dir=${FENCE_MICROHTTPD_DIR:-/usr/local/src/podfence/microhttpd}
# And for libcurl (FENCE_CURL_DIR).
curl_dir=${FENCE_CURL_DIR:-/usr/local/src/podfence/curl}
# Where test/conf/manifests.py looks (FENCE_KUBECTL).
kubectl_dir=/usr/local/src/podfence/kubernetes-client

if [ "$(id -u)" -ne 0 ]; then
    echo "deps.sh: installing packages needs root" >&2
    exit 1
fi

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done

export DEBIAN_FRONTEND=noninteractive
if [ ${#missing[@]} -gt 0 ]; then
    echo "installing ${missing[*]}"
    apt-get update -qq
    # no services: the containerd test starts its own
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# Debian's patched source of a package into work/source. The source lists of this machine are used as they are, with
# their types turned into source ones.
fetch_source() {
    local work=$1 package=$2 list
    mkdir -p "$work/parts" "$work/lists/partial" "$work/source"
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        [ -f "$list" ] || continue
        case $list in
            *.sources) grep -q /debian "$list" && sed -E 's/^Types:.*/Types: deb-src/' "$list" >"$work/parts/${list##*/}" ;;
            *) sed -nE '\|/debian|s/^deb(-src)? /deb-src /p' "$list" >"$work/parts/${list##*/}.list" ;;
        esac
    done
    apt_options=(-o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$work/parts" -o "Dir::State::lists=$work/lists" -o APT::Sandbox::User=root)
    apt-get "${apt_options[@]}" update -qq
    (cd "$work/source" && apt-get "${apt_options[@]}" source -qq "$package" >/dev/null)
}

# cJSON comes as Debian's patched source: the package has no static library.
if [ ! -f "$cjson_dir/cJSON.c" ]; then
    echo "fetching Debian's cJSON source"
    work=$(mktemp -d)
    fetch_source "$work" cjson
    mkdir -p "$cjson_dir"
    cp "$work"/source/cjson-*/cJSON.[ch] "$work"/source/cjson-*/LICENSE "$cjson_dir/"
    rm -rf "$work"
fi

# libmicrohttpd too: the package's libraries want GnuTLS and nine more libraries, for TLS that nobody asks for here.
# Its configuration is the same on every 64-bit machine with glibc, so that other architectures are built from it too.
if [ ! -f "$microhttpd_dir/MHD_config.h" ]; then
    echo "fetching and configuring Debian's libmicrohttpd source"
    work=$(mktemp -d)
    fetch_source "$work" libmicrohttpd
    (cd "$work"/source/libmicrohttpd-*/ && ./configure --disable-shared --disable-https --disable-dauth --disable-bauth \
        --disable-postprocessor --disable-httpupgrade --disable-doc --disable-examples --disable-curl --disable-messages \
        --disable-nls --disable-dependency-tracking --with-threads=posix >/dev/null 2>&1)
    rm -rf "$microhttpd_dir"
    mkdir -p "$microhttpd_dir"
    cp "$work"/source/libmicrohttpd-*/src/microhttpd/*.[ch] "$work"/source/libmicrohttpd-*/src/include/*.h \
        "$work"/source/libmicrohttpd-*/COPYING "$microhttpd_dir/"
    cp "$work"/source/libmicrohttpd-*/MHD_config.h "$microhttpd_dir/"
    rm -rf "$work"
fi

# And libcurl: Debian's libraries of it bring LDAP, SSH, Kerberos and more along, 15 libraries, none of which is used.
# TLS is Debian's OpenSSL, shared. Its configuration too is the same on every 64-bit machine with glibc.
if [ ! -f "$curl_dir/lib/curl_config.h" ]; then
    echo "fetching and configuring Debian's curl source"
    work=$(mktemp -d)
    fetch_source "$work" curl
    protocols=()
    for protocol in ftp file ldap ldaps rtsp proxy dict telnet tftp pop3 imap smb smtp gopher mqtt; do
        protocols+=("--disable-$protocol")
    done
    (cd "$work"/source/curl-*/ && ./configure --disable-shared --with-openssl --with-nghttp2 --with-zlib \
        --with-ca-bundle=/etc/ssl/certs/ca-certificates.crt --without-ca-path --enable-threaded-resolver \
        --without-brotli --without-zstd --without-libpsl --without-libidn2 --without-librtmp --without-libssh2 \
        --without-libgsasl "${protocols[@]}" --disable-manual --disable-libcurl-option --disable-ntlm --disable-tls-srp \
        --disable-unix-sockets --disable-cookies --disable-doh --disable-mime --disable-netrc --disable-progress-meter \
        --disable-alt-svc --disable-hsts --disable-aws --disable-crypto-auth --disable-headers-api \
        --disable-get-easy-options --disable-dependency-tracking >/dev/null 2>&1)
    rm -rf "$curl_dir"
    mkdir -p "$curl_dir/lib"
    (cd "$work"/source/curl-*/ && mv lib/curl_config.h . && cp -r include COPYING "$curl_dir/" &&
        cp -r lib/*.[ch] lib/vauth lib/vtls lib/vquic lib/vssh "$curl_dir/lib/" && cp curl_config.h "$curl_dir/lib/")
    rm -rf "$work"
fi

# Debian's kubectl renders the manifests too. Unpacked, not installed: another one may have its place.
if [ ! -x "$kubectl_dir/usr/bin/kubectl" ]; then
    echo "fetching Debian's kubectl"
    work=$(mktemp -d)
    [ ${#missing[@]} -gt 0 ] || apt-get update -qq
    (cd "$work" && apt-get -o APT::Sandbox::User=root download -qq kubernetes-client)
    dpkg -x "$work"/kubernetes-client_*.deb "$work/unpacked"
    mkdir -p "${kubectl_dir%/*}"
    rm -rf "$kubectl_dir"
    mv "$work/unpacked" "$kubectl_dir"
    rm -rf "$work"
fi
