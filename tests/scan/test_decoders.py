"""Spare decoder processes, and those of the unit: here a listener stands for systemd."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_decoder import FOUR_HERTZ, IMPATIENT, SHORT, descriptors, fake_decoder
from listening_unit import ListeningUnit
from waiting import until

from edge.scan import child_process
from edge.scan.child_messages import LAYERS
from edge.scan.media.client import ClipError, open_clip
from edge.scan.media.confinement import try_confinement
from edge.scan.media.decoders import Decoders, Limits
from edge.scan.media.protocol import Fault
from edge.scan.media.sampling import Sampling
from edge.settings import Settings


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ListeningUnit]:
    started = ListeningUnit(tmp_path, "decoder", "edge.scan.media.worker")
    monkeypatch.setattr(child_process, "UNITS", tmp_path)
    yield started
    started.close()


def times(path: Path, decoders: Decoders) -> list[float]:
    with open_clip(path, FOUR_HERTZ, decoders=decoders) as opened:
        return [frame.time for frame in opened.frames()]


def imports_everything(decoders: Decoders) -> None:
    maps = Path(f"/proc/{decoders.spare_pid}/maps")
    wanted = ("libavcodec", "_imaging.", "pillow_heif")
    until(lambda: all(name in maps.read_text() for name in wanted))


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}/exe").is_symlink()


def test_a_spare_process_gets_the_next_clip(clip: Path) -> None:
    before = descriptors()
    seen = set()
    with Decoders(spare=True) as decoders:
        decoders.renew()
        for _ in range(3):
            waiting = decoders.spare_pid
            with open_clip(clip, FOUR_HERTZ, decoders=decoders) as opened:
                assert opened.pid == waiting
                assert len(list(opened.frames())) == 8
            seen.add(waiting)
        del opened  # it holds the frames
        assert len(seen) == 3, "each gets one clip only"
        last = decoders.spare_pid
        assert last
    until(lambda: not exists(last))
    until(lambda: descriptors() == before)


def test_a_spare_process_imports_everything_before_there_is_a_clip(clip: Path) -> None:
    with Decoders(spare=True) as decoders:
        decoders.renew()
        imports_everything(decoders)
        assert len(times(clip, decoders)) == 8


def test_a_spare_process_that_is_not_needed_ends_in_silence(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for _ in range(3):
        with Decoders(spare=True) as decoders:
            decoders.renew()
            imports_everything(decoders)
    assert capfd.readouterr() == ("", "")


def test_a_spare_process_that_died_is_replaced(clip: Path) -> None:
    with Decoders(spare=True) as decoders:
        decoders.renew()
        assert decoders.spare_pid
        os.kill(decoders.spare_pid, signal.SIGKILL)
        os.waitid(os.P_PID, decoders.spare_pid, os.WEXITED | os.WNOWAIT)
        assert len(times(clip, decoders)) == 8


def test_a_clip_is_begun_before_it_is_opened(clip: Path) -> None:
    before = descriptors()
    with Decoders(spare=True) as decoders:
        decoders.renew()
        waiting = decoders.spare_pid
        decoders.begin(clip, FOUR_HERTZ, Limits())
        assert decoders.spare_pid == 0
        with decoders.open_file(clip) as file:
            with open_clip(file, FOUR_HERTZ, decoders=decoders) as opened:
                assert opened.pid == waiting
                assert len(list(opened.frames())) == 8
            del opened
    until(lambda: descriptors() == before)


def test_a_clip_that_was_begun_and_is_not_scanned_is_forgotten(clip: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(clip.read_bytes())
    before = descriptors()
    for scanned in (None, other):
        with Decoders(spare=True) as decoders:
            decoders.renew()
            waiting = decoders.spare_pid
            decoders.begin(clip, FOUR_HERTZ, Limits())
            if scanned:
                with (
                    decoders.open_file(scanned) as file,
                    open_clip(file, FOUR_HERTZ, decoders=decoders) as opened,
                ):
                    assert opened.pid != waiting
                    assert len(list(opened.frames())) == 8
                del opened
        assert not exists(waiting)
        until(lambda: descriptors() == before)


def test_other_frames_than_those_begun_are_asked_anew(clip: Path) -> None:
    with Decoders(spare=True) as decoders:
        decoders.renew()
        decoders.begin(clip, Sampling(1, 1.0, 1), Limits())
        with (
            decoders.open_file(clip) as file,
            open_clip(file, FOUR_HERTZ, decoders=decoders) as opened,
        ):
            assert len(list(opened.frames())) == 8


def test_a_process_that_died_with_the_clip_that_was_begun_is_replaced(clip: Path) -> None:
    with Decoders(spare=True) as decoders:
        decoders.renew()
        pid = decoders.spare_pid
        decoders.begin(clip, FOUR_HERTZ, Limits())
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with (
            decoders.open_file(clip) as file,
            open_clip(file, FOUR_HERTZ, decoders=decoders) as opened,
        ):
            assert opened.pid != pid
            assert len(list(opened.frames())) == 8


def test_a_file_that_cannot_be_begun_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    with Decoders(spare=True) as decoders:
        decoders.renew()
        decoders.begin(tmp_path / "missing.mp4", FOUR_HERTZ, Limits())
        assert decoders.spare_pid
        with pytest.raises(ClipError) as caught:
            decoders.open_file(tmp_path / "missing.mp4")
        assert caught.value.fault is Fault.MISSING


def test_a_process_that_does_not_start_is_a_fault(clip: Path) -> None:
    decoders = Decoders([sys.executable, "-c", "raise SystemExit"])
    with pytest.raises(ClipError) as caught:
        open_clip(clip, FOUR_HERTZ, decoders=decoders)
    assert caught.value.fault is Fault.NOT_STARTED


def test_the_unit_decodes_where_there_is_one(clip: Path, unit: ListeningUnit) -> None:
    with Decoders(spare=True) as decoders:
        decoders.renew()
        with open_clip(clip, FOUR_HERTZ, decoders=decoders) as opened:
            assert len(list(opened.frames())) == 8
            assert opened.pid not in {child.pid for child in unit.started}
        until(lambda: not exists(opened.pid))
        assert unit.started[0].wait(60) == 0
    until(lambda: len(unit.started) == 2)


def test_the_sandbox_holds_in_the_unit(unit: ListeningUnit) -> None:
    assert try_confinement().layers == tuple(LAYERS)
    assert len(unit.started) == 1


@pytest.mark.parametrize(
    ("end", "fault"), [(9, Fault.CRASHED), (31, Fault.CRASHED), (24, Fault.TOO_MUCH_WORK)]
)
def test_how_a_process_of_the_unit_ended_is_known(
    clip: Path, unit: ListeningUnit, end: int, fault: Fault
) -> None:
    with pytest.raises(ClipError) as caught, open_clip(clip, FOUR_HERTZ) as opened:
        os.kill(opened.pid, end)
        _ = opened.clip
    assert caught.value.fault is fault


def test_a_process_of_the_unit_that_lives_on_is_killed(clip: Path, unit: ListeningUnit) -> None:
    unit.body = (
        "import os, time\n"
        "from edge.scan.child_messages import Notice, pack\n"
        "def main(connection):\n"
        "    os.write(connection, pack(Notice.READY, os.getuid(), os.getpid()))\n"
        "    os.closerange(0, 99)\n"
        "    time.sleep(600)\n"
        "worker.main = main"
    )
    with pytest.raises(ClipError) as caught, open_clip(clip, FOUR_HERTZ, IMPATIENT) as opened:
        _ = opened.clip
    assert caught.value.fault is Fault.HUNG
    until(lambda: not exists(opened.pid))


def test_where_the_unit_fails_a_child_decodes_and_the_journal_says_so(
    clip: Path, unit: ListeningUnit, caplog: pytest.LogCaptureFixture
) -> None:
    (unit.folder / "reports").mkdir()  # it looks like an installed box
    unit.body = "raise SystemExit"
    decoders = Decoders()
    for _ in range(2):
        assert len(times(clip, decoders)) == 8
    assert len(unit.started) == 1, "it is asked again after a minute"
    assert caplog.text.count("decoded by the program's own user") == 1
    found = try_confinement()
    assert found.unit_expected
    assert not found.own_user
    assert "a user of its own" in found.missing


def test_a_lie_about_its_end_is_told_to_nobody(clip: Path) -> None:
    """Only the unit's supervisor is believed how a process ended."""
    body = "reply(Notice.ENDED, 24); os._exit(0)"
    with (
        pytest.raises(ClipError) as caught,
        open_clip(clip, FOUR_HERTZ, SHORT, decoders=fake_decoder(body)) as opened,
    ):
        _ = opened.clip
    assert caught.value.fault is Fault.CRASHED


def test_the_daemon_keeps_a_process_ready(tmp_path: Path) -> None:
    from edge.box.scan_worker import ScanWorker

    worker = ScanWorker(tmp_path, lambda _: None, lambda *_: None)
    try:
        worker.load(Settings())
        until(lambda: worker._decoders.spare_pid)
    finally:
        assert worker.close(60)
    assert not worker._decoders.spare_pid
