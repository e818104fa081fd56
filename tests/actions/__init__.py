"""Actions, each by the contract suite and against the real system."""

import pytest

# So that a failed assertion of the inherited suite shows its values.
pytest.register_assert_rewrite("tests.actions.contract")
