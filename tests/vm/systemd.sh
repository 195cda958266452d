# shellcheck shell=bash
# The real units in a system that is booted: installed by setup.sh, with a stick that is a loop
# device, judged, reported on, watched, restarted, switched off. tests/vm/systemd.py looks on.

# shellcheck source=tests/vm/box.sh
. "$VM/box.sh"

LOOP=
NSPAWN=

box_ends() {
    [ -z "$NSPAWN" ] || kill "$NSPAWN" 2>/dev/null || true
    [ -z "$NSPAWN" ] || wait "$NSPAWN" || true
    [ -z "$LOOP" ] || losetup --detach "$LOOP" || true
    umount --lazy "$BOX/tree" 2>/dev/null || true
}
trap box_ends EXIT

# On another release: TRUELIGHT_SUITE=bookworm tests/vm/run systemd
[ -z "${TRUELIGHT_SUITE:-}" ] || root_ready "$TRUELIGHT_SUITE"
box_ready "systemd${TRUELIGHT_SUITE:+-$TRUELIGHT_SUITE}"
STICK=$BOX/stick.img

# A display that keeps what it is sent when the system goes down.
rm -f "$BOX/tree/var/tmp/display.hex" "$BOX/tree/var/lib/truelight/display.hex"
for packages in "$BOX"/tree/opt/truelight/.venv/lib/python3*/site-packages; do
    cp "$REPOSITORY/tests/vm/display.py" "$packages/display_kept.py"
    echo 'import sys; {"edge.box.panel.display", "run"} & set(sys.orig_argv) and __import__("display_kept")' \
        >"$packages/display.pth"
done

# ---- A stick

rm -rf "$BOX/things"
mkdir -p "$BOX/things/album"
cp "$BOX"/tree/var/tmp/clips/*.mp4 "$BOX/things/album/"
echo "Dear all" >"$BOX/things/letter.txt"
rm -f "$STICK"
# A name that would write to the reader's terminal, by escapes of one and two bytes.
cp "$BOX/tree/var/tmp/clips/broken.mp4" \
    "$BOX/things/album/$(printf 'x\e]0;pwned\a\e[31mRED\e[2J\xe2\x80\xae\xc2\x9b31m.mp4')"
truncate --size=64M "$STICK"
mkfs.ext4 -q -L "My Stick" -d "$BOX/things" "$STICK"
LOOP=$(losetup --find --show "$STICK")

# What a process that was taken over may try in its unit, which sees neither /run nor /var.
mkdir -p "$BOX/tree/usr/local/lib/takeover"
cp "$REPOSITORY/tests/vm/takeover.py" "$BOX/tree/usr/local/lib/takeover/"
cp "$REPOSITORY/tests/takeover.py" "$BOX/tree/usr/local/lib/takeover/attempts.py"

# ---- Boot it

# nspawn's own filter knows the calls of Landlock in newer versions only.
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --register=no --keep-unit --boot \
    --system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self" \
    --console=read-only --private-network --directory="$BOX/tree" --hostname=truelight \
    --bind-ro="$REPOSITORY:/run/source" --bind="$LOOP" >"$BOX/console.log" 2>&1 </dev/null &
NSPAWN=$!
INIT=
while [ -z "$INIT" ]; do
    kill -0 "$NSPAWN" || { cat "$BOX/console.log" && exit 1; }
    INIT=$(pgrep --parent "$NSPAWN" || true)
    sleep 0.1
done
nsenter --target "$INIT" --all --wd=/ /usr/bin/python3 -B /run/source/tests/vm/systemd.py \
    "${LOOP#/dev/}" "${PULLS:-10}"

# ---- It switches itself off

STARTED=$SECONDS
while kill -0 "$NSPAWN" 2>/dev/null; do
    [ $((SECONDS - STARTED)) -lt 60 ] || { tail "$BOX/console.log" && exit 1; }
    sleep 0.1
done
NSPAWN=
echo "switched off $((SECONDS - STARTED)) s after it was asked for"
write_screens systemd last
# A unit that systemd left out, since the order of all was a circle.
if in_box journalctl --quiet --merge --no-pager | grep "ordering cycle"; then exit 1; fi

# ---- What is on the stick now

losetup --detach "$LOOP"
LOOP=
rm -rf "$BOX/after"
mkdir "$BOX/after"
debugfs -R "rdump / $BOX/after" "$STICK" 2>/dev/null
(cd "$BOX/things" && find . -type f -print0 | sort --zero-terminated | xargs -0 sha256sum) \
    >"$BOX/before.sums"
(cd "$BOX/after" && sha256sum --check --quiet "$BOX/before.sums")
(cd "$BOX/after" && ls) | diff - <(printf '%s\n' album letter.txt lost+found \
    TRUELIGHT-REPORT.html truelight-report.json | LC_ALL=C sort)
e2fsck -fn "$STICK" >/dev/null
echo "the stick holds what it held and the report, and nothing else; e2fsck finds it clean"
