"""The tests of tests/actions/kubernetes/test_delete_pod.py, against the simulation."""

from tests.actions.kubernetes.test_delete_pod import *  # noqa: F403 - the tests themselves
