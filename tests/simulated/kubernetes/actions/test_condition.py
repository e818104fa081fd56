"""The tests of tests/actions/kubernetes/test_condition.py, against the simulation."""

from tests.actions.kubernetes.test_condition import *  # noqa: F403 - the tests themselves
