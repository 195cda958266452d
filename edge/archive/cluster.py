"""The Dask cluster: local workers of our own, or a scheduler that its users run."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import dask
import psutil
from distributed import Client, LocalCluster

from edge.archive.worker import bundles
from edge.errors import TruelightError
from edge.scan.model.bundle_info import read_bundle
from edge.settings import Settings

WORKER_MEMORY = 1_500_000_000
"""Bytes for one worker with its decoder process and the second model."""

_LOOPBACK = "127.0.0.1"
_ALLOWED_FAILURES = 1
"""Deaths of a worker on one clip that are followed by another try."""
_PATIENCE = "10 s"


@contextmanager
def own_cluster(workers: int, memory: int, spool: str | None) -> Iterator[Client]:
    """A cluster on this machine, reachable from this machine alone.

    `memory` is the limit of each worker in bytes: Dask restarts a worker that exceeds it.
    """
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": _ALLOWED_FAILURES}),
        tempfile.TemporaryDirectory(prefix="truelight-", dir=spool) as folder,
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=memory,
            host=_LOOPBACK,
            dashboard_address=f"{_LOOPBACK}:0",
            local_directory=folder,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def joined_cluster(scheduler: str | None) -> Iterator[Client]:
    """The cluster of a scheduler at this address; None takes it from Dask's configuration.

    Raises TruelightError: it does not answer.
    """
    for handler in logging.getLogger("distributed").handlers:  # an error is our own sentence
        handler.setLevel(logging.CRITICAL + 1)
    try:
        client = Client(scheduler, timeout=_PATIENCE)
    except (OSError, ValueError, TimeoutError) as failure:
        raise TruelightError(
            f"The scheduler {scheduler or 'of the Dask configuration'} does not answer: {failure}",
            "Check the address, and that the scheduler runs the same release of Dask.",
        ) from None
    with client:
        yield client


def default_workers() -> int:
    """As many as there are cores, and memory for."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, int(psutil.virtual_memory().available // WORKER_MEMORY)))


def partition_key(settings: Settings) -> str:
    """A name for the bundle and the settings that findings depend on: "truelight-0.2.1-1f00c0de".

    Raises BundleError: the bundle's manifest is not valid.
    """
    manifest = read_bundle(settings.bundle_folder).manifest
    scan = settings.scan.model_dump(mode="json", exclude={"threads", "heat"})
    parts = [
        *bundles(settings),
        scan,
        settings.faces.model_dump(mode="json"),
        settings.decode.model_dump(mode="json"),
        settings.second_opinion.model_dump(mode="json", exclude={"bundle", "least_memory"}),
    ]
    content = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", f"{manifest.name}-{manifest.version}")
    return f"{name}-{content[:8]}"
