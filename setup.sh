#!/usr/bin/env bash
# Sets Truelight up, runs it, and makes a Raspberry Pi the box. `./setup.sh help` lists the commands.
#
# `run` and `test` keep everything in this folder, except system packages. A stamp records each
# finished step: a hash of the files that it depends on. So a second run is quick, and a changed
# file repeats its steps. Each file in setup/ has one job.
set -euo pipefail
unset PYTHONPATH PYTHONHOME # another program's modules would be taken for these

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
# shellcheck source=setup/lock.sh
. "$ROOT/setup/lock.sh"
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

On any computer with Linux and Python 3.11 or newer; it is kept in this folder, and
what the box and the page have judged in ~/.local/state/truelight:
  ./setup.sh run                install what is missing, then start the box with this terminal as
                                its panel; without a terminal, judge the sample clips
  ./setup.sh run PATH...        judge your own clips or folders
       --without-second         before the paths: do not fetch the model for second opinions
  ./setup.sh serve              install what is missing, then serve the page and the API: send clips
                                with a browser or a program, read their findings
  ./setup.sh test               install what the tests need, then run every check
  ./setup.sh thorough           add the model for second opinions (about 90 MB), which is asked
                                whenever the first model is unsure; run and install add it where
                                there are 2 GB of memory
  ./setup.sh archive            add the packages for thousands of clips on many machines (docs/archive.md)
  ./setup.sh lock               choose the newest allowed release of every package, and write
                                constraints/, from which all commands install

On a Raspberry Pi with Raspberry Pi OS (64-bit), bookworm or trixie:
  sudo ./setup.sh install       make it the box, or update it
       --without-second         do not fetch the model for second opinions
       to add it afterwards:    sudo /opt/truelight/setup.sh thorough
  sudo ./setup.sh uninstall     remove what install added; settings and history stay
       --purge                  remove settings and history as well
       --dry-run                for both: print the steps, change nothing
       --anyway                 install on another Debian: missing parts are reported and skipped

  ./setup.sh help               print this text
HELP
}

main() {
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    local command=${1:-help}
    [ $# -eq 0 ] || shift
    case $command in
        run) command_run "$@" ;;
        serve) command_serve "$@" ;;
        test) command_test "$@" ;;
        thorough) command_thorough "$@" ;;
        archive) command_archive "$@" ;;
        lock) command_lock "$@" ;;
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
exit # uninstall may have deleted this file
