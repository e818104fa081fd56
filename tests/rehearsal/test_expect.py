"""What fits an expectation, and how what does not is shown."""

from datetime import UTC, datetime
from typing import Any

import pytest

from remediator.model.reasons import Reason
from remediator.model.runs import RunState, StepState
from remediator.rehearsal import expect
from remediator.rehearsal.schema import Expectation
from remediator.rehearsal.seen import Seen, SeenRun, SeenStep, Told

AT = datetime(2026, 1, 5, tzinfo=UTC)
STEP = SeenStep("go", "exec", StepState.DONE, "went well", {"code": 0, "more": [1, 2]}, "", False)
RUN = SeenRun(
    id="1",
    runbook="shop",
    version="v",
    state=RunState.FAILED,
    reason=Reason.NOT_VERIFIED,
    message="it did not help",
    target="pod shop/web-1",
    plans=("pod shop/web-1: deleted",),
    verdicts=("hold: mode: the mode is approve",),
    steps=(STEP,),
    labels={},
    outputs={"count": 3},
)
POD = {
    "kind": "Pod",
    "metadata": {"name": "web-1", "namespace": "shop", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "web:1"}]},
    "status": {"ready": 2},
}
SEEN = Seen(
    runs=(RUN,),
    messages=(Told(AT, 1, "people", "shop: asks"), Told(AT, 2, "people", "shop: failed")),
    objects=(POD,),
    started=(("/bin/a", "1"), ("/bin/b",), ("/bin/c",)),
    requests=("GET http://a.b/x", "GET http://a.b/y?q=1"),
    silences=('alertname="A"',),
)


def differences(**expected: Any) -> list[str]:
    found = expect.differences(Expectation.model_validate({"at": "1m", **expected}), SEEN)
    return [
        f"{one.what}{'; ' + one.note if one.note else ''}"
        + "".join(f" [{line.side}{line.text}]" for line in one.lines)
        for one in found
    ]


@pytest.mark.parametrize(
    "expected",
    [
        {},
        {"runs": [{}]},
        {"runs": [{"runbook": "shop", "state": "failed", "reason": "not_verified"}]},
        {"runs": [{"message": "not help", "target": "/^pod .*web-1$/"}]},
        {"runs": [{"plans": ["web-1: deleted"], "verdicts": ["hold: mode"]}]},
        {"runs": [{"steps": {"go": "done"}, "outputs": {"count": 3.0}}]},
        {"runs": [{"steps": {"go": {"message": "well", "output": {"more": [1, 2]}}}}]},
        {"messages": ["asks", "/failed$/"]},
        {"kubernetes": [{"kind": "pod", "metadata": {"name": "web-1"}}]},
        {"kubernetes": [{"kind": "Pod", "metadata": {"name": "web-1", "labels": {"app": "web"}}}]},
        {"kubernetes": [{**POD, "spec": {"containers": [{"image": "web:1"}]}, "gone": None}]},
        {"absent": ["pod/shop/web-2", "pod/other/web-1", "deployment/shop/web-1"]},
        {"exec": [["/bin/a", "*"], ["c"]]},
        {"http": ["GET http://a.b/*", "GET http://a.b/y?q=1"]},
        {"silences": ["alertname"]},
    ],
)
def test_what_fits(expected: dict[str, Any]) -> None:
    assert differences(**expected) == []


@pytest.mark.parametrize(
    ("expected", "shown"),
    [
        (
            {"runs": [{"state": "succeeded"}]},
            "runs[0].state; it did not help [-succeeded] [+failed]",
        ),
        (
            {"runs": []},
            "runs; no runs expected, and there is 1 [+shop failed (not_verified): it did not help]",
        ),
        (
            {"runs": [{}, {"runbook": "other", "state": "failed"}]},
            "runs; 2 runs expected, and there is 1"
            " [ shop failed (not_verified): it did not help] [-other failed]",
        ),
        ({"runs": [{"plans": []}]}, "runs[0].plans [+pod shop/web-1: deleted]"),
        (
            {"runs": [{"steps": {"stop": "done"}}]},
            "runs[0].steps.stop; the run never came to it [-done] [+nothing]",
        ),
        (
            {"runs": [{"steps": {"go": "failed"}}]},
            "runs[0].steps.go.state; went well [-failed] [+done]",
        ),
        (
            {"runs": [{"steps": {"go": {"output": {"code": 1}}}}]},
            "runs[0].steps.go.output.code [-1] [+0]",
        ),
        ({"runs": [{"outputs": {"more": 1}}]}, "runs[0].outputs.more [-1] [+nothing]"),
        (
            {"messages": ["asks", "helped", "failed"]},
            "messages [ shop: asks] [-helped] [ shop: failed]",
        ),
        ({"messages": ["failed", "asks"]}, "messages [-failed] [ shop: asks] [+shop: failed]"),
        (
            {"kubernetes": [{"kind": "Pod", "metadata": {"name": "web-2", "namespace": "shop"}}]},
            'kubernetes[0]; did you mean "pod/shop/web-1"? [-pod/shop/web-2] [+no such object]',
        ),
        (
            {"kubernetes": [{"kind": "Job", "metadata": {"name": "x"}}]},
            "kubernetes[0]; there are pod/shop/web-1 [-job/x] [+no such object]",
        ),
        (
            {"kubernetes": [{**POD, "status": {"ready": True}}]},
            "kubernetes[0].status.ready [-true] [+2]",
        ),
        (
            {"kubernetes": [{**POD, "spec": {"containers": []}}]},
            'kubernetes[0].spec.containers [-[]] [+[{"image":"web:1","name":"web"}]]',
        ),
        (
            {"absent": ["pod/shop/web-1"]},
            "absent[0] [-no pod/shop/web-1] [+pod/shop/web-1 is there]",
        ),
        ({"exec": []}, "exec; none was expected [+/bin/a 1] [+/bin/b] [+/bin/c]"),
        (
            {"exec": [["/bin/c"], ["/bin/a", "1"]]},
            "exec; all of them came, in another order [-/bin/c] [ /bin/a 1] [+/bin/b] [+/bin/c]",
        ),
        ({"http": ["POST http://a.b/x"]}, "http [-POST http://a.b/x] [+GET http://a.b/x]"),
        ({"silences": []}, 'silences [+alertname="A"]'),
    ],
)
def test_what_does_not_is_shown(expected: dict[str, Any], shown: str) -> None:
    (found,) = differences(**expected)
    assert found.startswith(shown)
