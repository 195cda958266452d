# shellcheck shell=bash
# Writes the lock files in constraints/: the exact release of every Python package, with the SHA-256
# of each of its files. All paths of setup.sh install from these files and from nothing else.
#
# One file serves Python 3.11 and newer on x86-64 and aarch64; where releases differ, each line
# carries a marker.

LOCKS=$ROOT/constraints
LOCKED_PYTHONS=(3.11 3.12 3.13 3.14)
LOCKED_MACHINES=(x86_64-manylinux_2_28 aarch64-manylinux_2_28)

# torch is pinned here and not by the resolver. Some machines have a build of it for CPUs alone,
# 2.13.0+cpu, on a package index or in a folder of wheels that pip is configured with; others get
# the common build with the CUDA libraries. pip prefers the CPU build where it finds one, so
# torch.txt accepts the files of both: the resolver knows the common ones, and this is the CPU build
# for Python 3.11 on x86-64 with which the tests ran. The CUDA libraries have a file of their own,
# which is installed only beside the common build.
TORCH=2.13.0
TORCH_CPU_HASHES=(6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b)
CUDA_PACKAGES='^(cuda-|nvidia-|triton==)'

# Only its face detector is called. Its other requirements (jax, sounddevice) are large, and one
# (opencv-contrib-python) overwrites the files of opencv-python-headless.
MEDIAPIPE=(mediapipe==0.10.18 'numpy<2' 'opencv-python-headless<4.12')
MEDIAPIPE_WITHOUT=(jax jaxlib opencv-contrib-python sentencepiece sounddevice)

command_lock() {
    local work
    cd -- "$ROOT"
    say "Setting up"
    [ -x "$VENV/bin/uv" ] || ensure_test_tools
    say "Writing $LOCKS"
    work=$(mktemp -d)
    mkdir -p -- "$LOCKS"
    must "Resolving all packages" write_locks "$work"
    must "Checking that each has wheels for ${LOCKED_PYTHONS[*]} on ${LOCKED_MACHINES[*]}" check_locks "$work"
    mv -f -- "$work"/*.txt "$LOCKS/"
    rm -rf -- "$work"
    say "Done. Review the changes (git diff constraints), then run ./setup.sh test."
}

write_locks() { # FOLDER
    local work=$1
    # Our own build back end is installed from the same files.
    "$VENV/bin/python" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' >"$work/build.in"
    printf '%s\n' 'numpy<2' >"$work/numpy1.in"
    printf '%s\n' "torch==$TORCH" >"$work/torch.in"
    printf '%s\n' torch >"$work/torch.excluded"
    printf '%s\n' "${MEDIAPIPE[@]}" >"$work/mediapipe.in"
    printf '%s\n' "${MEDIAPIPE_WITHOUT[@]}" >"$work/mediapipe.excluded"

    resolve "$work/run.txt" "What judges clips and runs the box." \
        pyproject.toml "$work/build.in"
    resolve "$work/run-numpy1.txt" "The same for a box whose system has numpy 1 (bookworm)." \
        pyproject.toml "$work/build.in" --constraints "$work/numpy1.in"
    resolve "$work/test.txt" "run.txt, and what checks, exports and trains, without torch." \
        pyproject.toml "$work/build.in" --extra dev --extra export \
        --constraints "$work/run.txt" --excludes "$work/torch.excluded"
    resolve "$work/torch-all" "" "$work/torch.in" --constraints "$work/test.txt"
    split_torch "$work"
    resolve "$work/mediapipe.txt" "MediaPipe's library, which a test compares with our detector." \
        "$work/mediapipe.in" --excludes "$work/mediapipe.excluded"
}

resolve() { # FILE WHAT ARGUMENT...
    local file=$1 what=$2
    shift 2
    "$VENV/bin/uv" pip compile --quiet --universal --python-version "${LOCKED_PYTHONS[0]}" \
        --generate-hashes --only-binary :all: --no-header --no-annotate --output-file "$file" "$@"
    headed "$what" "$file"
}

headed() { # WHAT FILE
    {
        printf '# %s\n# Written by ./setup.sh lock: do not edit.\n' "$1"
        cat -- "$2"
    } >"$2.new"
    mv -f -- "$2.new" "$2"
}

split_torch() { # FOLDER: what PyTorch needs everywhere, and what only its CUDA build needs
    awk -v pattern="$CUDA_PACKAGES" -v cuda="$1/torch-cuda.txt" -v other="$1/torch.txt" '
        /^#/ { next }
        /^[^ ]/ { file = $0 ~ pattern ? cuda : other }
        { print > file }
    ' "$1/torch-all"
    local hash
    for hash in "${TORCH_CPU_HASHES[@]}"; do
        sed -i "s/^torch==.*/&\n    --hash=sha256:$hash \\\\/" "$1/torch.txt"
    done
    headed "PyTorch, as the common build or for CPUs alone; setup/lock.sh says how." "$1/torch.txt"
    headed "The CUDA libraries of PyTorch's common build." "$1/torch-cuda.txt"
}

check_locks() { # FOLDER: is there a wheel for every package, Python and kind of machine?
    local work=$1 python machine lock
    for python in "${LOCKED_PYTHONS[@]}"; do
        for machine in "${LOCKED_MACHINES[@]}"; do
            for lock in run test torch torch-cuda run-numpy1 mediapipe; do
                case $lock:$python in
                    run-numpy1:3.11 | run:* | test:* | torch*:* | mediapipe:3.11 | mediapipe:3.12) ;;
                    *) continue ;;
                esac
                "$VENV/bin/uv" pip install --quiet --dry-run --require-hashes --no-deps --only-binary :all: \
                    --python-version "$python" --python-platform "$machine" --target "$work/target" \
                    -r "$work/$lock.txt" || { echo "$lock.txt: Python $python, $machine"; return 1; }
            done
        done
    done
}
