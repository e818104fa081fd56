"""kubernetes-asyncio without its generated models: configuration, authentication and transport.

`import kubernetes_asyncio` loads over a thousand model classes: 2.5 s and 74 MB on this project's
test machine, against 0.3 s and 2 MB for what is used here. Its two top packages import everything
by their `__init__`, so they are stood in for by empty packages while the few modules are imported;
then `sys.modules` is put back, and a plugin of a stranger that imports kubernetes_asyncio gets all
of it. If a later version is laid out otherwise, the ordinary import is used.

Called by `connection` alone. Blocks while it imports: call it in a thread.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

_TOP = "kubernetes_asyncio"
_CLIENT = f"{_TOP}.client"


@dataclass(frozen=True, slots=True)
class Sdk:
    """The parts of kubernetes-asyncio that are used; it is untyped, and stops being so here."""

    Configuration: Any
    RESTClientObject: Any
    load_kube_config: Any
    load_incluster_config: Any


@cache
def load() -> Sdk:
    """Import the parts, once."""
    if _TOP in sys.modules:
        return _parts()
    try:
        with _without_models():
            return _parts()
    except (ImportError, AttributeError):
        return _parts()


def _parts() -> Sdk:
    configuration = importlib.import_module(f"{_CLIENT}.configuration").Configuration
    client = sys.modules[_CLIENT]
    if not hasattr(client, "Configuration"):
        # What the configuration loaders import from the package itself. ApiClient is only named
        # by functions that are not called here.
        client.__dict__.update(Configuration=configuration, ApiClient=object)
    return Sdk(
        Configuration=configuration,
        RESTClientObject=importlib.import_module(f"{_CLIENT}.rest").RESTClientObject,
        load_kube_config=importlib.import_module(f"{_TOP}.config.kube_config").load_kube_config,
        load_incluster_config=importlib.import_module(
            f"{_TOP}.config.incluster_config"
        ).load_incluster_config,
    )


@contextmanager
def _without_models() -> Iterator[None]:
    """Stand in for the two packages that import everything; forget all of it at the end."""
    top = _hollow(_TOP, None)
    _hollow(_CLIENT, list(top.__path__))
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == _TOP]:
            del sys.modules[name]


def _hollow(name: str, path: list[str] | None) -> ModuleType:
    spec = importlib.machinery.PathFinder.find_spec(name, path)
    if spec is None:
        raise ImportError(f"{name} is not installed")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    return module
