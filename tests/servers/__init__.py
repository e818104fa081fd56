"""Real servers for the tests: found, started by hand on loopback ports, and stopped by process id.

Read in this order: `binaries` (where a server's program comes from), `install` (how a fresh
machine gets it), `process` (one child process), then one module for each kind of server, and
`fixtures` (what a test asks pytest for).
"""
