"""For the tests of plugins, and for our own: a clock moved by hand, and a daemon in the process.

`ManualClock` stands still until a test moves it. `AlertBoard` answers what an Alertmanager would.
`InProcessDaemon` is the real engine over a real SQLite journal, in a file or in memory, without
HTTP: nothing in it is replaced but the time and the alert's signal, and nothing sleeps. Free of
pytest, so that a plugin's author may use whatever they like. Called by tests, and by `rehearsal`.
"""

from remediator.testing.alerts import AlertBoard
from remediator.testing.clock import START, ManualClock
from remediator.testing.daemon import InProcessDaemon, Setup

__all__ = ["START", "AlertBoard", "InProcessDaemon", "ManualClock", "Setup"]
