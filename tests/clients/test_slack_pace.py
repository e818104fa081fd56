"""Proves the pace that Slack's limits ask for: by method, for posts by channel; and patience."""

import itertools

from remediator.clients.slack.pace import Pace


class Time:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_posts_go_once_a_second_in_each_channel() -> None:
    time = Time()
    pace = Pace(time)
    assert [pace.wait_s("chat.postMessage", "C1") for _ in range(2)] == [0, 0]
    assert pace.wait_s("chat.postMessage", "C1") == 1
    assert pace.wait_s("chat.postMessage", "C2") == 0, "another channel has its own"
    time.now_s += 1
    assert pace.wait_s("chat.postMessage", "C1") == 0
    assert pace.wait_s("chat.postMessage", "C1") > 0


def test_other_methods_have_one_bucket_for_the_workspace() -> None:
    time = Time()
    pace = Pace(time)
    taken = itertools.takewhile(
        lambda channel: pace.wait_s("chat.update", channel) == 0, (f"C{n}" for n in range(100))
    )
    assert len(list(taken)) == 25
    assert pace.wait_s("chat.update", "C200") > 0
    assert pace.wait_s("views.open", "") == 0


def test_no_more_go_in_a_minute_than_slack_takes() -> None:
    time = Time()
    pace = Pace(time)
    gone = 0
    for _ in range(6000):
        gone += pace.wait_s("chat.update", "C1") == 0
        time.now_s += 0.01
    assert 70 <= gone <= 75


def test_retry_after_holds_its_method_and_channel_alone() -> None:
    time = Time()
    pace = Pace(time)
    pace.close("chat.postMessage", "C1", 30)
    pace.close("chat.postMessage", "C1", 10)
    assert pace.wait_s("chat.postMessage", "C1") == 30
    assert pace.wait_s("chat.postMessage", "C2") == 0
    assert pace.wait_s("chat.update", "C1") == 0
    pace.close("unknown.method", "", 5)
    assert pace.wait_s("unknown.method", "") == 5
    time.now_s += 30
    assert pace.wait_s("chat.postMessage", "C1") == 0
    assert pace.wait_s("unknown.method", "") == 0
