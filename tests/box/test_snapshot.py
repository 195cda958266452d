"""The state that the socket sends, of a batch that has very many clips."""

from dataclasses import replace

from living import Box, result, stick

from edge.box.events import ClipsArrived
from edge.box.snapshot import MOST_RESULTS, Moment, snapshot
from edge.finding import Verdict
from edge.web.rendering import live_parts


def test_the_state_does_not_grow_with_a_batch() -> None:
    """It had every clip's result, at each step: 650 kB of 10,000 clips."""
    names = [f"{number:05}.mp4" for number in range(10_000)]
    box = Box()
    box.on(ClipsArrived(stick("a", *names)))
    assert box.state.run is not None
    judged = tuple(result(Verdict.REAL, name) for name in names[:-1])
    run = replace(box.state.run, done=len(judged), results=judged)
    state = replace(box.state, run=run)
    sent = snapshot(Moment(state, box.scene(), box.settings, box.now, box.now), box.now)
    (queued,) = sent.queue
    assert (queued.clips, queued.judged) == (10_000, 9999)
    assert [one.name for one in queued.results] == names[-MOST_RESULTS - 1 : -1]
    assert len(sent.model_dump_json()) < 20_000
    assert "9999 of 10000 judged" in live_parts(sent)["queue"]
