"""The tests of tests/actions/kubernetes/test_contract.py, against the simulation."""

from tests.actions.kubernetes.test_contract import *  # noqa: F403 - the tests themselves
