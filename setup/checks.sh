# shellcheck shell=bash
# The checks that every change must pass.

MEDIAPIPE_VENV=$ROOT/.venv-mediapipe

# Programs that the tests start, and the packages that contain them.
TEST_PROGRAMS=(
    chromium=chromium
    losetup=mount
    mkfs.exfat=exfatprogs
    mkfs.ext4=e2fsprogs
    mkfs.ntfs=ntfs-3g
    mkfs.vfat=dosfstools
    systemd-analyze=systemd
)
# The package index has shellcheck for x86-64 alone.
[ "$(uname -m)" = x86_64 ] || TEST_PROGRAMS+=(shellcheck=shellcheck)

TEST_JOBS=4           # tests at once, at most: some train a network
VULTURE_CONFIDENCE=80 # percent; below that, vulture also reports what is used by name only

# Vulnerabilities of the locked packages that were read and do not concern Truelight, by their id.
AUDIT_ACCEPTED=()

ensure_test_programs() {
    local pair missing=()
    for pair in "${TEST_PROGRAMS[@]}"; do
        # Some are for root, in folders that are not on a user's PATH.
        PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} -eq 0 ] || system_packages "Programs that the tests start are missing" "${missing[@]}"
}

ensure_test_tools() {
    local locks=("$ROOT/constraints/test.txt" "$ROOT/constraints/torch-needs.txt") size='400 MB'
    ensure_test_programs
    ensure_all
    ensure_mediapipe
    if has_torch_for_cpus; then
        locks+=("$ROOT/constraints/torch-cpu.txt")
    else
        locks+=("$ROOT/constraints/torch.txt" "$ROOT/constraints/torch-cuda.txt")
        size='3 GB'
    fi
    fresh "$VENV/.installed-tests" "${locks[@]}" "$ROOT/setup/checks.sh" && return
    pip_install_locked "$VENV" "Installing the packages that the tests need (about $size)" "${locks[@]}"
    remember "$VENV/.installed-tests" "${locks[@]}" "$ROOT/setup/checks.sh"
}

has_torch_for_cpus() { # does pip find the small build of PyTorch? setup/lock.sh says more
    "$VENV/bin/python" -m pip install --dry-run --no-deps --only-binary :all: --require-hashes \
        --requirement "$ROOT/constraints/torch-cpu.txt" >/dev/null 2>&1
}

# A test compares our detector with MediaPipe's own library. That library needs numpy below 2, so it
# gets an environment of its own. It has no wheel for Python 3.13: there the test is skipped.
ensure_mediapipe() {
    local stamp=$MEDIAPIPE_VENV/.installed lock=$ROOT/constraints/mediapipe.txt
    "$VENV/bin/python" -c 'import sys; sys.exit(sys.version_info >= (3, 13))' || return 0
    export TRUELIGHT_MEDIAPIPE_PYTHON=$MEDIAPIPE_VENV/bin/python
    fresh "$stamp" "$lock" && return
    make_venv "$MEDIAPIPE_VENV" "$VENV/bin/python"
    pip_install_locked "$MEDIAPIPE_VENV" "Installing MediaPipe for a comparison" "$lock"
    remember "$stamp" "$lock"
}

check() { # NAME COMMAND...
    local name=$1
    shift
    step "$name" "$@" || fail "$name"
}

fail() { # NAME
    die "$1 failed, after $SECONDS s." "The lines above say why."
}

# ---- Known vulnerabilities

audit() { # LOCK: fails if a release in it has a known vulnerability; skipped without a network
    local report accepted=() id
    for id in "${AUDIT_ACCEPTED[@]}"; do accepted+=(--ignore-vuln "$id"); done
    # Where its database does not answer, pip-audit fails or reports every package as skipped.
    report=$("$VENV/bin/pip-audit" --require-hashes --disable-pip --progress-spinner off --timeout 10 \
        --format json "${accepted[@]}" --requirement "$1" 2>/dev/null </dev/null || true)
    "$VENV/bin/python" -c '
import json, sys
name, report = sys.argv[1:]
packages = json.loads(report)["dependencies"] if report else []
checked = [package for package in packages if "vulns" in package]
vulnerable = [package for package in checked if package["vulns"]]
for package in vulnerable:
    ids = ", ".join(vulnerability["id"] for vulnerability in package["vulns"])
    print("    {name} {version}: ".format(**package) + ids)
if not checked:
    print(f"  pip-audit {name}: skipped, the database of vulnerabilities cannot be reached")
else:
    print(f"  pip-audit {name}: {len(vulnerable)} of {len(checked)} packages have a known vulnerability")
sys.exit(bool(vulnerable))
' "${1##*/}" "$report" >&2 || die "pip-audit failed." "./setup.sh lock takes newer releases. AUDIT_ACCEPTED in setup/checks.sh lists exceptions."
}

# ---- Tests

run_pytest() { # [PYTEST ARGUMENT...]
    local bin=$VENV/bin jobs coverage=()
    jobs=$(nproc)
    [ "$jobs" -le "$TEST_JOBS" ] || jobs=$TEST_JOBS
    # The coverage of a part of the tests means little.
    [ $# -gt 0 ] || coverage=(--cov --cov-report=)
    mkdir -p build # for the data of coverage
    say "  pytest"
    "$bin/pytest" --numprocesses="$jobs" --dist=loadfile --durations=15 "${coverage[@]}" "$@" || fail pytest
    [ $# -gt 0 ] || report_coverage
}

report_coverage() { # the total, and the files with the least; there is no threshold
    say "Coverage by the tests, without what runs in processes of its own; the lowest files first:"
    "$VENV/bin/coverage" report --sort=cover --skip-covered >"$LOG"
    { sed -n '3,12p' "$LOG" && grep '^TOTAL' "$LOG"; } >&2
}

command_test() { # [PYTEST ARGUMENT...]
    local bin=$VENV/bin shellcheck=$VENV/bin/shellcheck
    cd -- "$ROOT"
    say "Setting up"
    ensure_test_tools
    [ -x "$shellcheck" ] || shellcheck=shellcheck
    say "Checking"
    check "ruff check" "$bin/ruff" check .
    check "ruff format" "$bin/ruff" format --check .
    check "mypy" "$bin/mypy"
    check "mypy of root's part" "$bin/mypy" --config-file= --strict systemd/stick
    check "mypy of tests and samples" "$bin/mypy" tests samples
    check "import rules" "$bin/lint-imports"
    check "dead code" "$bin/vulture" --min-confidence "$VULTURE_CONFIDENCE" --exclude '*/.venv*,*/build/*' .
    check "shellcheck" "$shellcheck" --external-sources --check-sourced setup.sh .ci/run tests/vm/run tests/vm/*.sh
    audit "$ROOT/constraints/run.txt"
    audit "$ROOT/constraints/run-numpy1.txt"
    run_pytest "$@"
    say "Every check passed in $SECONDS s."
}
