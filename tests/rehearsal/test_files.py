"""A test file's faults are told where they stand, with the nearest right name."""

import pytest

from remediator.rehearsal import files
from tests.rehearsal.stage import REGISTRY, SHOP, Stage, faults

NAMED = "tests: [{name: a, expect: [{at: 1m, %s}]}]"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "tests: [{name: a, expects: [], expect: [{at: 1m}]}]",
            '1:19: error: unknown key "expects"; did you mean "expect"? [unknown-key]',
        ),
        (
            NAMED % "runs: [{sate: failed}]",
            '1:45: error: unknown key "sate"; did you mean "state"? [unknown-key]',
        ),
        (
            NAMED % "runs: [{runbook: shp}]",
            '1:54: error: there is no runbook "shp"; did you mean "shop"? [unknown-runbook]',
        ),
        (
            NAMED % "runs: [{steps: {restrt: done}}]",
            '1:53: error: there is no step "restrt"; did you mean "restart"? [unknown-step]',
        ),
        (
            "tests: [{name: a, timeline: [{approve: {by: x, run: shp}}], expect: [{at: 1m}]}]",
            '1:53: error: there is no runbook "shp"; did you mean "shop"? [unknown-runbook]',
        ),
        (
            "tests:\n- name: a\n  timeline: [{at: 1m, restart: true}, {at: 0s, restart: true}]\n"
            "  expect: [{at: 1m}]",
            "2:3: error: tests.0: timeline: write it in the order of time [invalid]",
        ),
        (
            "tests: [{name: a, timeline: [{at: 1m}], expect: [{at: 1m}]}]",
            "none stands here [invalid]",
        ),
        (
            "tests: [{name: a, timeline: [{firing: {a: b}, restart: true}], expect: [{at: 1m}]}]",
            "firing and restart stand together [invalid]",
        ),
        (
            "tests: [{name: a, expect: [{at: 1 minute}]}]",
            "1:33: error: tests.0.expect.0.at: '1 minute' is no duration; write a number and a"
            " unit, like 90s, 15m or 1h30m [invalid]",
        ),
        (
            "tests: [{name: a, expect: [{at: 1m}]}, {name: a, expect: [{at: 1m}]}]",
            "two tests are called 'a' [invalid]",
        ),
        (
            NAMED % 'messages: ["/(/"]',
            "/(/ is no regular expression: ",
        ),
        (
            NAMED % "absent: [web-1]",
            "'web-1' names no object; write kind/namespace/name, like pod/shop/web-1",
        ),
        (
            "runbooks: [shp.yaml]\n" + NAMED % "runs: []",
            "1:12: error: there is no runbook file shp.yaml beside this test; did you mean"
            ' "shop.yaml"? [missing]',
        ),
        (
            "policy_file: strict.yaml\n" + NAMED % "runs: []",
            "1:14: error: there is no policy file strict.yaml in ",
        ),
        (
            "policy: {coldown: 1m}\n" + NAMED % "runs: []",
            '1:10: error: unknown key "coldown"; did you mean "cooldown"? [unknown-key]',
        ),
        (
            "groups: {ser: [alice]}\n" + NAMED % "runs: []",
            '1:1: error: shop asks "sre", whom groups do not know; did you mean "ser"?'
            " [unknown-approver]",
        ),
        (
            "world: {files: [cluster.yaml]}\n" + NAMED % "runs: []",
            "1:16: error: there is no file cluster.yaml in ",
        ),
        (
            "world: {kubernetes: [{kind: Pod}]}\n" + NAMED % "runs: []",
            "1:22: error: world.kubernetes.0: a Kubernetes object needs apiVersion [invalid]",
        ),
        (
            "tests: [{name: a, timeline: [{notification: x.json}], expect: [{at: 1m}]}]",
            "1:45: error: x.json cannot be read: No such file or directory [missing]",
        ),
        (
            "tests: [{name: a, timeline: [{notification: {alerts: 1}}], expect: [{at: 1m}]}]",
            "1:45: error: the notification is no notification: ",
        ),
        ("", "1:1: error: 0 documents where one runbook test is expected [count]"),
        ("[]", "1:1: error: a runbook test is a mapping of keys [structure]"),
    ],
)
def test_a_fault_is_told_where_it_stands(stage: Stage, text: str, fault: str) -> None:
    found = faults(stage.play(text, world=""))
    assert [fault in one for one in found] == [True], found
    assert found[0].startswith("shop.test.yaml:")


def test_every_fault_is_told_at_once(stage: Stage) -> None:
    found = faults(
        stage.play(
            """
tests:
  - name: a
    timeline:
      - {notification: x.json}
      - {world: {files: [y.yaml]}}
      - {run: {runbook: shp}}
    expect:
      - {at: 1m, runs: [{runbook: sop}]}
""",
            world="",
        )
    )
    assert len(found) == 4


def test_a_fault_of_the_runbook_is_the_runbooks(stage: Stage) -> None:
    broken = SHOP.replace("http.check", "http.chek")
    (found,) = faults(stage.play(NAMED % "runs: []", runbook=broken))
    assert found.startswith("shop.yaml:9:13: error: ")


def test_worlds_come_from_files_and_from_manifests(stage: Stage) -> None:
    stage.write(
        "cluster.yaml",
        """
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: shop}
data: {key: from the file}
---
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: shop}}
""",
    )
    stage.write("more.world.yaml", "files: [cluster.yaml]\nhttp: [{request: GET http://a.b/}]\n")
    stage.write("shop.yaml", SHOP)
    path = stage.write(
        "shop.test.yaml",
        """
world:
  files: [more.world.yaml]
  kubernetes:
    - {apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}, data: {key: mine}}
tests:
  - name: a
    world: {http: [{request: GET http://c.d/}]}
    expect: [{at: 1m}]
""",
    )
    world = files.load(path, REGISTRY).cases[0].world
    assert [(one["metadata"]["name"], one.get("data")) for one in world.kubernetes] == [
        ("a", {"key": "mine"}),
        ("b", None),
    ]
    assert [one.request for one in world.http] == ["GET http://a.b/", "GET http://c.d/"]


def test_a_fault_in_a_worlds_file_is_told_there(stage: Stage) -> None:
    stage.write("a.world.yaml", "files: [b.yaml]\n")
    stage.write("b.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {}\n")
    found = faults(stage.play("world: {files: [a.world.yaml]}\n" + NAMED % "runs: []", world=""))
    assert found == [
        "b.yaml:1:1: error: objects.0: a Kubernetes object needs metadata.name [invalid]"
    ]


def test_worlds_that_name_each_other_end(stage: Stage) -> None:
    stage.write("a.world.yaml", "files: [a.world.yaml]\n")
    (found,) = faults(stage.play("world: {files: [a.world.yaml]}\n" + NAMED % "runs: []", world=""))
    assert "files name files in a circle" in found


def test_the_tests_of_a_folder_are_found_and_hidden_ones_passed_over(stage: Stage) -> None:
    for name in ("a.yaml", "a.test.yaml", "b.yml", "b.test.yml", "c.yaml"):
        stage.write(name, "")
    hidden = stage.folder / ".hidden"
    hidden.mkdir()
    (hidden / "d.test.yaml").write_text("")
    tests, runbooks = files.find([stage.folder])
    assert [path.name for path in tests] == ["a.test.yaml", "b.test.yml"]
    assert [path.name for path in runbooks] == ["a.yaml", "b.yml", "c.yaml"]
    tests, runbooks = files.find([stage.folder / "a.yaml", stage.folder / "b.test.yml"])
    assert [path.name for path in tests] == ["a.test.yaml", "b.test.yml"]
    assert [path.name for path in runbooks] == ["a.yaml"]
