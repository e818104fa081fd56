"""What this folder's tests ask pytest for."""

from tests.crash.fixtures import make_rig

__all__ = ["make_rig"]
