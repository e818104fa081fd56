"""Checked text → `Runbook`: everything that can be known before an alert comes is checked here.

Collects every fault of a document, each with its position; nothing half-checked gets out.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from remediator.model import canonical, matchers
from remediator.model.silences import WHAT_LABELS, Silencing
from remediator.plugin.action import AnyOperation, Probe
from remediator.plugin.registry import Registry
from remediator.runbook import (
    confinement,
    document,
    expressions,
    faults,
    manifests,
    parameters,
    value_types,
)
from remediator.runbook.document import Document, Path, Reporter
from remediator.runbook.expressions import (
    BROKEN,
    Environment,
    Expression,
    ExpressionError,
    Template,
)
from remediator.runbook.findings import Finding, RunbookErrors, Severity, did_you_mean
from remediator.runbook.runbook import Compiled, CompiledStep, Runbook, Verify
from remediator.runbook.schema import RunbookSpec, StepSpec
from remediator.runbook.scope import Frame, Part

_ERROR = Severity.ERROR
_RESULT = re.compile(r"\bsteps\.`?([a-z][\w-]*)`?\.result\.\??([A-Za-z_]\w*)")


def compile_file(source: str, file: str, registry: Registry) -> tuple[Runbook, ...]:
    """Compile every runbook of a file.

    Raises:
        RunbookErrors: with every fault that was found.
    """
    findings: list[Finding] = []
    found: list[Runbook] = []
    lines = source.splitlines(keepends=True)
    documents = document.parse(source, file)
    for one in documents:
        alone = (
            source if len(documents) == 1 else "".join(lines[one.first_line - 1 : one.last_line])
        )
        try:
            found.append(_compiled(one, alone, registry))
        except RunbookErrors as error:
            findings += error.findings
    if findings:
        raise RunbookErrors(findings)
    return tuple(found)


def compile_runbook(source: str, file: str, registry: Registry) -> Runbook:
    """Compile a source that holds one runbook.

    Raises:
        RunbookErrors: with every fault that was found, or when it holds none or several.
    """
    found = compile_file(source, file, registry)
    if len(found) != 1:
        raise RunbookErrors(
            [Finding(file, 1, 1, _ERROR, "count", f"{len(found)} runbooks where one is expected")]
        )
    return found[0]


def _compiled(doc: Document, source: str, registry: Registry) -> Runbook:
    if not manifests.is_manifest(doc.value):
        return _Compiler(doc, source, registry).runbook()
    spec, home = manifests.spec_of(doc)
    return confinement.confined(_Compiler(spec, source, registry).runbook(), home)


class _Compiler(Reporter):
    def __init__(self, doc: Document, source: str, registry: Registry) -> None:
        super().__init__(doc)
        self.source = source
        self.registry = registry
        self.reads: dict[str, frozenset[str]] = {}  # what each of the vars reads, all the way
        self.outputs: dict[str, Mapping[str, str]] = {}  # of earlier probes that declare them

    def runbook(self) -> Runbook:
        spec = self._validate()
        alert_env = Environment()
        lines = [self._matchers(("match", i), text) for i, text in enumerate(spec.match)]
        condition = self._condition(("if",), spec.if_, alert_env)
        for name in sorted(condition.names & {"run.id", "run.name"} if condition else ()):
            self.fault(("if",), "expression", f"{name} is not known before a run begins")
        variables, extra = self._vars(spec.vars)
        frame = Frame(vars=variables)
        steps = self._steps(spec, extra, frame)
        verify = self._verify(spec, extra, steps, frame)
        self._escalation(spec)
        silence = self._silence(spec)
        if self.findings:
            raise RunbookErrors(self.findings)
        positions = {
            ".".join(map(str, path)): (at.line, at.column) for path, at in self.doc.values.items()
        }
        return Runbook(
            name=spec.name,
            description=spec.description,
            owner=spec.owner,
            docs=spec.docs,
            links=dict(spec.links),
            version=canonical.digest(self.doc.value),
            source=self.source,
            file=self.doc.file,
            line=self.doc.first_line,
            matchers=tuple(lines),
            condition=condition,
            when=spec.when,
            per=spec.per,
            wait_for=spec.wait_for,
            mode=spec.mode,
            approval=spec.approval,
            limits=spec.guardrails,
            frame=frame,
            steps=tuple(steps),
            parts={"": {step.id: Part(step.id, (step.id,)) for step in steps}},
            verify=verify,
            on_failure=spec.on_failure,
            silence=silence,
            positions=positions,
            substance=_substance(self.doc.value),
        )

    # -- structure

    def _validate(self) -> RunbookSpec:
        return faults.validated(self.doc, RunbookSpec, "a runbook")

    # -- matchers, expressions, variables

    def _matchers(self, path: Path, text: str) -> tuple[matchers.Matcher, ...]:
        try:
            return matchers.parse(text)
        except matchers.MatcherError as error:
            self.fault(path, "matcher", f"matcher: {error}", offset=error.offset)
            return ()

    def _condition(self, path: Path, text: str | None, env: Environment) -> Expression | None:
        if text is None:
            return None
        try:
            compiled = env.compile(_bare(text))
        except ExpressionError as error:
            lead = len(text) - len(text.lstrip())
            self.fault(path, "expression", str(error), error.hint, error.offset + lead)
            return None
        self._check_outputs(path, text)
        if compiled.type_name not in ("BOOL", "DYN"):
            self.fault(
                path,
                "expression-type",
                f"a condition must be true or false; "
                f"this is {value_types.people(compiled.type_name)}",
            )
        return compiled

    def _template(self, path: Path, text: str, env: Environment) -> Template | str:
        if "${{" not in text:
            return text
        try:
            compiled = expressions.compile_template(text, env)
            self._check_outputs(path, text)
            return compiled
        except ExpressionError as error:
            self.fault(path, "expression", str(error), error.hint, error.offset)
            return BROKEN  # said once; nothing more is checked about this value

    def _check_outputs(self, path: Path, text: str) -> None:
        for found in _RESULT.finditer(text):
            known = self.outputs.get(found[1])
            if known and found[2] not in known:
                message = f'the result of "{found[1]}" has no "{found[2]}"'
                hint = did_you_mean(found[2], known) or f"it has {', '.join(known)}"
                self.fault(path, "expression", message, hint, found.start(2))

    def _all_read(self, names: frozenset[str]) -> frozenset[str]:
        return names.union(*(self.reads.get(name, ()) for name in names))

    def _compiled(self, path: Path, value: Any, env: Environment) -> Compiled:
        if isinstance(value, str):
            return self._template(path, value, env)
        if isinstance(value, Mapping):
            return {k: self._compiled((*path, k), inner, env) for k, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._compiled((*path, i), inner, env) for i, inner in enumerate(value)]
        return value

    def _vars(self, given: Mapping[str, Any]) -> tuple[dict[str, Compiled], dict[str, Any]]:
        extra: dict[str, Any] = {}
        compiled: dict[str, Compiled] = {}
        for name, value in given.items():
            one = self._compiled(("vars", name), value, Environment(extra))
            compiled[name] = one
            self.reads[f"vars.{name}"] = self._all_read(_names(one))
            extra[f"vars.{name}"] = expressions.type_of(_type_of(one))
        return compiled, extra

    def _escalation(self, spec: RunbookSpec) -> None:
        known = self.registry.notifiers
        for number, call in enumerate(spec.on_failure.escalate):
            for name in call.to:
                # `webhook:ops` is one of several destinations; the settings say which there are.
                if known and name.partition(":")[0] not in known:
                    at: Path = ("on_failure", "escalate", number)
                    text = f'unknown notifier "{name}"'
                    self.fault(at, "unknown-notifier", text, did_you_mean(name, known))

    def _silence(self, spec: RunbookSpec) -> Silencing | None:
        given = spec.silence
        if given is None:
            return None
        if set(given.equal) <= WHAT_LABELS:
            text = "alertname and severity say what is wrong, not where: name a label of the place"
            self.fault(("silence", "equal"), "wide-silence", text, "namespace, instance, cluster")
        lines = []
        for number, text in enumerate(given.match):
            path: Path = ("silence", "match", number)
            line = self._matchers(path, text)
            if line and all(matcher.matches({}) for matcher in line):
                self.fault(path, "wide-silence", "one matcher at least must not match empty values")
            for name in sorted({matcher.name for matcher in line} & set(given.equal)):
                self.fault(path, "silence", f"{name} is in equal: it gets the alert's own value")
            lines.append(line)
        return Silencing(tuple(lines), given.equal, given.for_)

    def checked(
        self, path: Path, given: Mapping[str, Any], operation: AnyOperation, env: Environment
    ) -> dict[str, Compiled]:
        """Compile an operation's parameters and check them against its model."""
        compiled = self._compiled(path, dict(given), env)
        assert isinstance(compiled, dict)  # noqa: S101 - a mapping stays one
        parameters.check(self, path, given, compiled, operation)
        return compiled

    # -- steps

    def _steps(self, spec: RunbookSpec, extra: dict[str, Any], frame: Frame) -> list[CompiledStep]:
        steps: list[CompiledStep] = []
        known = dict(extra)
        seen: set[str] = set()
        for number, one in enumerate(spec.steps):
            if one.id in seen:
                self.fault(
                    ("steps", number, "id"), "duplicate-step", f'two steps are called "{one.id}"'
                )
            path: Path = ("steps", number)
            step = self._step(path, number, one, Environment(known), seen)
            if step is not None:
                steps.append(replace(step, frame=frame))
            seen.add(one.id)
            known.update(_results(one.id))
            if step is not None and isinstance(step.operation, Probe):
                self.outputs[one.id] = step.operation.Output
        return steps

    def _step(
        self, path: Path, number: int, spec: StepSpec, env: Environment, earlier: set[str]
    ) -> CompiledStep | None:
        operation = self._operation((*path, "action"), spec.action)
        condition = self._condition((*path, "if"), spec.if_, env)
        if operation is None:
            return None
        parameters = self.checked((*path, "with"), spec.with_, operation, env)
        read = _names(parameters) | (condition.names if condition else frozenset())
        where = self.doc.at(path)
        return CompiledStep(
            id=spec.id,
            sequence=number,
            operation=operation,
            parameters=parameters,
            condition=condition,
            is_rung=condition is not None
            and not self._all_read(condition.names).isdisjoint(expressions.ALERT_STATE),
            needs=frozenset(s for s in earlier if any(n.startswith(f"steps.{s}.") for n in read)),
            timeout=spec.timeout,
            retry_attempts=spec.retry.attempts,
            backoff=spec.retry.backoff,
            where=f"{self.doc.file}:{where.line}:{where.column}",
        )

    def _operation(self, path: Path, name: str) -> AnyOperation | None:
        operation = self.registry.operations.get(name)
        if operation is None:
            hint = did_you_mean(name, self.registry.operations)
            self.fault(path, "unknown-action", f'unknown action "{name}"', hint)
        return operation

    def _verify(
        self, spec: RunbookSpec, extra: dict[str, Any], steps: list[CompiledStep], frame: Frame
    ) -> Verify | None:
        given = spec.verify
        if given is None:
            return None
        if given.action is None:
            assert given.resolved_within is not None  # noqa: S101 - the model checks it
            return Verify(given.resolved_within, given.every, None)
        operation = self._operation(("verify", "action"), given.action)
        if operation is None:
            return None
        if not isinstance(operation, Probe):
            text = f"{given.action} changes something; verify needs a probe, which only reads"
            self.fault(("verify", "action"), "not-a-probe", text)
            return None
        known = dict(extra)
        for step in steps:
            known.update(_results(step.id))
        parameters = self.checked(("verify", "with"), given.with_, operation, Environment(known))
        assert given.within is not None  # noqa: S101 - the model checks it
        where = self.doc.at(("verify",))
        probe = CompiledStep(
            id="verify",
            sequence=len(steps),
            operation=operation,
            parameters=parameters,
            condition=None,
            is_rung=False,
            needs=frozenset(),
            timeout=given.within,
            retry_attempts=1,
            backoff=given.within,
            frame=frame,
            where=f"{self.doc.file}:{where.line}:{where.column}",
        )
        return Verify(given.within, given.every, probe)


# What a change of does not change what the runbook does: the policy, people and readers see it.
_NOT_SUBSTANCE = frozenset(
    {"name", "description", "owner", "docs", "links", "mode", "approval", "guardrails"}
)


def _substance(given: Mapping[str, Any]) -> str:
    """Return the digest by which evidence about a runbook is kept (`model.evidence`)."""
    kept = {key: value for key, value in given.items() if key not in _NOT_SUBSTANCE}
    if isinstance(failure := kept.pop("on_failure", None), dict):
        undo = {k: v for k, v in failure.items() if k != "escalate"}
        kept |= {"on_failure": undo} if undo else {}
    return canonical.digest(kept)


def _results(step_id: str) -> dict[str, Any]:
    return {
        f"steps.{step_id}.result": expressions.type_of("DYN"),
        f"steps.{step_id}.plan": expressions.type_of("DYN"),
        f"steps.{step_id}.ok": expressions.type_of("BOOL"),
    }


def _names(value: Compiled) -> frozenset[str]:
    if isinstance(value, Template):
        return value.names
    if isinstance(value, Mapping):
        return frozenset().union(*map(_names, value.values()))
    if isinstance(value, list):
        return frozenset().union(*map(_names, value))
    return frozenset()


def _type_of(value: Compiled) -> str:
    if isinstance(value, Template):
        return value.sole.type_name if value.sole else "STRING"
    kinds = {bool: "BOOL", int: "INT", float: "DOUBLE", str: "STRING"}
    return kinds.get(type(value), "DYN")


def _bare(text: str) -> str:
    """Return a condition without `${{ }}` around it, which authors of other systems write."""
    stripped = text.strip()
    if stripped.startswith("${{") and stripped.endswith("}}"):
        return stripped[3:-2].strip()
    return stripped
