"""The CustomResourceDefinitions, made from the same models as files are checked by.

The API server wants a *structural* schema: every value has one type, nothing is referred to, and no
alternatives but in value checks. What the models say beyond that is told in CEL rules (`RULES`);
what neither can say (matchers, expressions, actions' parameters) is checked by the daemon, which
answers in the resource's status. There are no defaults: the API server would write them into the
object, and a default of today would stay there for ever. Called by `remediator schema --crd`, whose
output deploy/crds holds.
"""

import io
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML

from remediator.model.quantities import YamlSchema
from remediator.runbook import manifests
from remediator.runbook.policy_resource import PolicyResourceSpec
from remediator.runbook.schema import ONLY_RUNBOOKS, FragmentSpec, RunbookSpec

VERSION = "v1alpha1"

# Bounds where the models have none. The API server multiplies them with the cost of every rule
# below them, and an object is at most 1.5 MiB anyway.
MOST_ITEMS = 64
LONGEST_TEXT = 4096
_LONGEST_DOCS = 65_536  # `docs` is prose
_DEEPEST = 20

_Schema = dict[str, Any]


def _rule(rule: str, message: str) -> _Schema:
    return {"rule": rule, "message": message}


# Words of CEL's own, which the API server has rules call otherwise.
_RESERVED = frozenset({"for", "function", "if", "import", "in", "let", "loop", "namespace"})


def _has(key: str) -> str:
    return f"has(self.{f'__{key}__' if key in _RESERVED else key})"


_WINDOW = (
    _rule(
        "[has(self.start) || has(self.lasts), has(self.since) || has(self.until)]"
        ".exists_one(given, given)",
        "a window is given by start and lasts, or by since and until",
    ),
    _rule("has(self.start) == has(self.lasts)", "a window by start and lasts needs both"),
    _rule("has(self.since) == has(self.until)", "a window by since and until needs both"),
)
_USE = (
    _rule(
        "!has(self.use) || !(has(self.timeout) || has(self.retry))",
        "timeout and retry are for an action; the steps of what is used have their own",
    ),
)
RULES: Mapping[str, tuple[_Schema, ...]] = {
    "VerifySpec": (
        _rule(
            "has(self.resolved_within) != has(self.action)",
            "give resolved_within, or an action with within; one of the two",
        ),
        _rule(
            "!has(self.resolved_within) || !has(self.within)",
            "within is for an action; resolved_within says it already",
        ),
        _rule("!has(self.action) || has(self.within)", "an action needs within: how long"),
    ),
    "SilenceSpec": (
        _rule(
            "self.equal.exists(label, !(label in ['alertname', 'severity']))",
            "alertname and severity say what is wrong, not where: name a label of the place",
        ),
    ),
    "RuleBounds": (
        _rule(
            "!has(self.min_replicas) || !has(self.max_replicas) || "
            "self.min_replicas <= self.max_replicas",
            "min_replicas is more than max_replicas: nothing is allowed",
        ),
        _rule(
            "!has(self.min_instances) || !has(self.max_instances) || "
            "self.min_instances <= self.max_instances",
            "min_instances is more than max_instances: nothing is allowed",
        ),
    ),
    "ApprovalTerms": (
        _rule(
            "!has(self.on_expiry) || self.on_expiry != 'approve'",
            "on_expiry: that silence is a yes is the operator's to say",
        ),
    ),
    "Freeze": _WINDOW,
    "Maintenance": _WINDOW,
    "MemberSpec": (
        _rule(
            "has(self.action) != has(self.use)",
            "a step of a group has an action, or a use; one of the two",
        ),
        *_USE,
    ),
    "StepSpec": (
        _rule(
            "[has(self.action), has(self.use), has(self.steps)].exists_one(given, given)",
            "a step has an action, a use or steps; one of the three",
        ),
        *_USE,
        _rule(
            "!has(self.steps) || !(has(self.with) || has(self.timeout) || has(self.retry))",
            "with, timeout and retry are for an action; each step of a group has its own",
        ),
    ),
    "RepeatSpec": (
        _rule(
            "!has(self.most) || self.mode in ['queued', 'parallel']",
            "most is for queued and parallel",
        ),
    ),
    "RunbookSpec": (
        _rule(
            "self.steps.all(one, self.steps.exists_one(other, other.id == one.id))",
            "two steps have one id",
        ),
        _rule(
            f"has(self.match) || !({' || '.join(_has(key) for key in ONLY_RUNBOOKS)})",
            "match is missing; without it, this is a fragment, which has only "
            + ", ".join(FragmentSpec.model_fields),
        ),
    ),
    "PolicyResourceSpec": (
        _rule(
            "!has(self.rules) || "
            "self.rules.all(one, self.rules.exists_one(other, other.name == one.name))",
            "two rules have one name; changes are counted by name",
        ),
    ),
}
"""What the models' validators say, by the name of the model."""

IN_THE_DAEMON: Mapping[str, str] = {
    "ParameterSpec": "values of any type are compared with each other",
    "Approval": "its reminders are in order and before its timeout: CEL reads no `7d`",
    "Window": "a base class; Freeze and Maintenance have the rules",
}
"""Models with validators that no rule stands for, and why. A test holds the two lists together."""

_LEFT_OUT: Mapping[str, frozenset[str]] = {
    "Freeze": frozenset({"calendar"}),
    "Maintenance": frozenset({"calendar"}),
    "ApprovalTerms": frozenset({"approvers"}),
}
"""Keys that a resource has not, though a file may have them: `policy_resource` says why."""


def definitions() -> list[_Schema]:
    """Return both definitions, as `kubectl apply` takes them."""
    return [
        _definition(manifests.RUNBOOK, "runbooks", ["rb"], RunbookSpec, _RUNBOOK_COLUMNS),
        _definition(
            manifests.POLICY,
            "remediationpolicies",
            ["rpol"],
            PolicyResourceSpec,
            _POLICY_COLUMNS,
        ),
    ]


def text(definition: _Schema) -> str:
    """Return a definition as YAML."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 100
    stream = io.StringIO()
    yaml.dump(definition, stream)
    return stream.getvalue()


def _column(
    name: str, path: str, about: str, *, kind: str = "string", wide: bool = False
) -> _Schema:
    column = {"name": name, "type": kind, "jsonPath": path, "description": about}
    return {**column, "priority": 1} if wide else column


_CONDITION = '.status.conditions[?(@.type=="Accepted")]'
_ACCEPTED = _column("Accepted", f"{_CONDITION}.status", "Whether the daemon has taken it up.")
_REASON = _column("Reason", f"{_CONDITION}.reason", "Why, or why not.", wide=True)
_MESSAGE = _column("Message", f"{_CONDITION}.message", "The same in a sentence.", wide=True)
_AGE = _column("Age", ".metadata.creationTimestamp", "Since it was made.", kind="date")
_RUNBOOK_COLUMNS = (
    _column("Mode", ".status.mode", "How far it may go now, under the policy."),
    _ACCEPTED,
    _column("Last Run", ".status.lastRun.state", "How its last run ended."),
    _column("Success", ".status.successRate", "Of the runs in 30 days that changed something."),
    _column("Runs", ".status.runs", "Runs that ended in 30 days.", kind="integer", wide=True),
    _REASON,
    _MESSAGE,
    _AGE,
)
_POLICY_COLUMNS = (
    _ACCEPTED,
    _column("Rules", ".status.rules", "Rules of the policy that it makes.", kind="integer"),
    _REASON,
    _MESSAGE,
    _AGE,
)


def _definition(
    kind: str, plural: str, short: list[str], model: type[BaseModel], columns: tuple[_Schema, ...]
) -> _Schema:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{manifests.GROUP}"},
        "spec": {
            "group": manifests.GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": short,
                "categories": ["remediator"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _whole(kind, model)},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": list(columns),
                }
            ],
        },
    }


def _whole(kind: str, model: type[BaseModel]) -> _Schema:
    spec = _spec(model)
    rules = [
        _rule(
            f"self.metadata.name.matches('{manifests.NAME_PATTERN}') && "
            f"size(self.metadata.name) <= {manifests.LONGEST_NAME}",
            f"metadata.name: small letters, digits and -, at most {manifests.LONGEST_NAME}",
        )
    ]
    if kind == manifests.RUNBOOK:
        rules.append(
            _rule(
                "!has(self.spec.name) || self.spec.name == self.metadata.name",
                "spec.name must be metadata.name, or be left out",
            )
        )
        # Both are optional for the server: the name is the resource's, and what has no `match` is a
        # fragment, which a rule tells from a runbook that lacks it.
        spec["required"] = [key for key in spec["required"] if key not in ("name", "match")]
    return {
        "type": "object",
        "description": " ".join((model.__doc__ or "").split()),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": _status(kind),
        },
        "x-kubernetes-validations": rules,
    }


def _spec(model: type[BaseModel]) -> _Schema:
    schema = model.model_json_schema(by_alias=True, schema_generator=YamlSchema)
    return _Structural(schema.pop("$defs", {})).object_named(model.__name__, schema, 0)


class _Structural:
    """Makes a structural schema out of JSON Schema with definitions."""

    def __init__(self, definitions: Mapping[str, _Schema]) -> None:
        self._definitions = definitions

    def object_named(self, name: str, schema: _Schema, depth: int) -> _Schema:
        """Return a model's schema with its rules, without the keys that a resource has not."""
        made = self.schema(schema, depth)
        for key in _LEFT_OUT.get(name, ()):
            del made["properties"][key]
        if rules := RULES.get(name):
            made["x-kubernetes-validations"] = list(rules)
        return made

    def schema(self, given: _Schema, depth: int = 0) -> _Schema:
        """Return one value's schema."""
        if depth > _DEEPEST:
            raise ValueError("the models refer to themselves, which no structural schema can")
        about = (
            {"description": " ".join(given["description"].split())}
            if "description" in given
            else {}
        )
        if "$ref" in given:
            name = given["$ref"].rpartition("/")[2]
            return {**self.object_named(name, self._definitions[name], depth + 1), **about}
        choices = [one for one in given.get("anyOf", ()) if one.get("type") != "null"]
        if len(choices) == 1:
            return {**self.schema(choices[0], depth + 1), **about}
        if choices or not isinstance(given.get("type"), str):
            if "enum" in given or "const" in given:
                return {"type": "string", "enum": given.get("enum") or [given["const"]], **about}
            # A name or a list of them; or any value at all: the daemon looks at it.
            return {**about, "x-kubernetes-preserve-unknown-fields": True}
        return {**about, **self._of_type(given, depth)}

    def _of_type(self, given: _Schema, depth: int) -> _Schema:
        made: _Schema = {"type": given["type"]}
        for key in ("minimum", "maximum", "minLength", "minItems", "minProperties", "pattern"):
            if key in given:
                made[key] = given[key]
        for low, high in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if low in given:
                made |= {high: given[low], low: True}
        match given["type"]:
            case "string":
                if "enum" in given or "const" in given:
                    return {**made, "enum": given.get("enum") or [given["const"]]}
                longest = _LONGEST_DOCS if given.get("title") == "Docs" else LONGEST_TEXT
                made["maxLength"] = given.get("maxLength", longest)
            case "array":
                made["maxItems"] = given.get("maxItems", MOST_ITEMS)
                made["items"] = self.schema(given.get("items", {}), depth + 1)
            case "object":
                made |= self._mapping(given, depth)
        return made

    def _mapping(self, given: _Schema, depth: int) -> _Schema:
        if "properties" in given:
            made: _Schema = {
                "properties": {
                    name: self.schema(inner, depth + 1)
                    for name, inner in given["properties"].items()
                }
            }
            if given.get("required"):
                made["required"] = list(given["required"])
            return made
        patterns = given.get("patternProperties", {})
        inner = next(iter(patterns.values()), given.get("additionalProperties", True))
        if inner is True or not inner.keys() & {"type", "$ref", "anyOf"}:
            return {"x-kubernetes-preserve-unknown-fields": True}
        most = given.get("maxProperties", MOST_ITEMS)
        made = {"additionalProperties": self.schema(inner, depth + 1), "maxProperties": most}
        names = [_rule(f"self.all(key, key.matches('{p}'))", f"each name: {p}") for p in patterns]
        return {**made, "x-kubernetes-validations": names} if names else made


def _status(kind: str) -> _Schema:
    text = {"type": "string", "maxLength": LONGEST_TEXT}
    time = {"type": "string", "format": "date-time"}
    properties: _Schema = {
        "observedGeneration": {
            "type": "integer",
            "format": "int64",
            "description": "The generation of the spec that the rest is about.",
        },
        "conditions": {
            "type": "array",
            "maxItems": 8,
            "description": "Accepted: whether the daemon has taken up the spec as it stands.",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
            "items": {
                "type": "object",
                "required": ["type", "status", "lastTransitionTime", "reason", "message"],
                "properties": {
                    "type": {"type": "string", "maxLength": 316},
                    "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                    "observedGeneration": {"type": "integer", "format": "int64"},
                    "lastTransitionTime": time,
                    "reason": {"type": "string", "maxLength": 1024},
                    "message": {"type": "string", "maxLength": 32_768},
                },
            },
        },
    }
    if kind == manifests.POLICY:
        count = {"type": "integer", "description": "How many rules of the policy it makes."}
        return {"type": "object", "properties": {**properties, "rules": count}}
    properties |= {
        "name": {**text, "description": "What the daemon calls it: NAMESPACE/NAME."},
        "version": {**text, "description": "The version that is in force, as runs name it."},
        "mode": {**text, "description": "How far it may go now, under the policy."},
        "lastRun": {
            "type": "object",
            "description": "The newest run that ended.",
            "properties": {"id": text, "state": text, "endedAt": time},
        },
        "runs": {"type": "integer", "description": "Runs that ended in the last 30 days."},
        "successRate": {
            **text,
            "description": "Of those that changed something, the part that ended well.",
        },
    }
    return {"type": "object", "properties": properties}
