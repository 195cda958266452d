#!/usr/bin/env bash
# Sets Truelight up and runs it. `./setup.sh help` says what it can do.
#
# Whatever changes the machine goes through `step`. Everything lands in this folder, except system
# packages. What is done is remembered by a stamp: a hash of the files it depends on, so that the
# second run is quick and a changed file is noticed.
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
VENV=$ROOT/.venv
MEDIAPIPE_VENV=$ROOT/.venv-mediapipe
CLIPS=$ROOT/samples/clips
LOG=$(mktemp)
RUNNING=

usage() {
    cat <<'HELP'
Truelight says whether the faces in a clip are real or fake.

  ./setup.sh run             set up what is missing, then judge the sample clips
  ./setup.sh run PATH...     the same with your own clips or folders
  ./setup.sh test            install what the tests need, then run every check
  ./setup.sh help            this text

Needs Linux and Python 3.11 or newer. Everything is kept in this folder.
HELP
}

# ---- Saying what happens. To stderr: stdout belongs to the scan (think of `run --json`).

say() { printf '%s\n' "$*" >&2; }

die() { # MESSAGE [REMEDY]
    say "setup.sh: $1"
    [ $# -lt 2 ] || say "          $2"
    exit 1
}

clean_up() {
    [ -z "$RUNNING" ] || kill "$RUNNING" 2>/dev/null || true
    rm -f -- "$LOG"
}

step() { # WHAT COMMAND...: runs it quietly; its output is shown if it fails
    local what=$1 started=$SECONDS status=0
    shift
    "$@" >"$LOG" 2>&1 </dev/null &
    RUNNING=$!
    while [ -t 2 ] && kill -0 "$RUNNING" 2>/dev/null; do
        printf '\r  %s ... %d s ' "$what" $((SECONDS - started)) >&2
        sleep 0.2
    done
    wait "$RUNNING" || status=$?
    RUNNING=
    [ ! -t 2 ] || printf '\r\033[K' >&2
    if [ "$status" -eq 0 ]; then
        say "  $what: done ($((SECONDS - started)) s)"
    else
        tail -n 100 -- "$LOG" >&2
        say "  $what: failed ($((SECONDS - started)) s)"
    fi
    return "$status"
}

# ---- Stamps

fingerprint() { # FILE...: their content, and where this folder is, since environments hold its path
    { printf '%s\n' "$ROOT" && cat -- "$@"; } | sha256sum | cut -d ' ' -f 1
}

fresh() { # STAMP FILE...: is the step done, and are the files as they were then?
    local stamp=$1
    shift
    [ -f "$stamp" ] && [ "$(fingerprint "$@")" = "$(cat -- "$stamp")" ]
}

remember() { # STAMP FILE...
    local stamp=$1
    shift
    fingerprint "$@" >"$stamp"
}

# ---- System packages

as_root() { # COMMAND...
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

system_packages() { # WHY PACKAGE...
    local why=$1
    shift
    if ! command -v apt-get >/dev/null || ! as_root true 2>/dev/null; then
        die "$why." "Install it and start again, on Debian and its kin: sudo apt-get install $*"
    fi
    step "Installing system packages: $*" apt_install "$@" ||
        die "$why, and it could not be installed." "The lines above say why."
}

apt_install() { # PACKAGE...
    as_root apt-get update &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# ---- Python

is_good_python() { # PROGRAM
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() { # prints the program to use
    local candidate
    for candidate in "${TRUELIGHT_PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11; do
        if is_good_python "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die "Python 3.11 or newer is needed; found here: $(python3 --version 2>&1 || true)." \
        "Debian 12, Raspberry Pi OS bookworm and Ubuntu 24.04 have it. One that lies elsewhere: TRUELIGHT_PYTHON=/path/to/python3 $0"
}

make_venv() { # FOLDER PYTHON: unless a working one is there
    if is_good_python "$1/bin/python" && "$1/bin/python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    if ! "$2" -c 'import ensurepip, venv' 2>/dev/null; then
        system_packages "Python's venv module is missing" \
            "$("$2" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    fi
    step "Making a Python environment in ${1##*/}" "$2" -m venv --clear "$1" ||
        die "The Python environment could not be made." "The lines above say why."
}

pip_install() { # VENV WHAT ARGUMENT...
    local python=$1/bin/python what=$2
    shift 2
    step "$what" "$python" -m pip install --disable-pip-version-check "$@" ||
        die "Python packages could not be installed." \
            "The lines above say why. Most often the network was not reachable, or the disk is full."
}

# ---- What a scan needs

ensure_truelight() {
    local python
    python=$(find_python)
    make_venv "$VENV" "$python"
    fresh "$VENV/.installed" "$ROOT/pyproject.toml" && return
    pip_install "$VENV" "Installing Truelight and what it needs (about 150 MB)" --editable "$ROOT"
    # The wheels bring their own libraries, down to glibc, the C++ runtime and zlib.
    step "Trying them out" "$VENV/bin/python" -c 'import ai_edge_litert.interpreter, av, cv2, onnxruntime' ||
        die "A package that was installed does not load." "The last line above names what it misses."
    remember "$VENV/.installed" "$ROOT/pyproject.toml"
}

ensure_detector() {
    local folder=$ROOT/third_party/blazeface source=$ROOT/edge/scan/detector_models.py
    fresh "$folder/.fetched" "$source" && return
    step "Fetching the face detector's models" "$VENV/bin/truelight" models fetch ||
        die "The face detector's models could not be fetched." "The lines above say why."
    remember "$folder/.fetched" "$source"
}

ensure_samples() {
    [ -d "$CLIPS" ] && fresh "$CLIPS/.made" "$ROOT"/samples/*.py && return
    step "Making the sample clips" "$VENV/bin/python" "$ROOT/samples/make.py" "$CLIPS" ||
        die "The sample clips could not be made." "The lines above say why."
    remember "$CLIPS/.made" "$ROOT"/samples/*.py
}

# ---- run

command_run() { # [PATH...]
    local status=0
    say "Setting up"
    ensure_truelight
    ensure_detector
    if [ $# -gt 0 ]; then
        "$VENV/bin/truelight" scan "$@" || status=$?
    else
        ensure_samples
        say "Judging the sample clips in samples/clips"
        cd -- "$ROOT"
        "$VENV/bin/truelight" scan samples/clips || status=$?
        # One sample is broken on purpose, so "some could not be read" is the right answer here.
        [ "$status" -ne 1 ] || status=0
    fi
    [ "$status" -gt 1 ] || where_next
    return "$status"
}

where_next() {
    cat >&2 <<'NEXT'

Where to go next
  .venv/bin/truelight scan PATH...    judge your own clips and folders
  .venv/bin/truelight models          the models at hand, and how good they are
  README.md                           what a verdict means, and what it does not
NEXT
}

# ---- test

ensure_test_tools() {
    ensure_truelight
    ensure_detector
    ensure_mediapipe
    fresh "$VENV/.installed-tests" "$ROOT/pyproject.toml" "$ROOT/setup.sh" && return
    # pyproject.toml allows a range of torch. The tests pin one release: where a CPU build of it is
    # at hand pip takes that, and not several gigabytes of the newest one for CUDA.
    pip_install "$VENV" "Installing what the tests need" --editable "${ROOT}[dev,export]" torch==2.13.0
    remember "$VENV/.installed-tests" "$ROOT/pyproject.toml" "$ROOT/setup.sh"
}

# MediaPipe's own library, which a test compares with our detector, wants numpy below 2: it gets an
# environment of its own. It has no wheel for Python 3.13, where the test is left out. Of what it
# asks for, only this much is needed to find faces.
ensure_mediapipe() {
    local stamp=$MEDIAPIPE_VENV/.installed
    "$VENV/bin/python" -c 'import sys; sys.exit(sys.version_info >= (3, 13))' || return 0
    export TRUELIGHT_MEDIAPIPE_PYTHON=$MEDIAPIPE_VENV/bin/python
    fresh "$stamp" "$ROOT/setup.sh" && return
    make_venv "$MEDIAPIPE_VENV" "$VENV/bin/python"
    pip_install "$MEDIAPIPE_VENV" "Installing MediaPipe to compare with" \
        --no-deps mediapipe==0.10.18
    pip_install "$MEDIAPIPE_VENV" "Installing what MediaPipe needs" \
        --only-binary=:all: absl-py attrs flatbuffers matplotlib 'numpy<2' 'opencv-python-headless<4.12' 'protobuf>=4.25.3,<5' pydantic
    remember "$stamp" "$ROOT/setup.sh"
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
    check "import rules" "$bin/lint-imports"
    check "shellcheck" "$bin/shellcheck" setup.sh .ci/run
    say "  pytest"
    "$bin/pytest" "$@" || fail pytest
    say "Every check passed in $SECONDS s."
}

main() {
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    local command=${1:-help}
    [ $# -eq 0 ] || shift
    case $command in
        run) command_run "$@" ;;
        test) command_test "$@" ;;
        help | -h | --help) usage ;;
        *)
            usage >&2
            die "There is no command \"$command\"."
            ;;
    esac
}

main "$@"
