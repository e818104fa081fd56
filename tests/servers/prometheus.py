"""A real Prometheus that scrapes and evaluates several times a second."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from .binaries import find
from .process import Process, Server, free_port, launch
from .rest import answers, request

RULES_FILE = "rules.yml"
NO_RULES = json.dumps({"groups": []})


def prometheus_config(
    targets: Mapping[str, Sequence[str]],
    *,
    alertmanager_urls: Sequence[str] = (),
    interval: str = "200ms",
) -> str:
    """A configuration that scrapes `targets` (job → addresses) and loads the rules file."""
    alertmanagers = [urlsplit(url).netloc for url in alertmanager_urls]
    return json.dumps(
        {
            "global": {"scrape_interval": interval, "evaluation_interval": interval},
            "rule_files": [RULES_FILE],
            "scrape_configs": [
                {
                    "job_name": job,
                    "scrape_timeout": interval,
                    "static_configs": [{"targets": list(addresses)}],
                }
                for job, addresses in targets.items()
            ],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": alertmanagers}]}]},
        }
    )


def alert_rule(name: str, expression: str, *, hold: str = "0s", **labels: str) -> str:
    """A rules file with one alerting rule; `hold` is its `for`."""
    rule = {"alert": name, "expr": expression, "for": hold, "labels": labels}
    return json.dumps({"groups": [{"name": name, "rules": [rule]}]})


class Prometheus(Server):
    """One Prometheus; its configuration names `rules.yml`, which holds `rules_text`."""

    def __init__(self, folder: Path, config_text: str, rules_text: str = NO_RULES) -> None:
        self.folder = folder
        self._config_text = config_text
        self._rules_text = rules_text
        self._port = 0
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """The address of its API."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def process(self) -> Process:
        """The process: to kill, to freeze, or to read its log."""
        assert self._process is not None, "this Prometheus was not started"
        return self._process

    def start(self) -> None:
        """Starts it, and returns when it answers queries."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write(self._config_text, self._rules_text)
        self._process = launch(self._make)

    def stop(self) -> None:
        """Stops it."""
        if self._process is not None:
            self._process.stop()

    def reload(self, config_text: str | None = None, rules_text: str | None = None) -> None:
        """Loads its configuration and rules again, or others."""
        self._write(config_text, rules_text)
        answer = request("POST", f"{self.url}/-/reload")
        assert answer.status == 200, f"Prometheus refused the configuration: {answer.text}"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query: each has `metric` and `value`."""
        answer = request("GET", f"{self.url}/api/v1/query?query={quote(expression)}")
        assert answer.status == 200, f"Prometheus refused {expression}: {answer.text}"
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that its rules hold pending or firing."""
        found: list[dict[str, Any]] = request("GET", f"{self.url}/api/v1/alerts").json()["data"][
            "alerts"
        ]
        return found

    def _write(self, config_text: str | None, rules_text: str | None) -> None:
        if config_text is not None:
            (self.folder / "prometheus.yml").write_text(config_text)
        if rules_text is not None:
            (self.folder / RULES_FILE).write_text(rules_text)

    def _make(self) -> Process:
        self._port = free_port()
        return Process(
            "prometheus",
            [
                find("prometheus"),
                f"--config.file={self.folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self._port}",
                "--web.enable-lifecycle",
                "--rules.alert.resend-delay=1s",
                "--log.level=warn",
            ],
            log=self.folder / "prometheus.log",
            ready=lambda: answers(f"{self.url}/-/ready"),
        )
