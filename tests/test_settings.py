"""The settings: what nobody could mean is refused at start, with the key and what to do."""

from pathlib import Path

import pytest

from remediator import settings
from remediator.cli import config
from remediator.observe import logs
from remediator.settings import Settings, SettingsError


def load(tmp_path: Path, text: str) -> Settings:
    """Read settings from a file with this text."""
    file = tmp_path / "remediator.yaml"
    file.write_text(text, encoding="utf-8")
    return settings.load(file)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('slack: {signing_secret: ""}', "slack"),
        ('slack: {bot_token: "  "}', "slack"),
        ('senders: {default: {bearer_token: ""}}', "senders.default"),
        ('senders: {default: {basic_username: u, basic_password: ""}}', "senders.default"),
        ('api: {tokens: [{name: a, token: ""}]}', "api.tokens.0"),
        ('pagerduty: {routing_key: ""}', "pagerduty"),
    ],
)
def test_a_secret_that_everybody_knows_is_refused(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(
        SettingsError, match=rf"{key}: \w+ is empty: give it a value, or leave it out"
    ):
        load(tmp_path, text)


def test_an_empty_variable_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMEDIATOR_SLACK__SIGNING_SECRET", "")
    with pytest.raises(SettingsError, match="slack: signing_secret is empty"):
        settings.load(None)


def test_certificates_that_nobody_checks_let_nobody_in(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"senders\.am\.client_names needs tls\.client_ca_file"):
        load(tmp_path, "senders: {am: {client_names: [alertmanager]}}")


def test_the_variables_of_a_kubernetes_service_are_not_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kubernetes sets them in every pod beside a Service that is called `remediator`."""
    for name in ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_9095_TCP"):
        monkeypatch.setenv(f"REMEDIATOR_{name}", "10.0.0.1")
    monkeypatch.setenv("REMEDIATOR_PORT_9095_TCP_ADDR", "10.0.0.1")
    assert settings.load(None).listen == "127.0.0.1:9095"
    monkeypatch.setenv("REMEDIATOR_PORTS", "1")
    with pytest.raises(SettingsError, match="REMEDIATOR_PORTS: unknown variable"):
        settings.load(None)


@pytest.mark.parametrize("name", ["RUNBOOKS", "GROUPS", "POLICY", "API__TOKENS"])
def test_lists_and_maps_in_the_environment_are_json(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"REMEDIATOR_{name}", "/a")
    with pytest.raises(SettingsError, match="in the environment as JSON"):
        settings.load(None)


def test_passwords_in_addresses_are_shown_nowhere(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        """
        prometheus: {url: "https://ops:hunter2@prometheus:9090"}
        senders: {default: {alertmanager: ["http://am:s3cret@alertmanager:9093"]}}
        """,
    )
    shown = str(config.masked(found.model_dump(mode="json")))
    assert "https://ops:**********@prometheus:9090" in shown
    assert "hunter2" not in shown
    assert "s3cret" not in shown
    assert {"hunter2", "s3cret"} <= set(logs.secrets_in(found))


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        (
            "{name: a, token: abcd1}, {name: a, token: abcd2, role: admin}",
            "a has tokens of different roles",
        ),
        ("{name: a, token: abcd1}, {name: b, token: abcd1}", "a and b have the same token"),
    ],
)
def test_a_token_is_one_holders_with_one_role(tmp_path: Path, tokens: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as refused:
        load(tmp_path, f"api: {{tokens: [{tokens}]}}")
    assert "abcd" not in str(refused.value)


def test_a_name_may_have_two_tokens_while_one_replaces_the_other(tmp_path: Path) -> None:
    text = "api: {tokens: [{name: a, token: abcd1}, {name: a, token: abcd2}]}"
    assert len(load(tmp_path, text).api.tokens) == 2
