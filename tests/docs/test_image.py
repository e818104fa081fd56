"""Proves, without an engine, that the image's build finds what it copies and installs only what is
pinned by hash, and that CI runs actions by commit."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def _copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_what_is_copied_is_there_and_sent_to_the_builder() -> None:
    sent = [
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    assert _copied()
    for source in _copied():
        assert (ROOT / source).exists(), source
        assert source.removeprefix("./") in sent, source


@pytest.mark.parametrize("lock", ["requirements.lock", ".ci/build-requirements.lock"])
def test_every_requirement_is_pinned_with_its_hashes(lock: str) -> None:
    assert f"COPY {lock}" in DOCKERFILE
    joined = (ROOT / lock).read_text().replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip() and line.strip()[0] != "#"]
    assert lines
    for line in lines:
        assert re.match(r"[A-Za-z0-9._-]+(\[[^]]+\])?==\S+", line), line
        assert "--hash=sha256:" in line, line


def test_nothing_runs_as_root_and_the_base_is_one_patch_release() -> None:
    assert re.search(r"^USER 65532:65532$", DOCKERFILE, re.MULTILINE)
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert DOCKERFILE.count("FROM python:${PYTHON}${DIGEST}") == 2


def test_actions_are_pinned_by_commit() -> None:
    for workflow in ROOT.glob(".github/workflows/*.yml"):
        used = re.findall(r"uses: (\S+)", workflow.read_text())
        assert used
        for action in used:
            if action == "./":
                continue  # our own, of the same commit
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
