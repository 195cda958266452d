# The page and the scanner in a container, without root and on a read-only file system:
#   docker build --tag truelight .
#   docker run --read-only --publish 8443:8443 --volume clips:/clips truelight
#   docker run --read-only --volume "$PWD:/clips:ro" truelight scan /clips
# What is put into /clips is judged, as in the box's inbox. History and devices are in /data.

ARG BASE=docker.io/library/debian:trixie-slim

FROM ${BASE} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv ca-certificates binutils libseccomp2
WORKDIR /opt/truelight
COPY constraints/run.txt constraints/run.txt
# The index may be named with --secret id=pip,src=pip.conf; nothing of it stays in the image.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv .venv && .venv/bin/pip install --no-cache-dir --no-compile --no-deps \
    --require-hashes --only-binary :all: --requirement constraints/run.txt
COPY CHANGELOG.md LICENSE NOTICE README.md pyproject.toml ./
COPY config config
COPY edge edge
COPY models models
COPY setup/slim.py setup/slim.py
# Slimmed, then tried: every library must load by itself.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    printf '/opt/truelight\n' >.venv/lib/python3.13/site-packages/truelight.pth \
    && mkdir -p third_party/blazeface \
    && export TRUELIGHT_MODELS=third_party/blazeface PYTHONPATH=. PYTHONDONTWRITEBYTECODE=1 \
    && .venv/bin/python -m edge.cli.main models fetch \
    && .venv/bin/pip uninstall --yes --quiet setuptools pip \
    && python3 setup/slim.py .venv \
    && rm -rf setup models/*/tower.onnx models/*/reference.json \
    && printf '#!/bin/sh\nexec /opt/truelight/.venv/bin/python -m edge.cli.main "$@"\n' >truelight \
    && chmod 755 truelight \
    && for each in ai_edge_litert.interpreter av cryptography.x509 cv2 numpy.linalg onnxruntime pillow_heif \
    PIL._avif PIL._imagingft uvicorn; do .venv/bin/python -c "import $each" || exit 1; done \
    && .venv/bin/python -m edge.cli.main models

FROM ${BASE} AS system
# What only installs packages goes, in the end: nothing is installed into a running container.
RUN apt-get update && apt-get install --yes --no-install-recommends python3-minimal python3 libseccomp2 \
    && useradd --uid 10001 --no-create-home --home-dir /data truelight \
    && install -d -o truelight -g truelight /clips /data /etc/truelight \
    && cd /usr && rm -rf /var/lib/apt /var/cache /var/log/* /var/lib/dpkg/info /etc/apt /etc/perl \
    bin/apt* bin/dpkg* bin/deb* bin/perl* bin/sqv bin/localedef lib/apt lib/dpkg sbin/dpkg* \
    lib/*-linux-gnu/perl* lib/*-linux-gnu/gconv lib/*-linux-gnu/libapt* lib/*-linux-gnu/libdb-5* \
    share/perl* share/bash-completion share/doc share/info share/keyrings share/lintian share/man \
    share/locale share/gcc share/debconf share/dpkg

FROM scratch
COPY --from=system / /
COPY --from=build /opt/truelight /opt/truelight
COPY config/container.yaml /etc/truelight/truelight.yaml
ENV PATH=/usr/bin:/bin HOME=/data TMPDIR=/data TRUELIGHT_MODELS=/opt/truelight/third_party/blazeface \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONPATH=/opt/truelight
USER truelight
WORKDIR /data
VOLUME ["/clips", "/data"]
EXPOSE 8443
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["/opt/truelight/.venv/bin/python", "-m", "edge.web.alive"]
ENTRYPOINT ["/opt/truelight/truelight"]
CMD ["serve", "--address", "0.0.0.0"]
