# shellcheck shell=bash
# arm64, as on a Pi: setup.sh installs from the lock files, the clips get the findings that they get
# on this machine, unit tests pass, and the sandbox of the decoder process holds under kernels for
# arm64 with pages of 4 and of 16 KiB (a Pi 5 has the latter). Programs are emulated by qemu-user;
# for the last, whole machines are.
#
#     TRUELIGHT_ARM64="install findings units machines"    some of these steps; all of them without
#     TRUELIGHT_ARM64_PROCESSORS=cortex-a76                of the step `findings`; cortex-a72 as well
#     TRUELIGHT_ARM64_TESTS="tests/scan tests/history"     tests that the step `units` runs
#     TRUELIGHT_ARM64_KERNEL_TESTS=tests/scan/test_sandbox.py    and the step `machines`
#     TRUELIGHT_ARM64_PAGES=16k                            its sizes of pages; 4k as well without
#
# The step `units` keeps what each test said in artifacts/arm64-units, and goes on there: a test runs
# again when it failed, or when its file or the program has changed.
# Needs qemu-user-static, arch-test and qemu-system-arm.

# shellcheck source=tests/vm/box.sh
. "$VM/box.sh"
# shellcheck source=tests/vm/emulation.sh
. "$VM/emulation.sh"

STEPS=${TRUELIGHT_ARM64:-install findings units machines}
# What a processor can change comes first: processes, models, decoders. Front doors, pages and
# networks of Dask take hours here; PyTorch is never on a box.
TESTS=(tests/scan/test_{process,inference,images,formats,video,decoders,detectors,second_opinion}.py
    tests/scan/test_{confined_model,model_unit,scanner,crops,saliency,colours}.py
    tests/scan tests/box/sources tests/box/panel tests/box tests/doctor tests/history
    tests/test_{text,atomic_write,settings,language}.py)
[ -z "${TRUELIGHT_ARM64_TESTS:-}" ] || read -ra TESTS <<<"$TRUELIGHT_ARM64_TESTS"
BOX=
arm64_ends() {
    [ -z "$BOX" ] || umount --lazy "$BOX/tree" 2>/dev/null || true
    emulation_ends
}
trap arm64_ends EXIT
emulation_begins

HERE=$ROOT
MATERIALS=$CACHE/arm64-clips
PYTHON=/opt/truelight/.venv/bin/python
mkdir -p "$MATERIALS/clips" "$MATERIALS/models"

on_this_machine() { # COMMAND...
    ROOT=$HERE in_root --console=pipe --bind="$MATERIALS:/run/materials" \
        --bind-ro="$CERTIFICATES:/run/certificates" --setenv=SSL_CERT_FILE=/run/certificates \
        --setenv=PIP_CERT=/run/certificates --setenv=TRUELIGHT_MODELS=/run/materials/models --setenv=PYTHONDONTWRITEBYTECODE=1 \
        --setenv=PYTHONPATH=/opt/truelight:/opt/truelight/samples --chdir=/opt/truelight "$@"
}

on_arm() { # PROCESSOR COMMAND...
    local processor=$1
    shift
    # shellcheck disable=SC2016
    in_box --setenv=QEMU_CPU="$processor" --bind-ro="$BOX/$processor:/run/cpuinfo" \
        --bind="$MATERIALS:/run/materials" --setenv=PYTHONDONTWRITEBYTECODE=1 \
        --bind="$ARTIFACTS:/run/artifacts" --setenv=EMULATOR=qemu-user \
        /bin/sh -euc 'mount --bind /run/cpuinfo /proc/cpuinfo; exec "$@"' - "$@"
}

arm64_install() {
    on_arm cortex-a72 /run/source/setup.sh install --anyway --without-second
    # shellcheck disable=SC2016
    on_arm cortex-a72 "$PYTHON" -c '
import importlib.metadata as of, platform
print(platform.machine(), *(f"{name} {of.version(name)}" for name in ("av", "onnxruntime", "ai-edge-litert", "numpy")))'
}

# Clips of every verdict, by both models: what this machine says, and what the emulated processors say.
arm64_findings() {
    local processor began
    on_this_machine /opt/python/bin/python -m edge.cli.main models fetch
    on_this_machine /opt/python/bin/python -m edge.cli.main models add thorough \
        --folder /run/materials/bundles
    cat >"$MATERIALS/settings.yaml" <<'SETTINGS'
second_opinion: {bundle: /run/materials/bundles/thorough, seconds: 3600}
SETTINGS
    rm -rf "$MATERIALS/clips" && mkdir "$MATERIALS/clips"
    on_this_machine /opt/python/bin/python -P tests/vm/small_clips.py /run/materials/faces /run/materials/clips
    # shellcheck disable=SC2016
    on_this_machine /bin/sh -c '
        /opt/python/bin/python -m edge.cli.main scan --json --config /run/materials/settings.yaml /run/materials/clips
        [ $? -le 1 ]' >"$MATERIALS/amd64.jsonl"
    for processor in ${TRUELIGHT_ARM64_PROCESSORS:-cortex-a76 cortex-a72}; do
        began=$SECONDS
        # shellcheck disable=SC2016
        on_arm "$processor" /bin/sh -c '
            "$0" /run/source/tests/vm/emulated.py scan --json --config /run/materials/settings.yaml /run/materials/clips
            [ $? -le 1 ]' "$PYTHON" >"$MATERIALS/$processor.jsonl"
        python3 "$VM/same_findings.py" "$MATERIALS/amd64.jsonl" "$MATERIALS/$processor.jsonl"
        echo "emulating a $processor: the same findings, $((SECONDS - began)) s"
    done
}

# The tests, and what they need, in /var/tmp/source and /var/tmp/packages. This machine's pip fetches
# the packages: emulated, it takes minutes.
arm64_tests_ready() {
    local source=$BOX/tree/var/tmp/source packages
    rm -rf "$source" && mkdir "$source"
    (cd "$REPOSITORY" && git ls-files -z | xargs -0 cp --parents -t "$source")
    mkdir "$source/third_party" && cp -r "$MATERIALS/faces" "$source/third_party/"
    cp -r "$MATERIALS/models" "$source/third_party/blazeface"
    python3 "$VM/locked.py" "$REPOSITORY/constraints/test.txt" pytest pluggy iniconfig packaging \
        pygments pytest-timeout hypothesis sortedcontainers onnx protobuf ml-dtypes \
        typing-extensions jsonschema jsonschema-specifications referencing rpds-py attrs babel \
        >"$MATERIALS/tests.txt"
    packages=$MATERIALS/packages-$(sha256sum <"$MATERIALS/tests.txt" | cut -c 1-16)
    if [ ! -d "$packages" ]; then
        rm -rf "$MATERIALS/packages"
        # shellcheck disable=SC2016
        on_this_machine /bin/sh -c '
            for release in 17 24 26 27 28 31; do
                set -- "$@" --platform "manylinux_2_${release}_aarch64"
            done
            /opt/python/bin/pip install --quiet --no-cache-dir --require-hashes --no-deps \
                --only-binary :all: --platform manylinux2014_aarch64 "$@" \
                --target /run/materials/packages --requirement /run/materials/tests.txt' -
        mv "$MATERIALS/packages" "$packages"
    fi
    rm -rf "$BOX/tree/var/tmp/packages" && cp -r "$packages" "$BOX/tree/var/tmp/packages"
}

arm64_units() {
    local program
    arm64_tests_ready
    # What decides whether a kept result still counts: everything but other tests.
    program=$(cd "$REPOSITORY" && git ls-files -z edge models samples config tests pyproject.toml \
        ':!tests/vm' ':!tests/**/test_*.py' ':!tests/test_*.py' | xargs -0 sha256sum | sha256sum | cut -c 1-16)
    # shellcheck disable=SC2016
    on_arm cortex-a72 /bin/bash -uc '
        export PYTHONPATH=/run/source/tests/vm:/var/tmp/packages TRUELIGHT_MODELS=/opt/truelight/third_party/blazeface
        export KEPT=/run/artifacts/arm64-units PROGRAM=$1
        python=$2
        shift 2
        # Tests expect the settings that the program is shipped with.
        mount -t tmpfs tmpfs /etc/truelight
        cd /var/tmp/source
        mapfile -t files < <(for each; do find "$each" -name "test_*.py" | sort; done | awk "!seen[\$0]++")
        jobs=$(nproc)
        for ((job = 0; job < jobs; job++)); do
            mine=()
            for ((i = job; i < ${#files[@]}; i += jobs)); do mine+=("${files[i]}"); done
            "$python" -m pytest -q -p no:cacheprovider -p emulated -o timeout=3600 \
                --continue-on-collection-errors "${mine[@]}" >"$KEPT-$job.log" 2>&1 &
        done
        wait
        "$python" /run/source/tests/vm/kept_results.py "$KEPT" "$PROGRAM"' - "$program" "$PYTHON" "${TESTS[@]}"
}

# The root's kernel for pages of 16 KiB, beside the one that the root has: in $CACHE/VERSION
arm64_kernels() {
    local four version folder
    four=$(basename "$BOX/tree/boot/vmlinuz-"*-arm64)
    version=${four#vmlinuz-}-16k
    if [ ! -d "$CACHE/$version" ]; then
        # shellcheck disable=SC2016
        on_arm cortex-a72 /bin/sh -euc 'cd /run/materials; apt-get download -qq "linux-image-$1"' - "$version"
        rm -rf "$CACHE/$version.half"
        dpkg-deb -x "$MATERIALS/linux-image-$version"_*.deb "$CACHE/$version.half"
        rm "$MATERIALS/linux-image-$version"_*.deb
        mv "$CACHE/$version.half" "$CACHE/$version"
    fi
    mkdir -p "$BOX/machine-4k" "$BOX/machine-16k"
    cp "$BOX/tree/boot/$four" "$BOX/machine-4k/vmlinuz"
    cp "$BOX/tree/boot/initrd.img-${four#vmlinuz-}" "$BOX/machine-4k/small.img"
    cp "$CACHE/$version/boot/vmlinuz-$version" "$BOX/machine-16k/vmlinuz"
    folder=$CACHE/$version/usr/lib/modules/$version
    {
        cat "$BOX/machine-4k/small.img"
        python3 -B "$VM/initramfs.py" "$BOX/machine-4k/small.img" "$folder"
    } >"$BOX/machine-16k/small.img"
}

# The sandbox under kernels for arm64, and a scan in it, by the first model
arm64_machines() {
    local pages tests clips=$BOX/tree/var/tmp/clips
    read -ra tests <<<"${TRUELIGHT_ARM64_KERNEL_TESTS:-}"
    arm64_tests_ready
    arm64_kernels
    rm -rf "$clips" && mkdir "$clips"
    cp "$MATERIALS/clips/"{biden.jpg,moving.mp4} "$clips/"
    # shellcheck disable=SC2016
    on_this_machine --bind-ro="$clips:/var/tmp/clips" /bin/sh -c '
        /opt/python/bin/python -m edge.cli.main scan --json /var/tmp/clips
        [ $? -le 1 ]' >"$MATERIALS/two.jsonl"
    for pages in ${TRUELIGHT_ARM64_PAGES:-4k 16k}; do
        python3 -B "$VM/arm64.py" "$BOX/tree" "$BOX/machine-$pages" "$MATERIALS/two.jsonl" "${tests[@]}"
        rm "$BOX/machine-$pages/vm.img"
    done
}

root_ready trixie arm64
box_root_ready arm64
cpuinfo 0xd08 >"$BOX/cortex-a72"
cpuinfo 0xd0b >"$BOX/cortex-a76"
for step in $STEPS; do
    SECONDS=0
    "arm64_$step"
    echo "arm64 $step: $SECONDS s"
done
ROOT=$HERE
