"""The runbooks' folder breaks while the daemon serves it: a file that is half written, one that is
no text, the folder gone, the folder empty.

The last good set goes on serving, alerts that come meanwhile are treated by it, the metric says 0,
and mending the folder is enough. A run in flight keeps the runbook with which it began, whatever
has become of the file. A start on a broken folder is refused with the place of the fault, and loses
nothing.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.fixtures import MakeRig
from tests.crash.rig import Rig
from tests.faults.books import book
from tests.servers.process import ServerFailed
from tests.servers.waiting import eventually

_OFTEN = {"reload_every": "100ms"}
_FIRE_WITHIN_S = 20.0


def _half_written(folder: Path) -> None:
    file = folder / "runbook.yaml"
    file.write_text(file.read_text()[:150])


def _no_text(folder: Path) -> None:
    (folder / "runbook.yaml").write_bytes(bytes(range(128, 256)))


def _vanished(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def _emptied(folder: Path) -> None:
    (folder / "runbook.yaml").unlink()


FAULTS: dict[str, Callable[[Path], None]] = {
    "half-written": _half_written,
    "no-text": _no_text,
    "vanished": _vanished,
    "emptied": _emptied,
}


def _mend(folder: Path, text: str) -> None:
    elsewhere = folder.with_name("elsewhere")
    if elsewhere.exists():
        elsewhere.rename(folder)
    (folder / "runbook.yaml").write_text(text)


def _success(rig: Rig) -> float:
    return rig.daemon.metrics()["remediator_runbook_reload_success"]


def _asks(rig: Rig, case: str) -> str:
    """Fires an alert; the id of the run that asks about it."""
    known = {run["id"] for run in rig.daemon.items("/api/v1/runs")}
    rig.send(case, "firing")

    def asking() -> str:
        (run,) = (r for r in rig.daemon.items("/api/v1/runs") if r["id"] not in known)
        assert run["state"] == "awaiting_approval", run
        return str(run["id"])

    return eventually(asking, _FIRE_WITHIN_S, what=f"the question about {case}")


def _approve(rig: Rig, run_id: str) -> None:
    rig.approve({"id": run_id})
    eventually(
        lambda: rig.daemon.api(f"/api/v1/runs/{run_id}")["state"] == "succeeded",
        what="the run to succeed",
    )


def test_a_broken_folder_leaves_the_last_good_set_serving(make_rig: MakeRig) -> None:
    rig = make_rig(book("approve"), settings=_OFTEN)
    folder = rig.daemon.folder / "runbooks"
    text = (folder / "runbook.yaml").read_text()
    changed = text.replace('do, "${{ labels.case }}"', 'do, "${{ labels.case }}-changed"')
    changed = changed.replace("      check: ", "      # check: ")
    first = _asks(rig, "first")
    runs = []
    for name, break_it in FAULTS.items():
        break_it(folder)
        eventually(lambda: _success(rig) == 0, what=f"the metric to say: {name}")
        served = rig.daemon.api("/api/v1/runbooks")["items"]
        assert [one["name"] for one in served] == ["mend"], name
        runs.append(_asks(rig, name))
        _mend(folder, text)
        eventually(lambda: _success(rig) == 1, what=f"the folder to be loaded after: {name}")
    _mend(folder, changed)
    version = rig.daemon.api("/api/v1/runbooks")["items"][0]["version"]
    eventually(
        lambda: rig.daemon.api("/api/v1/runbooks")["items"][0]["version"] != version,
        what="the new version",
    )
    last = _asks(rig, "last")
    for run_id in (first, *runs, last):
        _approve(rig, run_id)
    assert rig.ledger() == [f"do {case}" for case in ("first", *FAULTS, "last-changed")]
    rig.check_whole()


@pytest.mark.parametrize("fault", ["half-written", "vanished"])
def test_a_start_on_a_broken_folder_is_refused_and_loses_nothing(
    make_rig: MakeRig, fault: str
) -> None:
    rig = make_rig(book("approve"), settings=_OFTEN)
    folder = rig.daemon.folder / "runbooks"
    text = (folder / "runbook.yaml").read_text()
    run_id = _asks(rig, "before")
    FAULTS[fault](folder)
    rig.daemon.kill()
    with pytest.raises(ServerFailed):
        rig.daemon.start()
    assert f"{folder}" in rig.daemon.log_tail(3)
    assert "Traceback" not in rig.daemon.log_tail()
    _mend(folder, text)
    rig.daemon.start()
    _approve(rig, run_id)
    assert rig.ledger() == ["do before"]
    rig.check_whole()
