# shellcheck shell=bash
# arm64, as on a Pi: setup.sh installs from the lock files, unit tests pass, the clips get the
# findings that they get on this machine, and the sandbox of the decoder process holds under a
# kernel for arm64. Programs are emulated; for the last, a whole machine is.
# Needs qemu-user-static, arch-test and qemu-system-arm.

# shellcheck source=tests/vm/box.sh
. "$VM/box.sh"
# shellcheck source=tests/vm/emulation.sh
. "$VM/emulation.sh"
# shellcheck source=tests/vm/machine.sh
. "$VM/machine.sh"

BOX=
arm64_ends() {
    [ -z "$BOX" ] || umount --lazy "$BOX/tree" 2>/dev/null || true
    emulation_ends
}
trap arm64_ends EXIT
emulation_begins

# ---- What this machine says of the clips

HERE=$ROOT
MATERIALS=$CACHE/arm64-clips
mkdir -p "$MATERIALS/clips" "$MATERIALS/models"
on_this_machine() { # COMMAND...
    in_root --console=pipe --bind="$MATERIALS:/run/materials" \
        --bind-ro="$CERTIFICATES:/run/certificates" --setenv=SSL_CERT_FILE=/run/certificates \
        --setenv=TRUELIGHT_MODELS=/run/materials/models --setenv=PYTHONDONTWRITEBYTECODE=1 \
        --setenv=PYTHONPATH=/opt/truelight:/opt/truelight/samples --chdir=/opt/truelight "$@"
}
on_this_machine /opt/python/bin/python -m edge.cli.main models fetch
[ -n "$(ls "$MATERIALS/clips")" ] ||
    on_this_machine /opt/python/bin/python -c '
import reference_clips, sys; from pathlib import Path
reference_clips.PHOTOS = Path("/run/materials/faces")
made = reference_clips.make_clips(Path(sys.argv[1]))
for clip in sorted(made)[8:]: clip.unlink()  # emulated, one takes a while' /run/materials/clips
# shellcheck disable=SC2016
on_this_machine /bin/sh -c '/opt/python/bin/python -m edge.cli.main scan --json /run/materials/clips
    [ $? -le 1 ]' >"$MATERIALS/amd64.jsonl"

# ---- Install

root_ready trixie arm64
box_root_ready arm64
cpuinfo 0xd08 >"$BOX/cortex-a72"
cpuinfo 0xd0b >"$BOX/cortex-a76"

on_arm() { # PROCESSOR COMMAND...
    local processor=$1
    shift
    # shellcheck disable=SC2016
    in_box --setenv=QEMU_CPU="$processor" --bind-ro="$BOX/$processor:/run/cpuinfo" \
        --bind-ro="$MATERIALS:/run/materials" --setenv=PYTHONDONTWRITEBYTECODE=1 \
        /bin/sh -euc 'mount --bind /run/cpuinfo /proc/cpuinfo; exec "$@"' - "$@"
}
SECONDS=0
on_arm cortex-a72 /run/source/setup.sh install --anyway --without-second
echo "installed for arm64 after $SECONDS s"
# shellcheck disable=SC2016
on_arm cortex-a72 /opt/truelight/.venv/bin/python -c '
import importlib.metadata as of, platform
print(platform.machine(), *(f"{name} {of.version(name)}" for name in ("av", "onnxruntime", "ai-edge-litert", "numpy")))'

PYTHON=/opt/truelight/.venv/bin/python

# ---- The same findings

for processor in cortex-a72 cortex-a76; do
    SECONDS=0
    # shellcheck disable=SC2016
    on_arm "$processor" /bin/sh -c 'truelight scan --json /run/materials/clips; [ $? -le 1 ]' \
        >"$MATERIALS/$processor.jsonl"
    python3 "$VM/same_findings.py" "$MATERIALS/amd64.jsonl" "$MATERIALS/$processor.jsonl"
    echo "emulating a $processor: the same findings, $SECONDS s"
done

# ---- Unit tests

rm -rf "$BOX/tree/var/tmp/source" && mkdir "$BOX/tree/var/tmp/source"
cp -r "$REPOSITORY"/{edge,tests,samples,models,config,pyproject.toml} "$BOX/tree/var/tmp/source/"
python3 "$VM/locked.py" "$REPOSITORY/constraints/test.txt" pytest pluggy iniconfig packaging \
    pygments pytest-timeout hypothesis sortedcontainers onnx protobuf ml-dtypes \
    typing-extensions jsonschema jsonschema-specifications referencing rpds-py attrs \
    >"$BOX/tree/var/tmp/tests.txt"
on_arm cortex-a72 "$PYTHON" -m pip install --quiet --require-hashes --no-deps \
    --only-binary :all: --requirement /var/tmp/tests.txt
SECONDS=0
# Emulated, they take ten times as long: those of arithmetic, decoding and networks. The emulator
# needs address space of its own and sets no limit on it: the test that is left out here runs in the
# machine below.
on_arm cortex-a72 /bin/sh -euc 'cd /var/tmp/source; \
    TRUELIGHT_MODELS=/opt/truelight/third_party/blazeface exec "$@"' - \
    "$PYTHON" -m pytest -q -p no:cacheprovider -o timeout=1800 \
    tests/test_text.py tests/scan/test_timestamps.py tests/scan/test_sampling.py \
    tests/scan/test_tracker.py tests/scan/test_crops.py tests/scan/test_inference.py \
    tests/scan/test_process.py \
    --deselect tests/scan/test_process.py::test_the_decoder_holds_only_what_it_needs
echo "unit tests under arm64: $SECONDS s"

# ---- The sandbox under a kernel for arm64

rm -rf "$BOX/tree/var/tmp/clips" && cp -r "$MATERIALS/clips" "$BOX/tree/var/tmp/clips"
machine_patient "$BOX/tree"
machine_ready "$BOX" "$BOX/tree"
cp "$BOX"/tree/boot/initrd.img-* "$BOX/small.img"
python3 -B "$VM/arm64.py" "$BOX"
ROOT=$HERE
