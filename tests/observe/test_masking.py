"""Proves that what is, or looks like, a secret is not shown, and that ordinary words are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model.canonical import JSON
from remediator.observe import masking


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token xoxb-1234-abcdefgh and on", "token *** and on"),
        ("xapp-1-A01-1234567890-abc", "***"),
        ("https://user:pa55word@host/x", "https://user:***@host/x"),
        ("PASSWORD=hunter22 next", "PASSWORD=*** next"),
        ('{"api_key": "abc123", "n": 1}', '{"api_key": ***, "n": 1}'),
        ("db.password: 'a b c d' rest", "db.password: *** rest"),
        ("Bearer abcdefghijklmnop", "Bearer ***"),
        ("see https://hooks.slack.com/services/T0/B0/xyz now", "see *** now"),
        ("Authorization: Bearer abcdefghijklmnop rest", "Authorization: *** rest"),
        ("> Authorization: Basic dXNlcjpwYXNz", "> Authorization: ***"),
        ("Authorization: Token abc-def-ghi", "Authorization: ***"),
        ("Authorization: GenieKey 0123-4567", "Authorization: ***"),
        (
            "https://x.example/invoke?v=1&sig=AbCdEf012345&n=1",
            "https://x.example/invoke?v=1&sig=***&n=1",
        ),
        ("https://x.example/o?X-Amz-Signature=0123abcd", "https://x.example/o?X-Amz-Signature=***"),
        ("git clone https://0123456789abcdef@git.example/x", "git clone https://***@git.example/x"),
        ("db:\n  password:    hunter22", "db:\n  password:    ***"),
        ('{"name": "DB_PASSWORD", "value": "hunter2"}', '{"name": "DB_PASSWORD", "value": ***}'),
        ("- name: API_TOKEN\n  value: hunter2\n", "- name: API_TOKEN\n  value: ***\n"),
        ("psql --password hunter22 -h db", "psql --password *** -h db"),
        (r'{"msg": "{\"token\": \"abcdef12\"}"}', r'{"msg": "{\"token\": \***}'),
        (r'{"secret_key": "ab\"cdefgh", "n": 1}', '{"secret_key": ***, "n": 1}'),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- after", "*** after"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE and never an end", "***"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    assert masking.text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "deployment shop/api: replicas 4 → 6",
        "secret shop/db-credentials was rotated",
        "the token bucket is empty",
        "basic checks passed",
        "https://prometheus.example/graph?g0.expr=up",
        "kubernetes.io/secret-name",
        "skipped: tokens",
        "https://git@github.com/shop/api",
        "--token-file /run/token",
        "https://tickets.example/issue?key=SHOP-123456&code=42",
        "",
    ],
)
def test_ordinary_words_are_shown(text: str) -> None:
    assert masking.text(text) == text


def test_a_label_whose_name_says_so_is_masked_whole() -> None:
    assert masking.value("db_password", "short") == "***"
    assert masking.value("secret_name", "shop/db") == "shop/db"
    assert masking.value("namespace", "shop") == "shop"


def test_a_document_is_masked_by_its_names_and_by_what_stands_in_it() -> None:
    given: JSON = {
        "db_password": "short",
        "args": ["--token=abc123", 4, None],
        "tokens": ["a", {"namespace": "shop"}],
    }
    assert masking.document(given) == {
        "db_password": "***",
        "args": ["--token=***", 4, None],
        "tokens": ["***", {"namespace": "shop"}],
    }


def test_the_operators_own_patterns_are_masked_too() -> None:
    masking.patterns([r"CUST-\d+", "(a+)+$"])
    try:
        assert masking.text("for CUST-4711 and CUST-1") == "for *** and ***"
        assert masking.text("a" * 5000 + "!") == "a" * 5000 + "!", "in linear time"
    finally:
        masking.patterns([])
    assert masking.text("for CUST-4711") == "for CUST-4711"


@given(st.text(max_size=300))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once = masking.text(text)
    assert masking.text(once) == once
