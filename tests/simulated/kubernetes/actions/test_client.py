"""Those tests of the client that need an API server and no connection, against the simulation."""

from tests.actions.kubernetes.test_client import (
    test_a_list_is_read_page_by_page,
    test_a_name_that_is_missing_is_met_with_what_is_there,
    test_a_stale_version_is_a_conflict,
)

__all__ = [
    "test_a_list_is_read_page_by_page",
    "test_a_name_that_is_missing_is_met_with_what_is_there",
    "test_a_stale_version_is_a_conflict",
]
