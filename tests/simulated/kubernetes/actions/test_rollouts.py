"""The tests of tests/actions/kubernetes/test_rollouts.py, against the simulation.

But for that of what it does not simulate: policies of admission.
"""

from tests.actions.kubernetes.test_rollouts import *  # noqa: F403 - the tests themselves

del test_what_admission_adds_to_a_restart_is_part_of_it  # noqa: F821
