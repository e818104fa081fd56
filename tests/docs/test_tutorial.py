"""The tutorial, followed as it is written: files as shown, commands in order, output as told."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/tutorial.md"
_FENCE = re.compile(r"^```(\w+)(?: \w+)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([\w./-]+\.(?:yaml|json))`")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What a clone holds that the tutorial touches, and remediator on the path."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    programs = tmp_path / ".venv/bin"
    programs.mkdir(parents=True)
    program = programs / "remediator"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m remediator "$@"\n')
    program.chmod(0o755)
    return tmp_path


def _commands(block: str) -> list[tuple[str, list[str]]]:
    """Each `$ …` with what the page shows below it; of a here-document, all of it."""
    found: list[tuple[str, list[str]]] = []
    inside = ""
    for line in block.splitlines():
        if inside:
            found[-1] = (f"{found[-1][0]}\n{line}", [])
            inside = "" if line == inside else inside
        elif line.startswith("$ "):
            found.append((line[2:], []))
            here = re.search(r"<<'(\w+)'$", line)
            inside = here.group(1) if here else ""
        elif line.strip():
            found[-1][1].append(line)
    return found


def _follow(clone: Path, command: str, shown: list[str]) -> None:
    path = f"{clone / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith("REMEDIATOR_")}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=clone,
        env={**kept, "PATH": path, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    came = done.stdout + done.stderr
    lines = [" ".join(line.split()) for line in came.splitlines()]
    at = 0
    for line in shown:
        parts = [re.escape(part) for part in " ".join(line.split()).split("…")]
        pattern = ".*".join(parts)
        while at < len(lines) and not re.search(pattern, lines[at]):
            at += 1
        assert at < len(lines), f"$ {command}\nshows no further {line!r}:\n{came}"
        at += 1
    fails = any("error:" in line or "FAILED" in line for line in shown)
    assert done.returncode == (1 if fails else 0), f"$ {command}\n{came}"


def test_the_tutorial_is_followed_as_written(clone: Path) -> None:
    text = PAGE.read_text()
    commands = files = 0
    for fence in _FENCE.finditer(text):
        language, body = fence.groups()
        if language in ("yaml", "json"):
            named = _FILE.findall(text[: fence.start()].rstrip().rsplit("\n\n", 1)[-1])
            assert named, f"no file is named before:\n{body}"
            (clone / named[-1]).write_text(body)
            files += 1
        elif language == "console":
            for command, shown in _commands(body):
                _follow(clone, command, shown)
                commands += 1
    assert commands >= 10
    assert files >= 5


def test_the_setting_up_is_the_readmes() -> None:
    first = _FENCE.search(PAGE.read_text())
    assert first is not None
    assert f"$ {first.group(2).splitlines()[0]}\n" in (ROOT / "README.md").read_text()
