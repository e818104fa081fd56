"""The tests of tests/actions/kubernetes/test_scale.py, against the simulation.

But for those of what it does not simulate: managed fields, and policies of admission.
"""

from tests.actions.kubernetes.test_scale import *  # noqa: F403 - the tests themselves

del test_our_writes_bear_our_name  # noqa: F821
del test_a_policy_of_the_cluster_refuses_at_plan_time  # noqa: F821
