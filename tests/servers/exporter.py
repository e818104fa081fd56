"""A metrics endpoint whose values a test sets, for Prometheus to scrape."""

from .endpoint import Endpoint, QuietHandler


class Exporter(Endpoint):
    """Serves every series that was set; `address` is the scrape target."""

    def __init__(self) -> None:
        self._samples: dict[str, float] = {}
        exporter = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802 - the base calls it so
                lines = (f"{series} {value}\n" for series, value in exporter._samples.items())
                self.answer(200, "".join(lines).encode(), "text/plain; version=0.0.4")

        super().__init__(Handler)

    def set(self, series: str, value: float) -> None:
        """Sets a series, written as in PromQL: `latency_seconds{app="api"}`."""
        self._samples = {**self._samples, series: value}

    def remove(self, series: str) -> None:
        """The series is not exposed any more, so it goes stale."""
        self._samples = {name: value for name, value in self._samples.items() if name != series}
