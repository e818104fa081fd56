"""Durations, rates, shares and changes by an amount, as people write them in YAML.

`15m`, `1h30m`, `3/1h`, `50%`, `50%/1h`, `20.00/1d`. Pure parsing; pydantic calls it through the
annotated types.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    GetCoreSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema, core_schema

_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_DURATION_TEXT = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+")
# A limit on what a duration can say: longer ones are typing errors, and timedelta overflows later.
_LONGEST_S = 10 * 366 * 86400
_COUNT = re.compile(r"[0-9]{1,12}")
_MONEY = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")


def parse_duration(text: object) -> timedelta:
    """Parse `90s`, `15m`, `1h30m`, `7d` (units ms, s, m, h, d, w; as Prometheus writes them).

    Raises:
        ValueError: not a duration, negative, or over ten years.
    """
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not _DURATION_TEXT.fullmatch(text.strip()):
        raise ValueError(
            f"{text!r} is no duration; write a number and a unit, like 90s, 15m or 1h30m"
        )
    seconds = sum(float(n) * _UNITS_S[unit] for n, unit in _DURATION.findall(text))
    if seconds > _LONGEST_S:
        raise ValueError(f"{text!r} is longer than ten years")
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """Return the shortest text that `parse_duration` reads back to the millisecond: `1h30m`."""
    left_ms = round(value.total_seconds() * 1000)
    if left_ms == 0:
        return "0s"
    parts = []
    for unit, size_ms in (
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ):
        count, left_ms = divmod(left_ms, size_ms)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


class YamlSchema(GenerateJsonSchema):
    """JSON Schema whose defaults are written as authors write them: `1m`, not ISO 8601's `PT1M`."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return False: a title made from a key says nothing that the key does not."""
        return False

    def encode_default(self, dft: Any) -> Any:
        """Return a default as it stands in YAML."""
        if isinstance(dft, timedelta):
            return format_duration(dft)
        if isinstance(dft, Rate | Share | SharePer | Money | MoneyPer):
            return str(dft)
        if isinstance(dft, tuple):
            return [self.encode_default(one) for one in dft]
        if isinstance(dft, BaseModel):
            return dft.model_dump(mode="json", by_alias=True)
        return super().encode_default(dft)


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d|w))+$",
            "examples": ["90s", "15m"],
        }
    ),
]


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` in any window of `per` length."""

    count: int
    per: timedelta

    @classmethod
    def parse(cls, text: object) -> "Rate":
        """Parse `3/1h`.

        Raises:
            ValueError: not a count and a duration with a slash between.
        """
        if isinstance(text, Rate):
            return text
        count, slash, per = str(text).partition("/")
        if not slash or not _COUNT.fullmatch(count.strip()):
            raise ValueError(f"{text!r} is no rate; write a count and a duration, like 3/1h")
        return cls(int(count), _window(text, per))

    def __str__(self) -> str:
        return f"{self.count}/{format_duration(self.per)}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _from_text(
            cls.parse, "^[0-9]+/([0-9]+(\\.[0-9]+)?(ms|s|m|h|d|w))+$", ["3/1h", "7/1d"]
        )


@dataclass(frozen=True, slots=True, order=True)
class Share:
    """A fraction from 0 to 1, written `50%`."""

    fraction: float

    @classmethod
    def parse(cls, text: object) -> "Share":
        """Parse `50%`.

        Raises:
            ValueError: not a percentage from 0% to 100%.
        """
        if isinstance(text, Share):
            return text
        match = re.fullmatch(r"(\d+(?:\.\d+)?)%", str(text).strip())
        if not match or float(match[1]) > 100:
            raise ValueError(f"{text!r} is no share; write a percentage from 0% to 100%")
        return cls(float(match[1]) / 100)

    def __str__(self) -> str:
        return f"{self.fraction * 100:g}%"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _from_text(cls.parse, "^[0-9]+(\\.[0-9]+)?%$", ["50%"])


@dataclass(frozen=True, slots=True)
class SharePer:
    """At most this share in any window of `per` length."""

    share: Share
    per: timedelta

    @classmethod
    def parse(cls, text: object) -> "SharePer":
        """Parse `50%/1h`.

        Raises:
            ValueError: not a percentage and a duration with a slash between.
        """
        if isinstance(text, SharePer):
            return text
        share, slash, per = str(text).partition("/")
        if not slash:
            raise ValueError(f"{text!r} is no share in a window; write it like 50%/1h")
        return cls(Share.parse(share.strip()), _window(text, per))

    def __str__(self) -> str:
        return f"{self.share}/{format_duration(self.per)}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        pattern = "^[0-9]+(\\.[0-9]+)?%/([0-9]+(\\.[0-9]+)?(ms|s|m|h|d|w))+$"
        return _from_text(cls.parse, pattern, ["50%/1h"])


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of the operator's own currency; remediator never converts."""

    amount: Decimal

    @classmethod
    def parse(cls, text: object) -> "Money":
        """Parse `2.50`.

        Raises:
            ValueError: not a plain amount of at least zero.
        """
        if isinstance(text, Money):
            return text
        if isinstance(text, bool) or not _MONEY.fullmatch(str(text).strip()):
            raise ValueError(f'{text!r} is no amount; write it plainly, like "2.50"')
        return cls(Decimal(str(text).strip()))

    def __str__(self) -> str:
        return f"{self.amount:f}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _from_text(cls.parse, "^[0-9]+(\\.[0-9]+)?$", ["2.50"])


@dataclass(frozen=True, slots=True)
class MoneyPer:
    """At most this amount in any window of `per` length."""

    money: Money
    per: timedelta

    @classmethod
    def parse(cls, text: object) -> "MoneyPer":
        """Parse `20.00/1d`.

        Raises:
            ValueError: not an amount and a duration with a slash between.
        """
        if isinstance(text, MoneyPer):
            return text
        money, slash, per = str(text).partition("/")
        if not slash:
            raise ValueError(f"{text!r} is no amount in a window; write it like 20.00/1d")
        return cls(Money.parse(money.strip()), _window(text, per))

    def __str__(self) -> str:
        return f"{self.money}/{format_duration(self.per)}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        pattern = "^[0-9]+(\\.[0-9]+)?/([0-9]+(\\.[0-9]+)?(ms|s|m|h|d|w))+$"
        return _from_text(cls.parse, pattern, ["20.00/1d"])


def _window(text: object, per: str) -> timedelta:
    window = parse_duration(per.strip())
    if not window:
        raise ValueError(f"{text!r} has an empty window")
    return window


def _from_text(parse: Any, pattern: str, examples: list[str]) -> CoreSchema:
    return core_schema.no_info_plain_validator_function(
        parse,
        serialization=core_schema.plain_serializer_function_ser_schema(str),
        metadata={
            "pydantic_js_functions": [
                lambda _schema, _handler: {
                    "type": "string",
                    "pattern": pattern,
                    "examples": examples,
                }
            ]
        },
    )
