#!/usr/bin/env bash
# Makes a release of what is checked out, for this machine's architecture, under
# target/release-VERSION: the binary without debug information, as a tarball and as a Debian
# package, a bill of materials, and checksums of them all. `make release` calls it. Then everything
# is tried: the tarball is unpacked and its binary asked, the package's files are listed; with
# CLEAN_ROOT=DIR (a root of Debian) the package is installed there, and a node is started and asked.
#
# CRONAPI_BIN=path  takes that binary instead of building one.
# The same sources give the same archives: times are those of the last commit.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
machine=$(uname -m)
architecture=$(dpkg --print-architecture 2>/dev/null || echo "$machine")
out=$PWD/target/release-$version
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.lock)
export SOURCE_DATE_EPOCH

fail() {
    echo "FAILED release: $*"
    exit 1
}

if [ -z "${CRONAPI_BIN:-}" ]; then
    cargo build --release --locked --bin cronapi
    CRONAPI_BIN=target/release/cronapi
fi
rm -rf "$out"
mkdir -p "$out"
strip --strip-all -o "$work/cronapi" "$CRONAPI_BIN"
[ "$("$work/cronapi" --version)" = "cronapi $version" ] || fail "the binary is of another version"

# The tarball: the binary, the unit, completions, examples, what the licence asks for.
name=cronapi-$version-$machine-linux
root=$work/$name
install -D -m 0755 "$work/cronapi" "$root/cronapi"
install -D -m 0644 packaging/cronapi.service "$root/cronapi.service"
install -D -m 0644 packaging/cronapi-job-account.conf "$root/cronapi-job-account.conf"
for shell in bash zsh fish; do
    mkdir -p "$root/completions"
    "$work/cronapi" completion "$shell" >"$root/completions/cronapi.$shell"
done
cp -r examples "$root/"
cp LICENSE README.md CHANGELOG.md SECURITY.md "$root/"
archive() {
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
        -C "$(dirname "$1")" -c "$(basename "$1")" | gzip -n -9
}
archive "$root" >"$out/$name.tar.gz"

# The package. Its programs are those of the image: certificates for calls, Python for jobs.
if command -v dpkg-deb >/dev/null; then
    package=$work/package
    install -D -m 0755 "$work/cronapi" "$package/usr/bin/cronapi"
    mkdir -p "$package/lib/systemd/system" "$package/usr/share/doc/cronapi" "$package/DEBIAN"
    sed 's|/usr/local/bin/cronapi|/usr/bin/cronapi|' packaging/cronapi.service \
        >"$package/lib/systemd/system/cronapi.service"
    install -D -m 0644 "$root/completions/cronapi.bash" \
        "$package/usr/share/bash-completion/completions/cronapi"
    install -D -m 0644 "$root/completions/cronapi.zsh" \
        "$package/usr/share/zsh/vendor-completions/_cronapi"
    install -D -m 0644 "$root/completions/cronapi.fish" \
        "$package/usr/share/fish/vendor_completions.d/cronapi.fish"
    gzip -n -9 -c CHANGELOG.md >"$package/usr/share/doc/cronapi/changelog.gz"
    cp -r examples "$package/usr/share/doc/cronapi/"
    {
        echo 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/'
        echo 'Upstream-Name: cronapi'
        echo
        echo 'Files: *'
        echo 'Copyright: the CronAPI authors'
        echo 'License: Apache-2.0'
        echo ' On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.'
    } >"$package/usr/share/doc/cronapi/copyright"
    # What the binary is linked with says which system it needs.
    glibc=$(grep -ao 'GLIBC_2\.[0-9]*' "$work/cronapi" | sort -Vu | tail -n 1 | cut -d_ -f2)
    cat >"$package/DEBIAN/control" <<END
Package: cronapi
Version: $version
Section: admin
Priority: optional
Architecture: $architecture
Depends: libc6 (>= $glibc), libgcc-s1, passwd
Recommends: ca-certificates, python3 (>= 3.8)
Installed-Size: $(du -sk "$package" | cut -f1)
Maintainer: the CronAPI authors <cronapi@localhost>
Description: clustered job scheduler managed over REST
 Jobs are Python functions, shell commands or HTTP calls with cron schedules,
 dependencies, chains and parameters. Every nominal time of every enabled job
 ends in exactly one durable, explained outcome.
END
    # Jobs get an account of their own, which the package makes.
    install -D -m 0644 packaging/cronapi-job-account.conf \
        "$package/lib/systemd/system/cronapi.service.d/job-account.conf"
    # Neither enabled nor started by itself: a cluster is told first who its nodes are.
    cat >"$package/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
if [ "$1" = configure ] && ! getent passwd cronapi-job >/dev/null; then
    useradd --system --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin cronapi-job
fi
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
END
    cat >"$package/DEBIAN/prerm" <<'END'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl stop cronapi || true; fi
END
    chmod 0755 "$package/DEBIAN/postinst" "$package/DEBIAN/prerm"
    find "$package" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz --build "$package" \
        "$out/cronapi_${version}_$architecture.deb" >/dev/null
else
    echo "SKIPPED release: no dpkg-deb, so no Debian package"
fi

python3 ci/supply.py sbom "$out/cronapi-$version.cdx.json"
(cd "$out" && sha256sum -- * >SHA256SUMS)

# Tried, as it will be got.
(cd "$out" && sha256sum --quiet -c SHA256SUMS) || fail checksums
mkdir "$work/unpacked"
tar -C "$work/unpacked" -xzf "$out/$name.tar.gz"
[ "$("$work/unpacked/$name/cronapi" --version)" = "cronapi $version" ] || fail "the tarball"
deb=$out/cronapi_${version}_$architecture.deb
if [ -f "$deb" ]; then
    dpkg-deb --contents "$deb" >"$work/contents"
    grep -q ' ./usr/bin/cronapi$' "$work/contents" || fail "the package"
    grep -q '/cronapi.service.d/job-account.conf$' "$work/contents" || fail "the job account"
fi
if [ -n "${CLEAN_ROOT:-}" ] && [ -f "$deb" ]; then
    cp "$deb" "$CLEAN_ROOT/cronapi.deb"
    # A network of its own, so that any port is free.
    unshare -n chroot "$CLEAN_ROOT" /bin/sh -euc '
        dpkg -i /cronapi.deb >/dev/null
        grep -q "^cronapi-job:" /etc/passwd
        (ip link set lo up || python3 -c "
import fcntl, socket, struct
s = socket.socket()
fcntl.ioctl(s, 0x8914, struct.pack(\"16sh\", b\"lo\", 0x41))") 2>/dev/null
        cd /tmp
        CRONAPI_ADMIN_PASSWORD=correct-horse cronapi serve --data /tmp/state >/tmp/log 2>&1 &
        tries=0
        until cronapi health >/dev/null 2>&1; do
            tries=$((tries + 1)); [ "$tries" -lt 300 ] || { cat /tmp/log; exit 1; }
            sleep 0.1
        done
        CRONAPI_PASSWORD=correct-horse cronapi login --user admin
        cronapi apply -f /usr/share/doc/cronapi/examples/hello.yaml
        cronapi run hello --follow | grep -qx "Hello, World!"
        kill "$(cat /tmp/state/LOCK)"; wait
        dpkg -r cronapi >/dev/null
        test ! -e /usr/bin/cronapi
        rm -rf /cronapi.deb /tmp/state /tmp/log' || fail "the package on a clean root"
    echo "tried on $(cat "$CLEAN_ROOT/etc/debian_version"): installed, a job run, removed"
fi
ls -l "$out"
