# shellcheck shell=bash
# The checks that every change must pass.

MEDIAPIPE_VENV=$ROOT/.venv-mediapipe

# Programs that tests start, and the packages they come in.
TEST_PROGRAMS=(
    chromium=chromium
    losetup=mount
    mkfs.exfat=exfatprogs
    mkfs.ext4=e2fsprogs
    mkfs.ntfs=ntfs-3g
    mkfs.vfat=dosfstools
    systemd-analyze=systemd
)

ensure_test_programs() {
    local pair missing=()
    for pair in "${TEST_PROGRAMS[@]}"; do
        # Some are for root, and lie where a user's PATH does not lead.
        PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} -eq 0 ] || system_packages "Programs that the tests start are missing" "${missing[@]}"
}

ensure_test_tools() {
    ensure_test_programs
    ensure_all
    ensure_mediapipe
    fresh "$VENV/.installed-tests" "$ROOT/pyproject.toml" "$ROOT/setup/checks.sh" && return
    # pyproject.toml allows a range of torch. The tests pin one release: where a CPU build of it is
    # at hand pip takes that, and not several gigabytes of the newest one for CUDA.
    pip_install "$VENV" "Installing what the tests need" --editable "${ROOT}[dev,export]" torch==2.13.0
    remember "$VENV/.installed-tests" "$ROOT/pyproject.toml" "$ROOT/setup/checks.sh"
}

# MediaPipe's own library, which a test compares with our detector, wants numpy below 2: it gets an
# environment of its own. It has no wheel for Python 3.13, where the test is left out. Of what it
# asks for, only this much is needed to find faces.
ensure_mediapipe() {
    local stamp=$MEDIAPIPE_VENV/.installed
    "$VENV/bin/python" -c 'import sys; sys.exit(sys.version_info >= (3, 13))' || return 0
    export TRUELIGHT_MEDIAPIPE_PYTHON=$MEDIAPIPE_VENV/bin/python
    fresh "$stamp" "$ROOT/setup/checks.sh" && return
    make_venv "$MEDIAPIPE_VENV" "$VENV/bin/python"
    pip_install "$MEDIAPIPE_VENV" "Installing MediaPipe to compare with" \
        --no-deps mediapipe==0.10.18
    pip_install "$MEDIAPIPE_VENV" "Installing what MediaPipe needs" \
        --only-binary=:all: absl-py attrs flatbuffers matplotlib 'numpy<2' 'opencv-python-headless<4.12' 'protobuf>=4.25.3,<5' pydantic
    remember "$stamp" "$ROOT/setup/checks.sh"
}

check() { # NAME COMMAND...
    local name=$1
    shift
    step "$name" "$@" || fail "$name"
}

fail() { # NAME
    die "$1 failed, after $SECONDS s." "The lines above say why."
}

command_test() { # [PYTEST ARGUMENT...]
    local bin=$VENV/bin
    cd -- "$ROOT"
    say "Setting up"
    ensure_test_tools
    say "Checking"
    check "ruff check" "$bin/ruff" check .
    check "ruff format" "$bin/ruff" format --check .
    check "mypy" "$bin/mypy"
    check "mypy of root's part" "$bin/mypy" --config-file= --strict systemd/stick
    check "import rules" "$bin/lint-imports"
    check "shellcheck" "$bin/shellcheck" --external-sources --check-sourced setup.sh .ci/run tests/vm/run tests/vm/*.sh
    say "  pytest"
    "$bin/pytest" "$@" || fail pytest
    say "Every check passed in $SECONDS s."
}
