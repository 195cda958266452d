# shellcheck shell=bash
# The power fails at random moments of the real daemon's work. The packages of the extra [fuzz] must
# be in .venv: .venv/bin/pip install 'mfusepy>=3.1,<4'
(
    cd -- "$REPOSITORY" || exit
    PYTHONPATH=tests:. .venv/bin/python -m hostile.power --count "${CUTS:-50}"
)
