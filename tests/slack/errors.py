"""What the Web API answers when it says no."""

from typing import Any


class ApiError(Exception):
    """An answer `ok: false`."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code)
        self.body = {"ok": False, "error": code, **more}
