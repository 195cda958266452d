#!/bin/bash
# Runs a file of tests in the emulated system, and keeps what it says: unit_tests.sh PROGRAM FILE
# It is not run again if it passed, and neither it nor PROGRAM, a hash of all else, has changed.
set -uo pipefail

file=$2
kept=/run/artifacts/arm64-units/$(tr / - <<<"${file#tests/}").txt
mark="passed: $1 $(sha256sum <"$file")"
if [ "$(tail -n 1 "$kept" 2>/dev/null)" != "$mark" ]; then
    /opt/truelight/.venv/bin/python -m pytest -q -rfEsx -p no:cacheprovider -p emulated \
        -o timeout=3600 "$file" >"$kept" 2>&1 && echo "$mark" >>"$kept"
fi
printf '%s: %s\n' "$file" "$(grep -E '^[0-9]+ (passed|failed|skipped|error)' "$kept" | tail -n 1)"
grep -E '^(FAILED|ERROR|SKIPPED)' "$kept"
[ "$(tail -n 1 "$kept")" = "$mark" ]
