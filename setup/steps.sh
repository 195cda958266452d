# shellcheck shell=bash
# Runs steps, reports them, and remembers which are done.
#
# Every change to the machine goes through `step`, which with DRY_RUN only reports what it would do.

DRY_RUN=
SYSTEM=${TRUELIGHT_ROOT:-} # a dry run may inspect the root folder of another machine
LOG=$(mktemp)
RUNNING=

# ---- Messages go to stderr, since stdout carries the result of a scan (as in `run --json`).

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

step() { # WHAT COMMAND...: runs it quietly, and shows its output if it fails
    local what=$1 started=$SECONDS status=0
    shift
    if [ -n "$DRY_RUN" ]; then
        say "  would do: $what"
        return
    fi
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

must() { # WHAT COMMAND...: a step that ends setup.sh if it fails
    step "$@" || die "This step failed: $1." "The lines above say why. It is safe to run the same command again."
}

already() { say "  $1: already done"; }

# ---- Stamps

fingerprint() { # FILE...: a hash of their content and of ROOT, since environments contain its path
    { printf '%s\n' "$ROOT" && cat -- "$@"; } | sha256sum | cut -d ' ' -f 1
}

fresh() { # STAMP FILE...: is the step done, and are the files unchanged since?
    local stamp=$1
    shift
    [ -f "$stamp" ] && [ "$(fingerprint "$@")" = "$(cat -- "$stamp")" ]
}

remember() { # STAMP FILE...
    local stamp=$1
    shift
    [ -n "$DRY_RUN" ] || fingerprint "$@" >"$stamp"
}
