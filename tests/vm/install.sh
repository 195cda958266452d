# shellcheck shell=bash
# setup.sh for real: install, install again, ask the doctor, uninstall. Nothing may be left of it.

installs_on() { # SUITE
    root_ready "$1"
    # shellcheck disable=SC2016  # it is the other shell that expands
    contained --console=pipe --directory="$ROOT" --volatile=overlay \
        --bind-ro="$REPOSITORY:/run/source" --bind-ro="$CERTIFICATES:/run/certificates" \
        --setenv=SSL_CERT_FILE=/run/certificates --setenv=PIP_CERT=/run/certificates --resolv-conf=copy-host /bin/bash -euo pipefail -c '
    files() { # but for the lists of packages, and what Python and the tools for users keep
        find / -xdev \( -path /var/lib/apt -o -path /var/cache -o -path /tmp -o -path /run \
            -o -name __pycache__ -o -path /etc/.pwd.lock -o -path "/etc/*-" \
            -o -path /var/lib/dpkg -o -path /var/log \) -prune -o ! -type d -print | sort
    }
    setup=/run/source/setup.sh
    # What it takes from the system stays there: it is installed before the files are counted.
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3-systemd >/dev/null
    mkdir -p /boot/firmware
    echo dtparam=audio=on >/boot/firmware/config.txt
    files >/tmp/before
    cp /boot/firmware/config.txt /tmp/config.txt

    "$setup" install --anyway
    again=$("$setup" install --anyway 2>&1)
    # Not "! grep": that never ends the shell.
    if grep -E "Writing|Copying|Creating|Installing T|Switching|Enabling" <<<"$again"; then exit 1; fi
    grep -q i2c_arm /boot/firmware/config.txt
    systemd-analyze verify /etc/systemd/system/truelight*
    truelight doctor --no-questions --only model --only detector --only settings
    runuser -u truelight -- truelight models >/dev/null

    /opt/truelight/setup.sh uninstall
    test -e /etc/truelight/truelight.yaml
    "$setup" uninstall --purge
    if grep truelight /etc/passwd /etc/group; then exit 1; fi
    cmp /tmp/config.txt /boot/firmware/config.txt
    files | diff /tmp/before -
    . /etc/os-release
    echo "$VERSION_CODENAME, $(python3 --version): installed twice, uninstalled, nothing left"
'
}

for suite in trixie bookworm; do
    installs_on "$suite"
done
