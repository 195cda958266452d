"""What the decoder process gives up before it reads the first byte of a clip.

By then all modules are imported and all descriptors are open. Further layers (Landlock, seccomp)
belong here.
"""

from __future__ import annotations

import contextlib
import resource

_OPEN_FILES = 16


def enter(cpu_seconds: int, memory_bytes: int) -> None:
    """Limit this process for the rest of its life."""
    for kind, value in (
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_AS, memory_bytes),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))
    limit_cpu(cpu_seconds)


def limit_cpu(seconds: int) -> None:
    """Set the soft limit of processor time; it is set again when the clip's length is known."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))
