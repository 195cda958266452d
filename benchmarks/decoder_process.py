"""What the sandbox and the decoder process cost at the start of a clip.

    python benchmarks/decoder_process.py CLIP [--times 15]

Prints medians of the seconds from asking for a clip until its first frame, and of the processor
time of the decoder process. The variants take turns, so that a busy machine slows all alike.
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from edge.scan import child_process
from edge.scan.media.client import open_clip
from edge.scan.media.decoders import Decoders
from edge.scan.media.sampling import Sampling

SAMPLING = Sampling(8, 8.0, 12)
BARE = (
    "import sys; sys.path[:] = {path!r}; from edge.scan import sandbox; "
    "from edge.scan.media import worker; "
    "sandbox.enter = lambda *_: []; worker.main(int(sys.argv[1]))"
)


def spare() -> Decoders:
    """A process waits, and has imported everything."""
    decoders = Decoders(spare=True)
    decoders.renew()
    maps = Path(f"/proc/{decoders.spare_pid}/maps")
    while "pillow_heif" not in maps.read_text():
        time.sleep(0.01)
    decoders.spare = False
    return decoders


def bare() -> Decoders:
    """A new process that enters no sandbox."""
    command = [sys.executable, "-I", "-S", "-c", BARE.format(path=child_process.PATH)]
    return Decoders(command)


VARIANTS: dict[str, Callable[[], Decoders]] = {
    "new process": Decoders,
    "new process, no sandbox": bare,
    "spare process": spare,
}


def measure(clip: Path, decoders: Decoders) -> tuple[float, float]:
    """Seconds to the first frame; seconds of processor time for all frames."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with open_clip(clip, SAMPLING, decoders=decoders) as opened:
        frames = opened.frames()
        next(frames)
        first = time.perf_counter() - start
        for _ in frames:
            pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return first, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Parse and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--times", type=int, default=15)
    given = parser.parse_args()
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in VARIANTS}
    for _ in range(given.times):
        for name, variant in VARIANTS.items():
            figures[name].append(measure(given.clip, variant()))
    for name, values in figures.items():
        first, cpu = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"{name:24} first frame {first * 1000:4.0f} ms, processor {cpu * 1000:4.0f} ms")


main()
