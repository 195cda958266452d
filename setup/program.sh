# shellcheck shell=bash
# What the program needs to run from the folder ROOT, and running it there.

CLIPS=$ROOT/samples/clips

ensure_truelight() { # [PIP ARGUMENT...]: into VENV, which is made before if it must be
    fresh "$VENV/.installed" "$ROOT/pyproject.toml" && return
    pip_install "$VENV" "Installing Truelight and what it needs (about 150 MB)" --editable "$ROOT" "$@"
    # The wheels bring their own libraries, down to glibc, the C++ runtime and zlib.
    step "Trying them out" "$VENV/bin/python" -c 'import edge, ai_edge_litert.interpreter, av, cv2, onnxruntime' ||
        die "A package that was installed does not load." "The last line above names what it misses."
    remember "$VENV/.installed" "$ROOT/pyproject.toml"
}

ensure_detector() {
    local folder=$ROOT/third_party/blazeface source=$ROOT/edge/scan/downloads.py
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

ensure_all() { # everything that a checkout needs to judge clips
    local python
    python=$(find_python)
    make_venv "$VENV" "$python"
    ensure_truelight
    ensure_detector
}

# ---- run

command_run() { # [PATH...]
    say "Setting up"
    ensure_all
    if [ $# -gt 0 ]; then
        judge "$@"
        return
    fi
    ensure_samples
    cd -- "$ROOT"
    if [ -t 0 ] && [ -t 1 ]; then
        say "Starting the box: this terminal is its panel, a sample clip is what its camera sees"
        exec "$VENV/bin/truelight" run --panel terminal --camera samples/clips/one-person.mp4
    fi
    say "Judging the sample clips in samples/clips"
    judge samples/clips
}

# ---- thorough

command_thorough() { # gets other people's weights for a bundle that lies here without them
    [ "$ROOT" != "$OPT" ] || check_root thorough
    say "Setting up"
    ensure_all
    step "Installing the model for second opinions (about 90 MB)" "$VENV/bin/truelight" models add thorough ||
        die "The model for second opinions could not be installed." "The lines above say why."
    if [ "$ROOT" = "$OPT" ] && is_running; then
        must "Starting the box anew" systemctl restart truelight.service
    fi
    say "It is asked from now on where the other model is unsure; see: truelight doctor --only second"
}

judge() { # PATH...
    local status=0
    "$VENV/bin/truelight" scan "$@" || status=$?
    # One sample is broken on purpose, so "some could not be read" is the right answer there.
    [ "$status" -ne 1 ] || [ "$*" != samples/clips ] || status=0
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
