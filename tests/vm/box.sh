# shellcheck shell=bash
# A system with Truelight installed by setup.sh, laid over the root, which stays as it is.
#
# box_ready FOLDER  makes or renews it in $CACHE/FOLDER, with clips in /var/tmp/clips, and sets $BOX.
# in_box            runs a command in it; what the command writes there stays.

box_ready() {
    BOX=$CACHE/$1
    if [ "$(cat "$BOX/made-from" 2>/dev/null || true)" != "$ROOT" ]; then
        rm -rf "$BOX"
    fi
    mkdir -p "$BOX/upper" "$BOX/work" "$BOX/tree"
    echo "$ROOT" >"$BOX/made-from"
    mount -t overlay truelight-box \
        -o "lowerdir=$ROOT,upperdir=$BOX/upper,workdir=$BOX/work" "$BOX/tree"
    rm -rf "$BOX/tree/var/lib/truelight/"* "$BOX/tree/var/log/journal"
    in_box /run/source/setup.sh install --anyway
    [ -d "$BOX/tree/var/tmp/clips" ] ||
        in_box --chdir=/opt/truelight --setenv=TRUELIGHT_MODELS=/opt/truelight/third_party/blazeface \
            /opt/truelight/.venv/bin/python samples/make.py /var/tmp/clips
}

in_box() { # [NSPAWN OPTION...] COMMAND...
    contained --console=pipe --directory="$BOX/tree" --bind-ro="$REPOSITORY:/run/source" \
        --bind-ro="$CERTIFICATES:/run/certificates" --setenv=SSL_CERT_FILE=/run/certificates \
        --setenv=PIP_CERT=/run/certificates "$@"
}
