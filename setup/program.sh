# shellcheck shell=bash
# Installs what the program needs in the folder ROOT, and runs it there.

CLIPS=$ROOT/samples/clips

ensure_truelight() { # into VENV, which exists
    local lock
    lock=$(run_lock)
    fresh "$VENV/.installed" "$ROOT/pyproject.toml" "$lock" && return
    pip_install_locked "$VENV" "Installing the packages that Truelight needs (about 160 MB)" "$lock"
    pip_install "$VENV" "Installing Truelight itself" \
        --no-index --no-deps --no-build-isolation --editable "$ROOT"
    # The wheels contain their own libraries, except for glibc, the C++ runtime and zlib.
    step "Checking that the packages load" "$VENV/bin/python" -c 'import edge, ai_edge_litert.interpreter, av, cv2, onnxruntime' ||
        die "An installed package does not load." "The last line above names the library that is missing."
    remember "$VENV/.installed" "$ROOT/pyproject.toml" "$lock"
}

# A box uses modules of the system (picamera2 above all) that were compiled for the system's numpy.
# A newer major version of numpy in VENV would hide that one and break them, so there is a lock file
# for systems with numpy 1 (bookworm). Those with numpy 2 (trixie) take the usual one.
run_lock() { # prints the lock file for VENV
    local major=
    if grep -qs '^include-system-site-packages = true' "$VENV/pyvenv.cfg"; then
        major=$("$SYSTEM_PYTHON" -c 'import numpy; print(numpy.__version__.split(".")[0])' 2>/dev/null || true)
    fi
    if [ "$major" = 1 ]; then
        printf '%s\n' "$ROOT/constraints/run-numpy1.txt"
    else
        printf '%s\n' "$ROOT/constraints/run.txt"
    fi
}

ensure_detector() {
    local folder=$ROOT/third_party/blazeface source=$ROOT/edge/scan/faces/detector.py
    fresh "$folder/.fetched" "$source" && return
    step "Fetching the face detector's models" "$VENV/bin/truelight" models fetch ||
        die "The face detector's models could not be fetched." "The lines above say why."
    remember "$folder/.fetched" "$source"
}

ensure_samples() {
    [ -d "$CLIPS" ] && fresh "$VENV/.samples" "$ROOT"/samples/*.py && return
    step "Making the sample clips" "$VENV/bin/python" "$ROOT/samples/make.py" "$CLIPS" ||
        die "The sample clips could not be made." "The lines above say why."
    remember "$VENV/.samples" "$ROOT"/samples/*.py
}

ensure_all() { # everything that this folder needs to judge clips
    local python
    python=$(find_python)
    make_venv "$VENV" "$python"
    ensure_truelight
    ensure_detector
}

# ---- The model for second opinions

SECOND=$ROOT/models/thorough
SECOND_MEMORY=1740800 # kB: what a machine with 2 GB has left for programs
WITHOUT_SECOND=

second_is_wanted() {
    local kilobytes
    [ -z "$WITHOUT_SECOND" ] && [ "${TRUELIGHT_SECOND:-}" != never ] || return 1
    kilobytes=$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' "$SYSTEM/proc/meminfo" 2>/dev/null || true)
    [ "${kilobytes:-$SECOND_MEMORY}" -ge "$SECOND_MEMORY" ]
}

ensure_second() { # where there is memory for it; without it, the first model judges alone
    second_is_wanted || return 0
    [ ! -f "$SECOND/tower.onnx" ] || ! fresh "$VENV/.second" "$SECOND/bundle.json" || return 0
    say "  A model for second opinions is fetched once (about 90 MB). To leave it out: --without-second, or TRUELIGHT_SECOND=never"
    if step "Installing the model for second opinions" add_second_quietly; then
        remember "$VENV/.second" "$SECOND/bundle.json"
        CHANGED=1 # a box that runs has to be restarted
        return
    fi
    say "  Going on without second opinions. To try again: ./setup.sh thorough"
    return 1
}

add_second_quietly() { # offline, one line says enough
    PIP_RETRIES=1 "$VENV/bin/truelight" models add thorough >/dev/null 2>&1
}

# ---- run

command_run() { # [--without-second] [PATH...]
    if [ "${1:-}" = --without-second ]; then
        WITHOUT_SECOND=1
        shift
    fi
    say "Setting up"
    ensure_all
    ensure_second || true
    if [ $# -gt 0 ]; then
        judge "$@"
        return
    fi
    ensure_samples
    cd -- "$ROOT"
    if [ -t 0 ] && [ -t 1 ]; then
        say "Starting the box: this terminal is its panel, and its camera plays a sample clip"
        exec "$VENV/bin/truelight" run --panel terminal --camera samples/clips/one-person.mp4
    fi
    say "Judging the sample clips in samples/clips"
    judge samples/clips
}

# ---- serve

command_serve() { # [--without-second] [OPTION...]: options of `truelight serve`
    if [ "${1:-}" = --without-second ]; then
        WITHOUT_SECOND=1
        shift
    fi
    say "Setting up"
    ensure_all
    ensure_second || true
    cd -- "$ROOT"
    say "Serving the page; Ctrl-C ends it"
    exec "$VENV/bin/truelight" serve "$@"
}

# ---- thorough

command_thorough() { # fetches the weights, published by others, of the model for second opinions
    [ "$ROOT" != "$OPT" ] || check_root thorough
    say "Setting up"
    ensure_all
    step "Installing the model for second opinions (about 90 MB)" "$VENV/bin/truelight" models add thorough ||
        die "The model for second opinions could not be installed." "The lines above say why."
    if [ "$ROOT" = "$OPT" ] && is_running; then
        must "Restarting the service" systemctl restart truelight.service
    fi
    say "From now on it is asked whenever the first model is unsure. To check: truelight doctor --only second"
}

# ---- archive

command_archive() { # installs what `truelight archive` needs
    local lock=$ROOT/constraints/archive.txt
    say "Setting up"
    ensure_all
    if ! fresh "$VENV/.installed-archive" "$lock"; then
        pip_install_locked "$VENV" "Installing the packages for archives (about 150 MB)" "$lock"
        remember "$VENV/.installed-archive" "$lock"
    fi
    say "To begin: .venv/bin/truelight archive PATH... --out FOLDER --report"
}

judge() { # PATH...
    local status=0
    "$VENV/bin/truelight" scan "$@" || status=$?
    # One sample clip is broken on purpose: for the samples, status 1 (some could not be read) is right.
    [ "$status" -ne 1 ] || [ "$*" != samples/clips ] || status=0
    [ "$status" -gt 1 ] || where_next
    return "$status"
}

where_next() {
    cat >&2 <<'NEXT'

Where to go next
  .venv/bin/truelight scan PATH...    judge your own clips and folders
  .venv/bin/truelight models          list the models and their measured quality
  README.md                           what a verdict means, and what it does not mean
NEXT
}
