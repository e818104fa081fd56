"""A story ends the same with the simulated API server and with a real one.

The same file, played twice: what it expects holds in both, and so do the run's states, plans,
verdicts and messages, word for word.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from remediator.rehearsal import files, report
from remediator.rehearsal.play import Played, Theatre, play
from remediator.rehearsal.story import Part
from tests.rehearsal.real import theatre
from tests.rehearsal.stage import REGISTRY
from tests.servers.kubernetes import ControlPlane

NAMESPACE = "NAMESPACE"

WORLD = """\
start: NOW
world:
  kubernetes:
    - apiVersion: apps/v1
      kind: Deployment
      metadata: {name: api, namespace: NAMESPACE}
      spec:
        replicas: 3
        progressDeadlineSeconds: 5
        selector: {matchLabels: {app: api}}
        template:
          metadata: {labels: {app: api}}
          spec: {containers: [{name: app, image: "app:good"}]}
    - apiVersion: apps/v1
      kind: StatefulSet
      metadata: {name: db, namespace: NAMESPACE}
      spec:
        replicas: 2
        serviceName: db
        selector: {matchLabels: {app: db}}
        template:
          metadata: {labels: {app: db}}
          spec: {containers: [{name: app, image: "app:good"}]}
"""
RUNBOOK = """\
name: story
description: One step, and a look at whether it helped.
match: ['alertname="Wrong"']
mode: MODE
steps:
  - STEP
verify: {resolved_within: 5m}
"""
RESOLVED = "      - {at: 30m, resolved: {alertname: Wrong}}\n"

SCALE = (
    "{id: scale, action: kubernetes.scale,"
    " with: {namespace: NAMESPACE, deployment: api, by: +50%, max: 20}}"
)
RESTART = (
    "{id: restart, action: kubernetes.rollout_restart,"
    " with: {namespace: NAMESPACE, deployment: api}}"
)
UNDO = "{id: undo, action: kubernetes.rollout_undo, with: {namespace: NAMESPACE, deployment: api}}"
DELETE = "{id: replace, action: kubernetes.delete_pod, with: {namespace: NAMESPACE, pod: db-0}}"

STORIES = {
    "scaled-out-with-approval": (
        SCALE,
        "approve",
        """
tests:
  - name: scaled out
    timeline:
      - {at: 0s, firing: {alertname: Wrong}}
      - {at: 1m, approve: {by: alice}}
      - {at: 4m, resolved: {alertname: Wrong}}
    expect:
      - at: 30s
        runs: [{state: awaiting_approval, plans: ["deployment NAMESPACE/api: replicas 3 → 5"]}]
        kubernetes: [{kind: Deployment, metadata: {name: api}, spec: {replicas: 3}}]
      - at: 5m
        runs: [{state: succeeded, reason: verified}]
        kubernetes:
          - kind: Deployment
            metadata: {name: api}
            spec: {replicas: 5}
            status: {readyReplicas: 5}
""",
    ),
    "taken-back-when-it-did-not-help": (
        SCALE,
        "auto",
        """
tests:
  - name: scaled out and back
    timeline: [{at: 0s, firing: {alertname: Wrong}}]
    expect:
      - at: 10m
        runs: [{state: rolled_back, steps: {scale: undone}}]
        kubernetes: [{kind: Deployment, metadata: {name: api}, spec: {replicas: 3}}]
""",
    ),
    "restarted": (
        RESTART,
        "auto",
        """
tests:
  - name: restarted
    timeline:
      - {at: 0s, firing: {alertname: Wrong}}
      - {at: 4m, resolved: {alertname: Wrong}}
    expect:
      - at: 5m
        runs: [{state: succeeded}]
        kubernetes:
          - kind: Deployment
            metadata: {name: api}
            status: {readyReplicas: 3, updatedReplicas: 3, observedGeneration: 2}
""",
    ),
    "one-pod-replaced": (
        DELETE,
        "auto",
        """
tests:
  - name: replaced
    timeline:
      - {at: 0s, firing: {alertname: Wrong}}
      - {at: 4m, resolved: {alertname: Wrong}}
    expect:
      - at: 5m
        runs: [{state: succeeded, steps: {replace: done}}]
        kubernetes: [{kind: StatefulSet, metadata: {name: db}, status: {readyReplicas: 2}}]
""",
    ),
    "a-bad-release-rolled-back": (
        UNDO,
        "auto",
        """
tests:
  - name: rolled back
    timeline:
      - {at: 0s, world: {kubernetes: [{
          apiVersion: apps/v1, kind: Deployment, metadata: {name: api, namespace: NAMESPACE},
          spec: {replicas: 3, progressDeadlineSeconds: 5, selector: {matchLabels: {app: api}},
            template: {
              metadata:
                {labels: {app: api}, annotations: {remediator.dev/simulated: image-missing}},
              spec: {containers: [{name: app, image: "app:bad"}]}}}}]}}
      - {at: 10s, firing: {alertname: Wrong}}
      - {at: 4m, resolved: {alertname: Wrong}}
    expect:
      - at: 5m
        runs: [{state: succeeded}]
        kubernetes:
          - kind: Deployment
            metadata: {name: api}
            spec: {template: {spec: {containers: [{image: "app:good"}]}}}
            status: {readyReplicas: 3, updatedReplicas: 3}
""",
    ),
    "a-paused-deployment-is-refused": (
        RESTART,
        "auto",
        """
tests:
  - name: paused
    timeline:
      - {at: 0s, world: {kubernetes: [{
          apiVersion: apps/v1, kind: Deployment, metadata: {name: api, namespace: NAMESPACE},
          spec: {paused: true, replicas: 3, progressDeadlineSeconds: 5,
            selector: {matchLabels: {app: api}},
            template: {metadata: {labels: {app: api}},
              spec: {containers: [{name: app, image: "app:good"}]}}}}]}}
      - {at: 5s, firing: {alertname: Wrong}}
    expect:
      - {at: 1m, runs: [{state: failed, reason: plan_failed}]}
""",
    ),
    "what-is-not-there": (
        RESTART.replace("deployment: api", "deployment: apj"),
        "auto",
        """
tests:
  - name: not there
    timeline: [{at: 5s, firing: {alertname: Wrong}}]
    expect:
      - {at: 1m, runs: [{state: failed, reason: plan_failed, message: "did you mean api"}]}
""",
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_the_same(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, name: str
) -> None:
    real = played(tmp_path / "real", name, namespace, theatre(control_plane, namespace))
    simulated = played(tmp_path / "simulated", name, namespace, None)
    assert told(simulated) == told(real)


def played(folder: Path, name: str, namespace: str, where: Theatre | None) -> Played:
    """Play a story, which must pass."""
    step, mode, tests = STORIES[name]
    folder.mkdir()
    runbook = RUNBOOK.replace("STEP", step).replace("MODE", mode)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for file, text in (("story.yaml", runbook), ("story.test.yaml", WORLD + tests)):
        (folder / file).write_text(text.replace(NAMESPACE, namespace).replace("NOW", now))
    rehearsal = files.load(folder / "story.test.yaml", REGISTRY)
    (case,) = rehearsal.cases
    found = play(rehearsal, case, REGISTRY, *([where] if where else []))
    assert found.passed, "\n".join(line.text for line in report.of_test(found))
    return found


def told(found: Played) -> list[str]:
    """What runs did and what people were told, without the times of the controllers, and the
    hashes of pod templates, which are Kubernetes' own affair."""
    parts = (Part.RUN, Part.TOLD)
    lines = [chapter.text for chapter in found.story if chapter.part in parts]
    return [re.sub(r"\b\d+(\.\d+)?s\b|(?<=template )\w{8,10}", "…", line) for line in lines]
