"""A folder loads whole or not at all; names are unique; changes are noticed, ConfigMaps too."""

from pathlib import Path

import pytest

from remediator.cli import checking
from remediator.plugin.registry import Registry
from remediator.runbook.store import RunbookErrors, Watcher, load_folder

GOOD = """\
name: {name}
description: A runbook.
match: ['alertname="X"']
steps: [{{id: a, action: http.check, with: {{url: "http://x"}}}}]
"""


def test_shipped_runbooks_load_and_are_clean(registry: Registry) -> None:
    loaded = load_folder([Path("runbooks")], registry).runbooks
    assert len(loaded) >= 30
    found = checking.check(checking.Wanted([Path("runbooks")]), registry).findings
    assert [str(finding) for finding in found] == []
    assert {str(r.mode) for r in loaded} <= {"observe", "approve"}, "conservative by default"
    assert all(r.docs and r.owner for r in loaded)


def test_every_document_and_folder_is_read_and_tests_are_passed_over(
    tmp_path: Path, registry: Registry
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.yaml").write_text(GOOD.format(name="a") + "---\n" + GOOD.format(name="b"))
    (tmp_path / "sub" / "c.yml").write_text(GOOD.format(name="c"))
    (tmp_path / "a.test.yaml").write_text("not: a runbook")
    (tmp_path / ".hidden.yaml").write_text("not: a runbook")
    loaded = load_folder([tmp_path], registry).runbooks
    assert [r.name for r in loaded] == ["a", "b", "c"]
    assert loaded[0].version != loaded[1].version
    assert loaded[1].line == 6


def test_what_is_plainly_something_else_is_passed_over(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.format(name="a"))
    (tmp_path / "rules.yaml").write_text("groups: [{name: g, rules: []}]\n")
    (tmp_path / "shop.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
    assert [r.name for r in load_folder([tmp_path], registry).runbooks] == ["a"]
    (tmp_path / "broken.yaml").write_text("nme: a\n")
    with pytest.raises(RunbookErrors, match="nme"):
        load_folder([tmp_path], registry)


def test_one_bad_file_refuses_the_set_and_every_fault_is_told(
    tmp_path: Path, registry: Registry
) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.format(name="a"))
    (tmp_path / "b.yaml").write_text("name: 5\n")
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunbookErrors) as caught:
        load_folder([tmp_path, tmp_path / "nowhere"], registry)
    told = {Path(f.file).name: f.code for f in caught.value.findings}
    assert set(told) == {"b.yaml", "c.yaml", "nowhere"}


def test_two_runbooks_of_one_name_are_both_named(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.format(name="same"))
    (tmp_path / "b.yaml").write_text(GOOD.format(name="same"))
    with pytest.raises(RunbookErrors, match=r"b\.yaml:1:1.*taken by .*a\.yaml:1"):
        load_folder([tmp_path], registry)


def test_the_version_is_the_contents(tmp_path: Path, registry: Registry) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(GOOD.format(name="a"))
    before = load_folder([tmp_path], registry).runbooks[0].version
    file.write_text("# a comment\n" + GOOD.format(name="a"))
    assert load_folder([tmp_path], registry).runbooks[0].version == before
    file.write_text(GOOD.format(name="a").replace("http://x", "http://y"))
    assert load_folder([tmp_path], registry).runbooks[0].version != before


def test_changes_are_noticed(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(GOOD.format(name="a"))
    watcher = Watcher([tmp_path])
    assert not watcher.changed()
    file.write_text(GOOD.format(name="ab"))
    assert watcher.changed()
    assert not watcher.changed()
    (tmp_path / "b.yaml").write_text(GOOD.format(name="b"))
    assert watcher.changed()
    file.chmod(0o600)
    assert watcher.changed(), "what could not be read may be readable now"
    file.unlink()
    assert watcher.changed()


def test_a_swapped_config_map_is_noticed_and_read_once(tmp_path: Path, registry: Registry) -> None:
    """The kubelet writes a new folder and swaps the link `..data`; files are links through it."""
    for number in (1, 2):
        folder = tmp_path / f"..2026_{number}"
        folder.mkdir()
        (folder / "a.yaml").write_text(GOOD.format(name=f"a{number}"))
    (tmp_path / "..data").symlink_to("..2026_1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    watcher = Watcher([tmp_path])
    assert [r.name for r in load_folder([tmp_path], registry).runbooks] == ["a1"]
    (tmp_path / "..new").symlink_to("..2026_2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert watcher.changed()
    assert [r.name for r in load_folder([tmp_path], registry).runbooks] == ["a2"]


def test_links_to_folders_are_followed_and_circles_end(tmp_path: Path, registry: Registry) -> None:
    """A mounted ConfigMap with `items.path: shop/a.yaml` is such a link."""
    data = tmp_path / "..2026" / "shop"
    data.mkdir(parents=True)
    (data / "a.yaml").write_text(GOOD.format(name="a"))
    (data / "again").symlink_to(data)
    (tmp_path / "shop").symlink_to(data)
    assert [r.name for r in load_folder([tmp_path], registry).runbooks] == ["a"]
