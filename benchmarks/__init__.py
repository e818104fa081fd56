"""What remediator costs, measured: `make bench`, or `python -m benchmarks.run --only NAME`.

`run` is the command and `table` lists the rows; a row is a function in a module named after what
it measures (`webhook`, `matching`, `runs`, `waiting`, `size`, `idle`). Under them: `traffic` makes
alerts and runbooks, `load` sends them from a process of its own, `baselines` are the servers that
the daemon is compared with, `daemon` starts `remediator serve`, `noop` is the action that changes
nothing. `report` and `svg` write what was found. `soak` runs the daemon for half an hour and looks
whether anything grows.
"""
