#!/usr/bin/env bash
# Sets Truelight up, runs it, and makes a Raspberry Pi the box. `./setup.sh help` says what it can do.
#
# `run` and `test` keep everything in this folder, except system packages. What is done is remembered
# by a stamp: a hash of the files it depends on, so that the second run is quick and a changed file
# is noticed. Each file in setup/ has one job.
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
VENV=$ROOT/.venv

# shellcheck source=setup/steps.sh
. "$ROOT/setup/steps.sh"
# shellcheck source=setup/packages.sh
. "$ROOT/setup/packages.sh"
# shellcheck source=setup/program.sh
. "$ROOT/setup/program.sh"
# shellcheck source=setup/checks.sh
. "$ROOT/setup/checks.sh"
# shellcheck source=setup/machine.sh
. "$ROOT/setup/machine.sh"
# shellcheck source=setup/place.sh
. "$ROOT/setup/place.sh"
# shellcheck source=setup/install.sh
. "$ROOT/setup/install.sh"
# shellcheck source=setup/uninstall.sh
. "$ROOT/setup/uninstall.sh"

usage() {
    cat <<'HELP'
Truelight says whether the faces in a clip are real or fake.

On any computer with Linux and Python 3.11 or newer; everything is kept in this folder:
  ./setup.sh run                set up what is missing, then start the box with this terminal as its
                                panel; without a terminal, judge the sample clips
  ./setup.sh run PATH...        judge your own clips or folders
  ./setup.sh test               install what the tests need, then run every check
  ./setup.sh thorough           add the model that gives second opinions (about 90 MB), which is
                                asked where the other one is unsure

On a Raspberry Pi with Raspberry Pi OS (64-bit), bookworm or trixie:
  sudo ./setup.sh install       make it the box, or bring it up to date
       afterwards, if wanted:   sudo /opt/truelight/setup.sh thorough
  sudo ./setup.sh uninstall     take back what install did; settings and history stay
       --purge                  they go too
       --dry-run                for both: say what would be done, change nothing
       --anyway                 install on another Debian: what it lacks is said and left out

  ./setup.sh help               this text
HELP
}

main() {
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    local command=${1:-help}
    [ $# -eq 0 ] || shift
    case $command in
        run) command_run "$@" ;;
        test) command_test "$@" ;;
        thorough) command_thorough "$@" ;;
        install) command_install "$@" ;;
        uninstall) command_uninstall "$@" ;;
        help | -h | --help) usage ;;
        *)
            usage >&2
            die "There is no command \"$command\"."
            ;;
    esac
}

main "$@"
exit # this file may be gone by now
