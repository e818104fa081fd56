"""Checked text → `Runbook`: everything that can be known before an alert comes is checked here.

Collects every fault of a set of documents, each with its position; nothing half-checked gets out.
What concerns a runbook as a whole is here: which alerts, verify, silence, repeat. Its steps are
`steps`, what it uses is `uses` and `flatten`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from remediator.model import canonical, matchers
from remediator.model.silences import WHAT_LABELS, Silencing
from remediator.plugin.action import Probe
from remediator.plugin.registry import Registry
from remediator.runbook import confinement, document, expressions, uses
from remediator.runbook.composed import Composed, Composing, compose
from remediator.runbook.document import Document, Path
from remediator.runbook.expressions import Expression
from remediator.runbook.findings import Finding, RunbookErrors, Severity, did_you_mean
from remediator.runbook.flatten import Flat, flatten
from remediator.runbook.runbook import (
    CompiledStep,
    Fragment,
    Repeat,
    Runbook,
    RunbookSet,
    Verify,
)
from remediator.runbook.schema import RunbookSpec
from remediator.runbook.texts import names_in
from remediator.runbook.uses import Shelf, Written


def compile_documents(
    documents: Sequence[Document], registry: Registry, *, whole: bool = True
) -> RunbookSet:
    """Compile a set of documents, which may use each other.

    Args:
        documents: as `document.parse` read them, of all files.
        whole: whether these are all; else a name that is not among them is no fault.

    Raises:
        RunbookErrors: with every fault of every document.
    """
    found, findings = compile_each(documents, registry, whole=whole)
    if findings:
        raise RunbookErrors(findings)
    return found


def compile_each(
    documents: Sequence[Document], registry: Registry, *, whole: bool = True
) -> tuple[RunbookSet, Sequence[Finding]]:
    """Compile as `compile_documents` does; return what has no fault, and every fault."""
    return _compiled(uses.shelve(documents, whole=whole), registry)


def compile_file(source: str, file: str, registry: Registry) -> tuple[Runbook, ...]:
    """Compile every runbook of a file that needs no other file.

    Raises:
        RunbookErrors: with every fault that was found.
    """
    return compile_documents(document.parse(source, file), registry).runbooks


def compile_runbook(
    source: str, file: str, registry: Registry, others: Iterable[Document] = ()
) -> Runbook:
    """Compile a source that holds one runbook, perhaps followed by documents that it uses.

    Args:
        others: what it may use besides. The runbook's own source then holds what it does use.

    Raises:
        RunbookErrors: with every fault that was found, also of what it uses, or when the source
            holds no runbook or several.
    """
    documents = document.parse(source, file)
    shelf = uses.shelve([*documents, *uses.wanted(documents, others)])
    found, findings = _compiled(shelf, registry)
    if findings:
        raise RunbookErrors(findings)
    own = shelf.written[: len(documents)]
    first = next((one for one in found.runbooks if own and one.name == own[0].name), None)
    if first is None or not set(own[1:]) <= set(shelf.used_by(own[0])):
        text = f"{len(found.runbooks)} runbooks where one is expected"
        raise RunbookErrors([Finding(file, 1, 1, Severity.ERROR, "count", text)])
    return first


def _compiled(shelf: Shelf, registry: Registry) -> tuple[RunbookSet, Sequence[Finding]]:
    """Compile all documents; what stands together with faulty ones is left out."""
    made = {one: compose(one, registry, shelf.specs_for(one)) for one in shelf.written}
    wholes = {one: _Whole(making, registry) for one, making in made.items()}
    findings = set(shelf.findings)
    for one, whole in wholes.items():
        whole.check()
        findings.update(made[one].texts.findings)
    faulty = {one for one in made if any(_is_in(finding, one) for finding in findings)}
    by_composed = {making.composed: one for one, making in made.items()}

    def find(user: Composed, name: str) -> Composed:
        used = shelf.find(name, by_composed[user])
        assert used is not None  # noqa: S101 - looked for by _complete
        return made[used].composed

    runbooks: list[Runbook] = []
    fragments: list[Fragment] = []
    for one, whole in wholes.items():
        used = shelf.used_by(one)
        if not faulty.isdisjoint((one, *used)) or not _complete(one, used, shelf):
            continue
        flat = flatten(made[one].composed, find)
        findings |= flat.findings
        if flat.findings:
            continue
        if isinstance(one.spec, RunbookSpec):
            runbooks.append(whole.runbook(one.spec, flat, used))
        else:
            fragments.append(_fragment(made[one].composed, flat, used))
    return RunbookSet(tuple(runbooks), tuple(fragments)), sorted(findings)


def _is_in(finding: Finding, one: Written) -> bool:
    within = one.doc.first_line <= finding.line <= one.doc.last_line
    return finding.file == one.doc.file and within


def _complete(one: Written, used: Sequence[Written], shelf: Shelf) -> bool:
    """Whether all that a document uses is there."""
    everything = (one, *used)
    return all(shelf.find(name, each) is not None for each in everything for _, name in each.uses())


class _Whole:
    """What concerns a document as a whole, besides its steps."""

    def __init__(self, making: Composing, registry: Registry) -> None:
        self.making = making
        self.registry = registry
        self.texts = making.texts
        self.spec = making.composed.written.spec
        self.matchers: tuple[tuple[matchers.Matcher, ...], ...] = ()
        self.condition: Expression | None = None
        self.verify: Verify | None = None
        self.silence: Silencing | None = None
        self.repeat = Repeat()

    @property
    def doc(self) -> Document:
        return self.texts.doc

    def fault(self, path: Path, code: str, message: str, hint: str = "", offset: int = 0) -> None:
        self.texts.fault(path, code, message, hint, offset)

    def check(self) -> None:
        """Compile what only a runbook has; a fragment has none of it."""
        spec = self.spec
        if not isinstance(spec, RunbookSpec):
            return
        self.matchers = tuple(
            self._matchers(("match", number), text) for number, text in enumerate(spec.match)
        )
        for name, declared in spec.parameters.items():
            if declared.required:
                text = f'no alert can start it: the parameter "{name}" has no default'
                hint = "give it one; or leave match out, and let others use it"
                self.fault(("parameters", name), "no-default", text, hint)
        self.condition = self.texts.condition(("if",), spec.if_, self.making.parameters)
        names = self.condition.names if self.condition else frozenset()
        for name in sorted(names & {"run.id", "run.name"}):
            self.fault(("if",), "expression", f"{name} is not known before a run begins")
        self.verify = self._verify(spec)
        self._escalation(spec)
        self.silence = self._silence(spec)
        self.repeat = self._repeat(spec)

    def runbook(self, spec: RunbookSpec, flat: Flat, used: Sequence[Written]) -> Runbook:
        """Return the runbook, which has no fault."""
        written = self.making.composed.written
        verify = self.verify
        if verify is not None and verify.step is not None:
            step = replace(verify.step, sequence=len(flat.steps), frame=flat.frame)
            verify = replace(verify, step=step)
        found = Runbook(
            name=spec.name,
            description=spec.description,
            owner=spec.owner,
            docs=spec.docs,
            links=dict(spec.links),
            version=_version(written, used),
            source=uses.together(written, used),
            file=self.doc.file,
            line=self.doc.first_line,
            matchers=self.matchers,
            condition=self.condition,
            when=spec.when,
            per=spec.per,
            wait_for=spec.wait_for,
            mode=spec.mode,
            approval=spec.approval,
            limits=spec.guardrails,
            frame=flat.frame,
            steps=flat.steps,
            parts=flat.parts,
            verify=verify,
            on_failure=spec.on_failure,
            silence=self.silence,
            positions=self.making.composed.positions,
            substance=_substance(written, used),
            repeat=self.repeat,
            uses=tuple(one.name for one in used),
        )
        return confinement.confined(found, written.home) if written.home else found

    def _matchers(self, path: Path, text: str) -> tuple[matchers.Matcher, ...]:
        try:
            return matchers.parse(text)
        except matchers.MatcherError as error:
            self.fault(path, "matcher", f"matcher: {error}", offset=error.offset)
            return ()

    def _repeat(self, spec: RunbookSpec) -> Repeat:
        given = spec.repeat
        if given is None:
            return Repeat()
        key = self.texts.compiled(("repeat", "key"), given.key, self.making.before)
        for name in sorted(self._all_read(names_in(key)) & _NO_KEY):
            text = f"{name} tells no runs of one thing from those of another"
            self.fault(("repeat", "key"), "expression", text)
        return Repeat(given.mode, key, given.most)

    def _all_read(self, names: frozenset[str]) -> frozenset[str]:
        """Return what names come to, the vars that they read followed."""
        found, left = set(), set(names)
        while left:
            name = left.pop()
            found.add(name)
            if name.startswith("vars."):
                inner = names_in(self.making.composed.vars[name.removeprefix("vars.")])
                left |= inner - found
        return frozenset(found)

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

    def _verify(self, spec: RunbookSpec) -> Verify | None:
        given = spec.verify
        if given is None:
            return None
        if given.action is None:
            assert given.resolved_within is not None  # noqa: S101 - the model checks it
            return Verify(given.resolved_within, given.every, None)
        operation = self.making.steps.operation(("verify", "action"), given.action)
        if operation is None:
            return None
        if not isinstance(operation, Probe):
            text = f"{given.action} changes something; verify needs a probe, which only reads"
            self.fault(("verify", "action"), "not-a-probe", text)
            return None
        parameters = self.making.steps.checked(
            ("verify", "with"), given.with_, operation, self.making.after
        )
        assert given.within is not None  # noqa: S101 - the model checks it
        where = self.doc.at(("verify",))
        probe = CompiledStep(
            id="verify",
            sequence=0,
            operation=operation,
            parameters=parameters,
            condition=None,
            is_rung=False,
            needs=frozenset(),
            timeout=given.within,
            retry_attempts=1,
            backoff=given.within,
            where=f"{self.doc.file}:{where.line}:{where.column}",
        )
        return Verify(given.within, given.every, probe)


_NO_KEY = frozenset({"now", "run.id", "run.name", *expressions.ALERT_STATE})


def _fragment(composed: Composed, flat: Flat, used: Sequence[Written]) -> Fragment:
    written = composed.written
    return Fragment(
        name=written.name,
        description=written.spec.description,
        owner=written.spec.owner,
        docs=written.spec.docs,
        file=written.doc.file,
        line=written.doc.first_line,
        frame=flat.frame,
        steps=flat.steps,
        positions=composed.positions,
        uses=tuple(one.name for one in used),
    )


def _version(own: Written, used: Sequence[Written]) -> str:
    """Return the digest of all that was written: of the runbook and of what stands in it."""
    if not used:
        return canonical.digest(own.doc.value)
    return canonical.digest([own.doc.value, *(one.doc.value for one in used)])


# What a change of does not change what the runbook does: the policy, people and readers see it.
_NOT_SUBSTANCE = frozenset(
    {"name", "description", "owner", "docs", "links", "mode", "approval", "guardrails"}
)
# What is taken of a document that is used.
_TAKEN = ("parameters", "vars", "steps", "outputs")


def _substance(own: Written, used: Sequence[Written]) -> str:
    """Return the digest by which evidence about a runbook is kept (`model.evidence`)."""
    given: Mapping[str, Any] = own.doc.value
    kept = {key: value for key, value in given.items() if key not in _NOT_SUBSTANCE}
    if isinstance(failure := kept.pop("on_failure", None), dict):
        undo = {k: v for k, v in failure.items() if k != "escalate"}
        kept |= {"on_failure": undo} if undo else {}
    if not used:
        return canonical.digest(kept)
    taken = [{key: one.doc.value.get(key) for key in _TAKEN} for one in used]
    return canonical.digest([kept, *taken])
