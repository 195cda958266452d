# shellcheck shell=bash
# The real Picamera2 records, through libcamera's virtual camera, what stands before it.

mkdir -p "$CACHE/materials"
in_root --bind="$CACHE/materials:/run/materials" \
    --bind-ro="$CERTIFICATES:/run/certificates" --setenv=SSL_CERT_FILE=/run/certificates \
    --setenv=TRUELIGHT_MODELS=/run/materials --setenv=LIBCAMERA_LOG_LEVELS=FATAL \
    --setenv=PYTHONPATH=/opt/truelight:/opt/truelight/samples --setenv=PYTHONDONTWRITEBYTECODE=1 \
    --setenv=PATH=/opt/python/bin:/usr/bin:/bin --chdir=/opt/truelight/tests/vm \
    /bin/sh -euc '
        gcc -shared -fPIC -O2 -Wall -Wextra -o /run/fakeheap.so fakeheap.c
        python camera.py nothing
        python camera.py scene
        LD_PRELOAD=/run/fakeheap.so python camera.py record'
