"""Rules on commands that are started: nothing that an alert says may become a program or a script.

Commands are lists of arguments and no shell sees them, so a value stays one argument; but a program
may take an argument for a script of its own.
"""

import re
from collections.abc import Iterator, Sequence

from remediator.runbook.findings import Finding, Severity
from remediator.runbook.lint.subject import Part, expressions_in
from remediator.runbook.runbook import CompiledStep, Frame

_COMMANDS = ("command", "check", "undo", "settle")
_SHELLS = frozenset({"sh", "ash", "bash", "dash", "ksh", "zsh", "fish", "pwsh", "busybox"})
# Interpreters, and the options after which a script stands.
_SCRIPTS = {
    **dict.fromkeys(_SHELLS, r"-[a-z]*c|-Command"),
    **dict.fromkeys(("python", "python3"), r"-[A-Za-z]*c"),
    **dict.fromkeys(("perl", "ruby"), r"-[A-Za-z]*[eE]"),
    "node": r"-e|--eval|-p|--print",
    "php": r"-r",
    "psql": r"-c|--command|--command=.*",
    "mysql": r"-e|--execute|--execute=.*",
    "redis-cli": r"--eval",
}
# What takes another command as its arguments; the program behind them is looked at, too.
_BEFORE = frozenset({"env", "sudo", "nice", "timeout", "nsenter", "chroot", "xargs", "setsid"})
# Common programs that take -- for the end of their options.
_KNOW_DASHES = frozenset(
    {
        "chgrp",
        "chmod",
        "chown",
        "cp",
        "docker",
        "find",
        "git",
        "grep",
        "helm",
        "journalctl",
        "kill",
        "kubectl",
        "ln",
        "ls",
        "mv",
        "nerdctl",
        "podman",
        "rm",
        "rsync",
        "service",
        "sudo",
        "systemctl",
        "tar",
        "touch",
    }
)


def templated_program(subject: Part) -> Iterator[Finding]:
    """The alert chooses which program is started."""
    for step, name, command in _commands(subject):
        if _says(command[0], step.frame):
            yield subject.of_step(
                step,
                ("with", name, 0),
                "templated-program",
                "the alert chooses which program is started",
                "write the program out, and give the value as an argument",
            )


def templated_script(subject: Part) -> Iterator[Finding]:
    """An interpreter would run what the alert says."""
    for step, name, command in _commands(subject):
        for number in _scripts(command):
            if _says(command[number], step.frame):
                yield subject.of_step(
                    step,
                    ("with", name, number),
                    "templated-script",
                    "the alert writes the script that a shell or another interpreter runs",
                    'pass the value after the script, and read it there as "$1"',
                )


def templated_option(subject: Part) -> Iterator[Finding]:
    """A value that begins with a dash would be taken for an option."""
    for step, name, command in _commands(subject):
        for number, argument in enumerate(command[1:], start=1):
            program = str(command[0]).rpartition("/")[2]
            if program not in _KNOW_DASHES or "--" in command[1:number]:
                break
            if not _may_be_option(argument) or not _says(argument, step.frame):
                continue
            before = command[number - 1]
            if number > 1 and isinstance(before, str) and before.startswith("-"):
                continue  # the value of the option before it
            yield subject.of_step(
                step,
                ("with", name, number),
                "templated-option",
                "a value that begins with a dash would be taken for an option",
                "put -- before it",
                severity=Severity.INFO,
            )
            break


def _says(value: object, frame: Frame) -> bool:
    """Whether what stands there is what an alert says, and not what authors and operators wrote."""
    for expression in expressions_in(value):
        for name in expression.names:
            head, _, rest = name.partition(".")
            if head == "vars":
                if _says(frame.vars.get(rest), frame):
                    return True
            elif head == "params":
                # A runbook's own come from its author or a person; a fragment's from its user.
                if frame.outer is not None and _says(frame.given.get(rest), frame.outer):
                    return True
            elif head not in ("run", "now"):
                return True
    return False


def _may_be_option(argument: object) -> bool:
    first = getattr(argument, "pieces", ("x",))[:1]
    return bool(first) and not isinstance(first[0], str)


def _scripts(command: Sequence[object]) -> Iterator[int]:
    """Yield which arguments a program takes for scripts."""
    at = 0
    while at < len(command) - 1:
        program = str(command[at]).rpartition("/")[2] if isinstance(command[at], str) else ""
        options = _SCRIPTS.get(program)
        if options is not None:
            for number, argument in enumerate(command[at + 1 : -1], start=at + 1):
                if isinstance(argument, str) and re.fullmatch(options, argument):
                    yield number + 1
            return
        if program == "ssh":
            # It joins its arguments and gives them to the shell of the other machine.
            yield from range(at + 2, len(command))
            return
        if program in ("awk", "gawk", "sed") and at + 1 < len(command):
            yield at + 1
            return
        if at == 0 and program not in _BEFORE and program not in ("kubectl", "docker"):
            return
        at += 1


def _commands(subject: Part) -> Iterator[tuple[CompiledStep, str, Sequence[object]]]:
    for step in subject.steps:
        for name in _COMMANDS:
            command = step.parameters.get(name)
            if isinstance(command, list) and command:
                yield step, name, command
