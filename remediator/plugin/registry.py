"""Finds plugins: every module below the given packages, and entry points of other distributions.

A new action is a new file; nothing lists it. Two plugins of one name are an error that names both.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from types import ModuleType
from typing import TypeVar

from remediator.plugin.action import Action, AnyOperation, Probe
from remediator.plugin.notifier import Notifier
from remediator.plugin.source import Source

Named = TypeVar("Named", AnyOperation, Source, Notifier)

ENTRY_POINT_GROUP = "remediator.plugins"
BUILT_IN = ("remediator.actions", "remediator.sources", "remediator.notify")


class DuplicatePlugin(Exception):
    """Two classes claim one name."""


@dataclass(frozen=True, slots=True)
class Registry:
    """All plugins by name."""

    operations: Mapping[str, AnyOperation]
    sources: Mapping[str, Source]
    notifiers: Mapping[str, Notifier]


def load(packages: Iterable[str] = BUILT_IN, *, third_party: bool = True) -> Registry:
    """Import every plugin module and make one instance of every plugin class in it.

    Args:
        packages: names of packages whose modules are scanned, all the way down.
        third_party: whether entry points of the group `remediator.plugins` are loaded as well.

    Raises:
        DuplicatePlugin: two classes claim one name.
        ImportError: a module does not import; a daemon with half of its actions must not start.
    """
    operations: dict[str, AnyOperation] = {}
    sources: dict[str, Source] = {}
    notifiers: dict[str, Notifier] = {}
    for plugin in _plugins(packages, third_party):
        instance = plugin()
        if isinstance(instance, Action | Probe):
            _add(operations, instance)
        elif isinstance(instance, Source):
            _add(sources, instance)
        elif isinstance(instance, Notifier):
            _add(notifiers, instance)
    return Registry(operations, sources, notifiers)


def _add(known: dict[str, Named], instance: Named) -> None:
    name = instance.name
    if name in known and type(known[name]) is not type(instance):
        raise DuplicatePlugin(
            f"{type(known[name]).__module__} and {type(instance).__module__} "
            f"both define the plugin {name}"
        )
    known[name] = instance


def _plugins(packages: Iterable[str], third_party: bool) -> Iterator[type]:
    for module in _modules(packages):
        for _, found in inspect.getmembers(module, inspect.isclass):
            if found.__module__ == module.__name__ and _is_plugin(found):
                yield found
    if third_party:
        for point in entry_points(group=ENTRY_POINT_GROUP):
            found = point.load()
            if not (inspect.isclass(found) and _is_plugin(found)):
                raise ImportError(f"the entry point {point.name} is no plugin class: {found!r}")
            yield found


def _is_plugin(found: type) -> bool:
    return (
        issubclass(found, Action | Probe | Source | Notifier)
        and not inspect.isabstract(found)
        and isinstance(getattr(found, "name", None), str)
    )


def _modules(packages: Iterable[str]) -> Iterator[ModuleType]:
    for name in packages:
        package = importlib.import_module(name)
        yield package
        for info in pkgutil.walk_packages(package.__path__, f"{name}."):
            yield importlib.import_module(info.name)
