# The page and the scanner in a container, without root and on a read-only file system:
#   docker build --tag truelight .
#   docker run --read-only --publish 8443:8443 --volume clips:/clips truelight
#   docker run --read-only --volume "$PWD:/clips:ro" truelight scan /clips
# What is put into /clips is judged, as in the box's inbox. History and devices are in /data.

ARG BASE=docker.io/library/debian:trixie-slim

FROM ${BASE} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv ca-certificates
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
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    printf '/opt/truelight\n' >.venv/lib/python3.13/site-packages/truelight.pth \
    && mkdir -p third_party/blazeface \
    && TRUELIGHT_MODELS=third_party/blazeface PYTHONPATH=. .venv/bin/python -m edge.cli.main models fetch \
    && .venv/bin/pip uninstall --yes --quiet setuptools pip \
    && find .venv -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} + \
    && rm -rf models/*/tower.onnx models/*/reference.json \
    && printf '#!/bin/sh\nexec /opt/truelight/.venv/bin/python -m edge.cli.main "$@"\n' >truelight \
    && chmod 755 truelight

FROM ${BASE}
RUN apt-get update && apt-get install --yes --no-install-recommends python3-minimal python3 libseccomp2 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /usr/share/doc/* /usr/share/man/* \
    && useradd --uid 10001 --no-create-home --home-dir /data truelight \
    && install -d -o truelight -g truelight /clips /data /etc/truelight
COPY --from=build /opt/truelight /opt/truelight
COPY config/container.yaml /etc/truelight/truelight.yaml
ENV HOME=/data TMPDIR=/data TRUELIGHT_MODELS=/opt/truelight/third_party/blazeface PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 PYTHONPATH=/opt/truelight
USER truelight
WORKDIR /data
VOLUME ["/clips", "/data"]
EXPOSE 8443
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["/opt/truelight/.venv/bin/python", "-m", "edge.web.alive"]
ENTRYPOINT ["/opt/truelight/truelight"]
CMD ["serve", "--address", "0.0.0.0"]
