"""Processor time: unlike wall time it depends little on what else the machine does."""

import resource


def in_this_process() -> float:
    """Seconds that this process has worked so far, in all threads."""
    return _used(resource.RUSAGE_SELF)


def in_children() -> float:
    """Seconds that its child processes had worked that have ended."""
    return _used(resource.RUSAGE_CHILDREN)


def processor_seconds() -> float:
    """Both."""
    return in_this_process() + in_children()


def _used(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime
