# shellcheck shell=bash
# Real USB sticks: QEMU plugs them in, Debian's kernel and udev find them, every kind of file
# system that is promised. tests/vm/stick.py plugs and pulls. Needs qemu-system-x86, and minutes.

# shellcheck source=tests/vm/box.sh
. "$VM/box.sh"
# shellcheck source=tests/vm/machine.sh
. "$VM/machine.sh"

# A kernel, and what finds its disk without udev. USB controllers have their driver early, as on a Pi,
# whose kernel has it built in.
initramfs_ready() {
    # shellcheck disable=SC2016 # the system that gets the kernel knows its name
    in_box --setenv=DEBIAN_FRONTEND=noninteractive /bin/sh -euc '
        ls /boot/vmlinuz-* /bin/busybox >/dev/null 2>&1 || apt-get install --quiet --yes \
            --no-install-recommends linux-image-amd64 busybox-static cpio
        mkdir -p /run/lean/dev /run/lean/new
        cd /run/lean
        cp /bin/busybox .
        {
            printf "%s\n" "#!/busybox sh" "/busybox mount -t devtmpfs dev /dev"
            for module in virtio_blk ext4 xhci_pci; do
                modprobe --set-version "$(ls /lib/modules)" --show-depends "$module"
            done | while read -r verb path _; do
                name=$(basename "$path" .xz)
                [ "$verb" = insmod ] && [ ! -e "$name" ] || continue
                busybox xzcat "$path" >"$name"
                echo "/busybox insmod /$name"
            done
            echo "/busybox mount -t ext4 -o noatime /dev/vda /new"
            # For tests/vm/alone.py.
            echo "if [ -n \"\$ALONE\" ]; then"
            echo "  for kind in proc:proc sysfs:sys devtmpfs:dev tmpfs:run; do"
            echo "    /busybox mount -t \${kind%:*} \$kind /new/\${kind#*:}"
            echo "  done"
            echo "  export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8"
            echo "  /busybox chroot /new modprobe virtio_console"
            echo "  exec /busybox switch_root /new /usr/bin/python3 -IB /usr/local/lib/asked.py"
            echo "fi"
            echo "exec /busybox switch_root /new /sbin/init"
        } >init
        chmod +x init
        find . | cpio --quiet --create --format newc >/boot/lean.img'
}

trap 'umount --lazy "$BOX/tree" 2>/dev/null || true' EXIT
box_ready stick

# ---- A machine, made again when something of it changes

sums=$(cat "$BOX/tree/opt/truelight/.copied" "$BOX/made-from" "$VM"/{asked.py,machine.sh,stick.sh,stick.yaml} |
    sha256sum)
if [ "$sums" != "$(cat "$BOX/image-of" 2>/dev/null || true)" ]; then
    rm -f "$BOX/image-of"
    initramfs_ready
    cp "$REPOSITORY/tests/vm/stick.yaml" "$BOX/tree/etc/truelight/truelight.yaml"
    machine_ready "$BOX" "$BOX/tree"
    cp "$BOX/tree/boot/lean.img" "$BOX/small.img"
    echo "$sums" >"$BOX/image-of"
fi

# ---- Root's program alone, then the whole box

mkdir -p "$BOX/alone"
ln -sf ../vm.img ../vmlinuz ../small.img "$BOX/alone/"
[ -n "${STICKS:-}" ] || python3 -B "$VM/alone.py" "$BOX/alone" "${PULLS:-12}"

# 200 pulls: PULLS=200 tests/vm/run stick
# Some parts: STICKS='hub ntfs' tests/vm/run stick
rm -f "$BOX/display.hex"
# shellcheck disable=SC2086 # words
python3 -B "$VM/stick.py" "$BOX" "${PULLS:-12}" "${LONGEST:-5}" ${STICKS:-}

# ---- What its display showed

if [ -e "$BOX/display.hex" ]; then
    cp "$BOX/display.hex" "$BOX/tree/var/lib/truelight/display.hex"
    write_screens stick
fi
