"""Two daemons on one SQLite file. The second is refused, by whatever path it comes and even while
the first is frozen, with a sentence that names the first; the first goes on as if nothing had been;
when it is gone, the next one takes over what it had in hand."""

import signal
from pathlib import Path

import pytest

from tests.crash.fixtures import MakeRig
from tests.faults.books import book
from tests.scenarios.daemon import RemediatorProcess
from tests.servers.process import ServerFailed


def _refused(daemon: RemediatorProcess) -> str:
    with pytest.raises(ServerFailed, match="ended instead of coming up"):
        daemon.start()
    return daemon.log_tail(2)


def test_a_second_daemon_on_the_file_is_refused(make_rig: MakeRig, tmp_path: Path) -> None:
    rig = make_rig(book("approve"))
    rig.send("one", "firing")
    rig.until("awaiting_approval")
    first = rig.daemon

    link = tmp_path / "link.db"
    link.symlink_to(first.journal)
    settings = {**first.settings, "runbooks": [str(first.folder / "runbooks")]}
    for number, path in enumerate([first.journal, link]):
        second = RemediatorProcess(tmp_path / str(number), settings, journal=path)
        said = _refused(second)
        assert f"is in use by another remediator (process {first.process.pid})" in said
        assert "stop that one, or give this one another `journal`" in said
        assert "Traceback" not in second.log.read_text()
        second.stop()

    second = RemediatorProcess(tmp_path / "next", settings, journal=first.journal)
    first.process.signal(signal.SIGSTOP)
    assert "is in use by another remediator" in _refused(second)
    first.process.signal(signal.SIGCONT)
    assert rig.run_of()["state"] == "awaiting_approval"
    assert rig.ledger() == []

    first.stop()
    rig.daemon = second
    second.start()
    carried = rig.carry("one", {"awaiting_approval": rig.approve}, lives=0)
    assert carried.run["state"] == "succeeded", carried
    assert rig.ledger() == ["do one"]
    rig.check_whole()
