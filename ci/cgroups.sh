#!/usr/bin/env bash
# Tries bounds by cgroup v2 on a machine that has them, whatever this one has: boots a kernel of
# Debian in QEMU, without KVM, with the tests of cgroups and nothing else in it. Takes a minute or
# two. Needs Debian's qemu-system-x86, cpio and busybox-static, and a kernel: VM_KERNEL=FILE, else
# the one of linux-image-cloud-amd64 is fetched with apt-get. Exits 77 when something is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

missing() {
    echo "SKIPPED cgroups: $*"
    exit 77
}
for tool in qemu-system-x86_64 cpio busybox; do
    command -v "$tool" >/dev/null || missing "there is no $tool"
done
work=$PWD/target/vm
mkdir -p "$work"
kernel=${VM_KERNEL:-}
if [ -z "$kernel" ]; then
    kernel=$work/vmlinuz
    if [ ! -e "$kernel" ]; then
        package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
            sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
        [ -n "$package" ] || missing "there is no linux-image-cloud-amd64"
        (cd "$work" && apt-get download -qq "$package") || missing "$package can't be fetched"
        dpkg-deb -x "$work/$package"_*.deb "$work/kernel"
        cp "$work"/kernel/boot/vmlinuz-* "$kernel"
    fi
fi

# A program of tests, by what cargo says of it: its name, and what is to be built.
built() {
    cargo test --workspace --no-run --quiet --message-format=json "${@:2}" |
        grep -F "\"name\":\"$1\"" | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}
attack=$(built attack --test attack)
[ -x "$attack" ] || { echo "FAILED cgroups: nothing was built"; exit 1; }

root=$work/root
rm -rf "$root"
mkdir -p "$root"/{bin,dev,etc,proc,run,sys,tmp,usr/bin,var}
# At the same path, with what it needs; without what only a debugger reads.
take() {
    local file
    for file in "$@"; do
        mkdir -p "$root$(dirname "$file")"
        strip -g -o "$root$file" "$(readlink -f "$file")" 2>/dev/null ||
            cp -L "$file" "$root$file"
        { ldd "$file" 2>/dev/null | grep -o '/[^ ]*' || true; } | while read -r library; do
            [ -e "$root$library" ] && continue
            mkdir -p "$root$(dirname "$library")"
            cp -L "$library" "$root$library"
        done
    done
}
take "$PWD/target/debug/cronapi" "$attack" /bin/sh
for tool in bash cat date echo env grep head ls mkdir rm seq setsid sleep tail true; do
    take "$(type -P "$tool")"
done
take "$(type -P busybox)"
printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
cat >"$root/init" <<END
#!$(command -v busybox) sh
export PATH=/bin:/usr/bin:/sbin:/usr/sbin
b=$(command -v busybox)
\$b mount -t proc proc /proc; \$b mount -t sysfs sysfs /sys; \$b mount -t devtmpfs dev /dev
\$b mount -t cgroup2 cgroup2 /sys/fs/cgroup; \$b mount -t tmpfs tmpfs /tmp; \$b chmod 1777 /tmp
\$b ifconfig lo 127.0.0.1 up
\$b ln -s /proc/self/fd /dev/fd
\$b mkdir -p $PWD; cd $PWD
$attack --nocapture --test-threads 1 bounds:: isolation::; echo "status of attack: \$?"
\$b poweroff -f
END
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/image"
timeout 600 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 3072 -nographic \
    -no-reboot -nic none -kernel "$kernel" -initrd "$work/image" \
    -append "console=ttyS0 panic=-1 loglevel=1" </dev/null 2>&1 | tr -d '\r' | tee "$work/log" |
    sed -n '/^running\|^test \|^SKIPPED\|^status\|panicked\|^  left\|^ right/p'
sums=$(awk '/^test result: / {
    for (i = 2; i <= NF; i++) {
        if ($i ~ /^passed/) p += $(i - 1)
        if ($i ~ /^failed/) f += $(i - 1)
    }
} END { print p + 0, f + 0 }' "$work/log")
skipped=$(grep -c '^SKIPPED ' "$work/log" || true)
read -r passed failed <<<"$sums"
if ! grep -q '^status of attack: 0$' "$work/log" && [ "$failed" -eq 0 ]; then
    failed=1
    tail -n 30 "$work/log"
fi
echo "$((passed - skipped)) passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
