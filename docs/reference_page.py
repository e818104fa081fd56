"""Makes docs/runbook-reference.md from the models: every key of a runbook and of its test, every
action and probe, and what expressions may read and call.

`pages` writes it, a test compares.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from remediator.model.quantities import YamlSchema
from remediator.plugin import registry as plugins
from remediator.plugin.action import Action
from remediator.rehearsal import schema as tests
from remediator.runbook import cel_text, expressions
from remediator.runbook.json_schema import json_schema
from remediator.runbook.schema import ONLY_RUNBOOKS

_Schema = Mapping[str, Any]

HEAD = """\
# Reference of runbooks and their tests

Made from the code by `python docs/pages.py`; do not edit. [The runbook
language](runbook-language.md) is the guide to it, [runbook tests](runbook-tests.md) that of tests.
The same stands in the JSON Schemas that editors read: `remediator schema`, and with `--test`.

"""

FUNCTIONS = {
    "all": "`list.all(x, condition)`: whether it holds for every item",
    "bool": "true or false, from text",
    "bytes": "the bytes of a text",
    "charAt": "`text.charAt(0)`: the character at a place",
    "contains": "`text.contains(part)`",
    "double": "a number with a fraction, from text or a whole number",
    "duration": '`duration("5m")`: a length of time',
    "endsWith": "`text.endsWith(part)`",
    "exists": "`list.exists(x, condition)`: whether it holds for any item",
    "exists_one": "`list.exists_one(x, condition)`: whether it holds for exactly one item",
    "filter": "`list.filter(x, condition)`: the items for which it holds",
    "format": '`"%s: %d".format([a, b])`',
    "getDate": "the day of the month, from 1",
    "getDayOfMonth": "the day of the month, from 0",
    "getDayOfWeek": '`now.getDayOfWeek("Europe/Berlin")`: 0 is Sunday',
    "getDayOfYear": "the day of the year, from 0",
    "getFullYear": "the year",
    "getHours": '`now.getHours("Europe/Berlin")`: 0 to 23; of a duration: its hours',
    "getMilliseconds": "the milliseconds",
    "getMinutes": "the minutes",
    "getMonth": "the month, from 0",
    "getSeconds": "the seconds",
    "has": "`has(labels.tier)`: whether it is there",
    "hasValue": '`labels[?"tier"].hasValue()`',
    "indexOf": "`text.indexOf(part)`: its place from 0, or -1",
    "int": "a whole number, from text or a number",
    "join": '`list.join(",")`',
    "lastIndexOf": "`text.lastIndexOf(part)`",
    "lowerAscii": "`text.lowerAscii()`",
    "map": "`list.map(x, expression)`: a list of what comes out",
    "matches": "`text.matches(pattern)`: RE2, anywhere in the text",
    "math.abs": "the absolute value",
    "math.ceil": "rounded up",
    "math.floor": "rounded down",
    "math.greatest": "the greatest of its arguments, or of a list",
    "math.isFinite": "whether it is neither infinite nor no number",
    "math.isInf": "whether it is infinite",
    "math.isNaN": "whether it is no number",
    "math.least": "the least of its arguments, or of a list",
    "math.round": "rounded",
    "math.sign": "-1, 0 or 1",
    "math.trunc": "without the fraction",
    "optional.none": "an optional value that is not there",
    "optional.of": "an optional value that is there",
    "optional.ofNonZeroValue": "there, unless it is empty or 0",
    "optFlatMap": "as `optMap`, where the expression gives an optional value itself",
    "optMap": "`value.optMap(x, expression)`: changed, if it is there",
    "or": "the first of two optional values that is there",
    "orValue": '`labels[?"tier"].orValue("web")`: a default',
    "replace": "`text.replace(old, new)`",
    "reverse": "`text.reverse()`",
    "size": "the length of a text, list or map",
    "split": '`text.split(",")`: a list',
    "startsWith": "`text.startsWith(part)`",
    "string": "text, from any plain value",
    "strings.quote": "in double quotes, escaped",
    "substring": "`text.substring(from, to)`",
    "timestamp": '`timestamp("2026-01-05T10:00:00Z")`',
    "trim": "without blanks at both ends",
    "type": "the type of a value",
    "uint": "a whole number that is not negative",
    "upperAscii": "`text.upperAscii()`",
    "value": "of an optional value; an error if it is not there",
}
"""What each function of expressions does; names as `cel_text` has them."""

_VARIABLES = {
    "labels": "the alert's labels; short for `alert.labels`",
    "annotations": "the alert's annotations; short for `alert.annotations`",
    "alert.labels": "the alert's labels",
    "alert.annotations": "the alert's annotations",
    "alert.status": "`firing` or `resolved`; makes a step's `if` a rung",
    "alert.firing": "whether it fires now; makes a step's `if` a rung",
    "alert.starts_at": "since when it fires",
    "alert.generator_url": "where it comes from: mostly a link to its rule",
    "alert.fingerprint": "what identifies it: a hash of its labels",
    "group.labels": "the labels that Alertmanager grouped by",
    "group.common_labels": "what all alerts of the group have in common",
    "group.common_annotations": "likewise, of annotations",
    "group.receiver": "Alertmanager's receiver",
    "run.id": "this run",
    "run.name": "the runbook's name",
    "now": "the time",
}

_LATER = (
    ("params.NAME", "as declared", "a parameter"),
    ("vars.NAME", "as defined", "a variable"),
    ("each.value", "dyn", "with `for_each`: the item"),
    ("each.index", "int", "with `for_each`: its place, from 0"),
    (
        "steps.ID.result",
        "map",
        "what an earlier probe found, or a `use` gave; see each probe above",
    ),
    (
        "steps.ID.plan",
        "map",
        "what an earlier action planned: `summary`, `changes[0].after`, `target.name`, …",
    ),
    ("steps.ID.ok", "bool", "whether an earlier step did what it should"),
)

_RUNBOOK_PARTS = (
    ("Retry", "retry", "Of an action's step."),
    ("VerifySpec", "verify", ""),
    ("OnFailure", "on_failure", ""),
    ("Approval", "approval", ""),
    ("Limits", "guardrails", ""),
    ("MaxImpact", "guardrails.max_impact", ""),
    ("RepeatSpec", "repeat", ""),
    ("SilenceSpec", "silence", ""),
    ("ParameterSpec", "parameters.NAME", ""),
)

_TEST_PARTS = (
    ("TestCase", "tests[]"),
    ("Event", "tests[].timeline[]"),
    ("Word", "timeline[].approve, deny, cancel, acknowledge"),
    ("Snooze", "timeline[].snooze"),
    ("Resume", "timeline[].resume"),
    ("Lift", "timeline[].override"),
    ("RunByHand", "timeline[].run"),
    ("Pause", "timeline[].pause"),
    ("Expectation", "tests[].expect[]"),
    ("RunExpected", "expect[].runs[]"),
    ("StepExpected", "runs[].steps.ID"),
    ("WorldSpec", "world"),
    ("PrometheusSpec", "world.prometheus"),
    ("SeriesSpec", "world.prometheus.series[]"),
    ("AnswerSpec", "world.http[]"),
    ("ReplySpec", "world.http[].answers[]"),
    ("CommandSpec", "world.exec[]"),
    ("EndingSpec", "world.exec[].answers[]"),
    ("ThenSpec", "world.exec[].then"),
    ("WorldChange", "timeline[].world"),
)


def page() -> str:
    """Return docs/runbook-reference.md."""
    return HEAD + "\n".join([*_runbooks(), *_operations(), *_expressions(), *_tests(), ""])


def _runbooks() -> Iterator[str]:
    registry = plugins.load(third_party=False)
    schema = json_schema(registry)
    defs = schema["$defs"]
    yield "## A runbook\n"
    yield (
        "A document with `match` is a runbook; without any of the keys that are marked `*` it is a "
        "fragment, for `use`. What is a map here has a table of its own below.\n"
    )
    keys = {f"{key}*" if key in ONLY_RUNBOOKS else key: one for key, one in _keys(schema)}
    yield from _table({**schema, "properties": keys}, defs)
    yield "## A step\n"
    yield f"{_words(defs['StepSpec']['description'])}\n"
    yield from _table(defs["StepSpec"], defs)
    for name, path, about in _RUNBOOK_PARTS:
        yield f"## `{path}`\n"
        yield f"{about or _words(defs[name].get('description', ''))}\n"
        yield from _table(defs[name], defs)


def _operations() -> Iterator[str]:
    registry = plugins.load(third_party=False)
    yield "## Actions and probes\n"
    yield (
        "What a plugin brings besides, `remediator actions` lists with what its credentials need. "
        "Every parameter may be an expression.\n"
    )
    for name in sorted(registry.operations):
        one = registry.operations[name]
        kind = "An action" if isinstance(one, Action) else "A probe"
        yield f"### {name}\n"
        yield f"{kind}. {one.summary}\n"
        schema = one.Params.model_json_schema(by_alias=True, schema_generator=YamlSchema)
        yield from _table(schema, schema.get("$defs", {}))
        output: Mapping[str, str] = getattr(one, "Output", {})
        if output:
            yield "| result | type |\n|---|---|"
            for key, kind in output.items():
                yield f"| `steps.ID.result.{key}` | {kind} |"
            yield ""
        yield "```yaml"
        yield f"action: {name}\nwith:"
        yield from (f"  {line}".rstrip() for line in one.example.strip().splitlines())
        yield "```\n"


def _expressions() -> Iterator[str]:
    yield "## Expressions\n"
    yield "| variable | type | meaning |\n|---|---|---|"
    for name in sorted(expressions.FIXED):
        kind = _cel_type(name)
        yield f"| `{name}` | {kind} | {_VARIABLES[name]} |"
    for name, kind, about in _LATER:
        yield f"| `{name}` | {kind} | {about} |"
    yield "\n| function | does |\n|---|---|"
    for name in sorted(cel_text.FUNCTIONS):
        yield f"| `{name}` | {FUNCTIONS[name]} |"
    yield ""


def _cel_type(name: str) -> str:
    kind = str(expressions.FIXED[name]).rpartition(".")[2].lower()
    return "map of text" if "map" in kind or name.endswith(("labels", "annotations")) else kind


def _tests() -> Iterator[str]:
    schema = tests.json_schema()
    defs = schema["$defs"]
    yield "## A test file\n"
    yield from _table(schema, defs)
    for name, path in _TEST_PARTS:
        yield f"## `{path}`\n"
        about = _words(defs[name].get("description", ""))
        if about:
            yield f"{about}\n"
        yield from _table(defs[name], defs)


def _keys(schema: _Schema) -> list[tuple[str, _Schema]]:
    return list(schema.get("properties", {}).items())


def _table(schema: _Schema, defs: _Schema) -> Iterator[str]:
    needed = set(schema.get("required", ()))
    yield "| key | type | default | meaning | example |\n|---|---|---|---|---|"
    for key, one in _keys(schema):
        given = one.get("default")
        default = "" if isinstance(given, dict) else _value(given)
        if key.rstrip("*") in needed:
            default = "required"
        elif key == "match*":
            default = "required of a runbook"
        about = one.get("description") or defs.get(_named(one), {}).get("description", "")
        shown = ", ".join(_value(value) for value in one.get("examples", [])[:2])
        kind = _cell(_type(one, defs))
        yield f"| `{key}` | {kind} | {default} | {_cell(_words(about))} | {shown} |"
    yield ""


def _named(one: _Schema) -> str:
    return str(one.get("$ref", "")).rpartition("/")[2]


def _type(one: _Schema, defs: _Schema) -> str:
    """Say a JSON Schema's type in a few words, with its bounds."""
    if "$ref" in one:
        target = defs[_named(one)]
        return "map" if target.get("type") == "object" else _type(target, defs)
    if "enumDescriptions" in one:
        return "the name of an action or a probe"
    if "enum" in one:
        return " or ".join(f"`{value}`" for value in one["enum"] if value is not None)
    if "const" in one:
        return f"`{one['const']}`"
    for union in ("anyOf", "oneOf"):
        if union in one:
            kinds = [_type(inner, defs) for inner in one[union]]
            return " or ".join(k for k in dict.fromkeys(kinds) if k not in ("null", "expression"))
    kind = one.get("type", "any")
    if kind == "array":
        inner = one.get("items")
        most = f", at most {one['maxItems']}" if "maxItems" in one else ""
        return f"list of {_type(inner, defs)}{most}" if inner else f"list{most}"
    if kind == "object":
        inner = one.get("additionalProperties")
        return f"map of {_type(inner, defs)}" if isinstance(inner, Mapping) and inner else "map"
    if kind == "string":
        return _text(one)
    low, high = one.get("minimum"), one.get("maximum")
    if kind in ("integer", "number") and (low is not None or high is not None):
        if low is None or high is None:
            return f"{kind}, from {low}" if high is None else f"{kind}, up to {high}"
        return f"{kind}, {low} to {high}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _text(one: _Schema) -> str:
    pattern = str(one.get("pattern", ""))
    if "(ms|s|m|h|d|w)" in pattern:
        return "rate" if "/" in pattern else "duration"
    if r"\$\{\{" in pattern:
        return "expression"
    return str(one.get("format", "text"))


def _value(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{_cell(text)}`" if len(text) <= 120 else ""


def _words(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
