# shellcheck shell=bash
# A system with Truelight installed by setup.sh, laid over the root, which stays as it is.
#
# box_root_ready FOLDER  lays a system in $CACHE/FOLDER over the root, and sets $BOX.
# box_ready FOLDER       installs or renews it there as well, with clips in /var/tmp/clips.
# write_screens NAME     writes the pictures that its display kept (tests/vm/display.py) into
#                        $ARTIFACTS/screens/NAME.
# in_box                 runs a command in it; what the command writes there stays.

box_root_ready() {
    BOX=$CACHE/$1
    if [ "$(cat "$BOX/made-from" 2>/dev/null || true)" != "$ROOT" ]; then
        rm -rf "$BOX"
    fi
    mkdir -p "$BOX/upper" "$BOX/work" "$BOX/tree"
    echo "$ROOT" >"$BOX/made-from"
    mount -t overlay truelight-box \
        -o "lowerdir=$ROOT,upperdir=$BOX/upper,workdir=$BOX/work" "$BOX/tree"
    rm -rf "$BOX/tree/var/lib/truelight/"* "$BOX/tree/var/log/journal"
}

box_ready() {
    box_root_ready "$1"
    in_box /run/source/setup.sh install --anyway
    [ -d "$BOX/tree/var/tmp/clips" ] ||
        in_box --chdir=/opt/truelight --setenv=TRUELIGHT_MODELS=/opt/truelight/third_party/blazeface \
            /opt/truelight/.venv/bin/python samples/make.py /var/tmp/clips
}

write_screens() { # NAME [last]
    local screens=$ARTIFACTS/screens/$1
    rm -rf "$screens"
    mkdir -p "$screens"
    in_box --setenv=PYTHONPATH=/run/source/tests/box/panel --setenv=PYTHONDONTWRITEBYTECODE=1 \
        --bind="$screens:/run/screens" \
        /opt/truelight/.venv/bin/python /run/source/tests/vm/display.py /run/screens "${@:2}"
}

in_box() { # [NSPAWN OPTION...] COMMAND...
    contained --console=pipe --directory="$BOX/tree" --bind-ro="$REPOSITORY:/run/source" \
        --bind-ro="$CERTIFICATES:/run/certificates" --setenv=SSL_CERT_FILE=/run/certificates \
        --setenv=PIP_CERT=/run/certificates "$@"
}
