"""Proves of the simulated world: what real clients and actions see of it, and, by the real servers
as oracles, that it is as theirs."""
