# shellcheck shell=bash
# Writes the lock files in constraints/: the exact release of every Python package, with the SHA-256
# of each of its files. All paths of setup.sh install from these files and from nothing else.
#
# One file serves Python 3.11 and newer on x86-64 and aarch64; where releases differ, each line
# carries a marker.

LOCKS=$ROOT/constraints
LOCKED_PYTHONS=(3.11 3.12 3.13 3.14)
LOCKED_MACHINES=(x86_64-manylinux_2_28 aarch64-manylinux_2_28)

# torch is pinned here and not by the resolver. A pip may be configured with a package index or a
# folder of wheels that has torch for CPUs alone, 2.13.0+cpu, which is a tenth of the size. Where pip
# finds one of these files, the tests take it (torch-cpu.txt); elsewhere they take the common build
# (torch.txt) and the CUDA libraries that it needs to load (torch-cuda.txt). The resolver does not
# know the CPU builds, so their hashes are listed here: x86-64 with Python 3.11.
TORCH=2.13.0
TORCH_CPU_HASHES=(6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b)
CUDA_PACKAGES='^(cuda-|nvidia-|triton==)'

# Only its face detector is called. Its other requirements (jax, sounddevice) are large, and one
# (opencv-contrib-python) overwrites the files of opencv-python-headless. Our module that calls it
# needs platformdirs and pydantic.
MEDIAPIPE=(mediapipe==0.10.18 'numpy<2' 'opencv-python-headless<4.12' platformdirs pydantic)
MEDIAPIPE_WITHOUT=(jax jaxlib opencv-contrib-python sentencepiece sounddevice)

# uv takes releases that exclude newer Pythons ("<3.11"), and pip refuses them. They are listed here.
NOT_FOR_OUR_PYTHONS=('backports-strenum<1.3')

command_lock() {
    local work
    cd -- "$ROOT"
    say "Setting up"
    [ -x "$VENV/bin/uv" ] || ensure_test_tools
    say "Writing $LOCKS"
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # by then the name is gone
    trap "rm -rf -- '$work'; clean_up" EXIT
    mkdir -p -- "$LOCKS"
    must "Resolving all packages" write_locks "$work"
    must "Checking that each has wheels for ${LOCKED_PYTHONS[*]} on ${LOCKED_MACHINES[*]}" check_locks "$work"
    mv -f -- "$work"/*.txt "$LOCKS/"
    say "Done. Review the changes (git diff constraints), then run ./setup.sh test."
}

write_locks() { # FOLDER
    local work=$1
    # Our own build back end is installed from the same files.
    "$VENV/bin/python" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' >"$work/build.in"
    "$VENV/bin/python" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["fuzz"], sep="\n")' >"$work/fuzz.in"
    printf '%s\n' "${NOT_FOR_OUR_PYTHONS[@]}" >"$work/limits.in"
    printf '%s\n' 'numpy<2' >"$work/numpy1.in"
    printf '%s\n' "torch==$TORCH" >"$work/torch.in"
    printf '%s\n' torch >"$work/torch.excluded"
    printf '%s\n' "${MEDIAPIPE[@]}" >"$work/mediapipe.in"
    printf '%s\n' "${MEDIAPIPE_WITHOUT[@]}" >"$work/mediapipe.excluded"

    resolve "$work/run.txt" "What judges clips and runs the box." \
        pyproject.toml "$work/build.in"
    resolve "$work/run-numpy1.txt" "The same for a box whose system has numpy 1 (bookworm)." \
        pyproject.toml "$work/build.in" --constraints "$work/numpy1.in"
    resolve "$work/archive.txt" "run.txt, and what judges archives on many machines." \
        pyproject.toml "$work/build.in" --extra archive --constraints "$work/run.txt"
    resolve "$work/test.txt" "archive.txt, and what checks, exports and trains, without torch." \
        pyproject.toml "$work/build.in" --extra dev --extra export --extra archive \
        --constraints "$work/archive.txt" --excludes "$work/torch.excluded"
    resolve "$work/fuzz.txt" "What fuzzes and fails disks, beside test.txt." \
        "$work/fuzz.in" --constraints "$work/test.txt"
    resolve "$work/torch-all" "" "$work/torch.in" --constraints "$work/test.txt"
    split_torch "$work"
    resolve "$work/mediapipe.txt" "MediaPipe's library, which a test compares with our detector." \
        "$work/mediapipe.in" --excludes "$work/mediapipe.excluded"
}

resolve() { # FILE WHAT ARGUMENT...
    local file=$1 what=$2
    shift 2
    "$VENV/bin/uv" pip compile --quiet --universal --python-version "${LOCKED_PYTHONS[0]}" \
        --generate-hashes --only-binary :all: --no-header --no-annotate \
        --constraints "$work/limits.in" --output-file "$file" "$@"
    headed "$what" "$file"
}

headed() { # WHAT FILE
    {
        printf '# %s\n# Written by ./setup.sh lock: do not edit.\n' "$1"
        cat -- "$2"
    } >"$2.new"
    mv -f -- "$2.new" "$2"
}

split_torch() { # FOLDER: what PyTorch needs everywhere, and what only its common build needs
    awk -v pattern="$CUDA_PACKAGES" -v folder="$1/" '
        /^#/ { next }
        /^[^ ]/ {
            file = "torch-needs.txt"
            if ($0 ~ pattern) file = "torch-cuda.txt"
            if ($0 ~ /^torch==/) file = "torch.txt"
        }
        { print > (folder file) }
    ' "$1/torch-all"
    {
        printf 'torch==%s+cpu' "$TORCH"
        printf ' \\\n    --hash=sha256:%s' "${TORCH_CPU_HASHES[@]}"
        printf '\n'
    } >"$1/torch-cpu.txt"
    headed "PyTorch for CPUs alone; setup/lock.sh says where it comes from." "$1/torch-cpu.txt"
    headed "PyTorch, the common build." "$1/torch.txt"
    headed "The CUDA libraries of PyTorch's common build." "$1/torch-cuda.txt"
    headed "What each build of PyTorch needs." "$1/torch-needs.txt"
}

check_locks() { # FOLDER: is there a wheel for every package, Python and kind of machine?
    local work=$1 python machine lock options
    for lock in run run-numpy1 archive test fuzz torch torch-needs torch-cuda mediapipe; do
        for python in "${LOCKED_PYTHONS[@]}"; do
            case $lock:$python in
                run-numpy1:3.11 | run:* | archive:* | test:* | fuzz:* | torch*:* | mediapipe:3.11 | mediapipe:3.12) ;;
                *) continue ;;
            esac
            options=(install --quiet --dry-run --require-hashes --no-deps --only-binary :all:
                --target "$work/target" --requirement "$work/$lock.txt" --python-version "$python")
            for machine in "${LOCKED_MACHINES[@]}"; do
                "$VENV/bin/uv" pip "${options[@]}" --python-platform "$machine" ||
                    { echo "$lock.txt does not fit Python $python on $machine."; return 1; }
            done
            # uv accepts some releases that pip refuses. pip can check only this kind of machine, and
            # would take the markers of the Python that runs it.
            case $lock in torch*) continue ;; esac
            "$VENV/bin/python" "$ROOT/setup/locked_for.py" "$work/$lock.txt" "$python" >"$work/pip.in" ||
                { echo "$lock.txt cannot be read for Python $python."; return 1; }
            "$VENV/bin/python" -m pip "${options[@]/"$work/$lock.txt"/"$work/pip.in"}" ||
                { echo "pip refuses $lock.txt on Python $python."; return 1; }
        done
    done
}
