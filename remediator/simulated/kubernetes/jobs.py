"""The controller of Jobs: pods until enough have succeeded, or too many have failed."""

from remediator.clients.kubernetes.resources import JOBS, PODS, Object
from remediator.simulated.kubernetes.control_plane import ControlPlane, stamp
from remediator.simulated.kubernetes.pods import FINAL, ready_since
from remediator.simulated.kubernetes.replica_sets import pod_of
from remediator.simulated.kubernetes.store import going

# Before a pod is made in the place of one that failed; it doubles with each.
_BACKOFF_S = 10.0
_LONGEST_BACKOFF_S = 600.0


class Jobs:
    """The controller of Jobs."""

    def __init__(self) -> None:
        self._counted: dict[str, set[str]] = {}
        self._resting: set[str] = set()

    def look(self, plane: ControlPlane, obj: Object) -> None:
        """Bring a Job one step further."""
        before, spec = obj.get("status") or {}, obj["spec"]
        done = any(
            c.get("type") in ("Complete", "Failed") and c.get("status") == "True"
            for c in before.get("conditions") or []
        )
        if going(obj) or done:
            return
        uid = obj["metadata"]["uid"]
        pods = plane.store.owned(uid, PODS)
        counted = self._counted.setdefault(uid, set())
        succeeded, failed = int(before.get("succeeded") or 0), int(before.get("failed") or 0)
        for pod in pods:
            phase = (pod.get("status") or {}).get("phase")
            if pod["metadata"]["uid"] in counted or not (phase in FINAL or going(pod)):
                continue
            counted.add(pod["metadata"]["uid"])
            succeeded += phase == "Succeeded"
            failed += phase != "Succeeded"
        running = [p for p in pods if p["metadata"]["uid"] not in counted]
        completions = spec.get("completions")
        status: Object = {
            **({"conditions": before["conditions"]} if before.get("conditions") else {}),
            "startTime": before.get("startTime") or stamp(plane.now),
            "terminating": sum(map(going, pods)),
            "uncountedTerminatedPods": {},
            "ready": sum(ready_since(pod) is not None for pod in running),
        }
        if failed > int(spec.get("backoffLimit", 6)):
            said = "Job has reached the specified backoff limit"
            status["conditions"] = _ended(
                plane, "FailureTarget", "Failed", "BackoffLimitExceeded", said
            )
            for pod in running:
                plane.delete(PODS, pod)
            running = []
        elif completions is not None and succeeded >= int(completions):
            said = "Reached expected number of succeeded pods"
            status["conditions"] = _ended(
                plane, "SuccessCriteriaMet", "Complete", "CompletionsReached", said
            )
            status["completionTime"] = stamp(plane.now)
        elif not spec.get("suspend"):
            running += self._start(plane, obj, len(running), succeeded, failed)
        counts = {"active": len(running), "succeeded": succeeded, "failed": failed}
        status |= {key: count for key, count in counts.items() if count}
        plane.set_status(JOBS, obj, status)

    def _start(
        self, plane: ControlPlane, obj: Object, running: int, succeeded: int, failed: int
    ) -> list[Object]:
        spec, uid = obj["spec"], obj["metadata"]["uid"]
        wanted = int(spec.get("parallelism", 1))
        if spec.get("completions") is not None:
            wanted = min(wanted, int(spec["completions"]) - succeeded)
        missing = wanted - running
        if missing <= 0 or uid in self._resting:
            return []
        already = int((obj.get("status") or {}).get("failed") or 0)
        if failed > already:
            self._resting.add(uid)
            wait = min(_LONGEST_BACKOFF_S, _BACKOFF_S * 2 ** (failed - 1))
            namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]

            def on() -> None:
                self._resting.discard(uid)
                plane.look_at(JOBS, (namespace, name))

            plane.after(wait, on)
            return []
        return [plane.create(PODS, pod_of(obj, JOBS)) for _ in range(missing)]


def _ended(
    plane: ControlPlane, criteria: str, kind: str, reason: str, message: str
) -> list[Object]:
    now = stamp(plane.now)
    return [
        {
            "type": one,
            "status": "True",
            "lastProbeTime": now,
            "lastTransitionTime": now,
            "reason": reason,
            "message": message,
        }
        for one in (criteria, kind)
    ]
