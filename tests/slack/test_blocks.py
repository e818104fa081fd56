"""Proves that a run renders to the blocks that were reviewed (`golden/`), that no run whatever it
holds goes over Slack's limits, and that text from alerts can't forge a mention, a link or a line.
"""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediator.model.plans import Change, Plan
from remediator.model.runs import RunState, StepState
from remediator.model.verdicts import Ruling, Verdict
from remediator.model.views import RunView
from remediator.notify.slack import blocks, text
from tests.notify.views import RUN_ID, approval, decision, note, plan, step, view
from tests.slack import blockkit, golden
from tests.slack.workspace import Message

HOSTILE = "<!channel> <@U0ANNA> <!here|x> <http://evil|click> & `code` *b*\n> forged\u202e\x00"
WIDE = "<&>" * 3000 + "👩‍🚒" * 900


def posted(message: blocks.Message) -> Message:
    """Return the message as Slack would have it; fails where Slack would refuse it."""
    as_json = [dict(block) for block in message.blocks]
    assert blockkit.faults(as_json) == []
    assert not blockkit.too_long(as_json)
    assert 0 < blockkit.size(message.text) <= 4000
    return Message("C01", "1.1", "U0", message.text, as_json)


@pytest.mark.parametrize("name", golden.RUNS)
def test_a_run_looks_as_it_was_reviewed(name: str) -> None:
    kept = (golden.FOLDER / f"{name}.json").read_text(encoding="utf-8")

    assert golden.rendered(name) == kept
    posted(blocks.run(golden.RUNS[name]))


def test_an_escalated_run_looks_as_it_was_reviewed() -> None:
    kept = (golden.FOLDER / "escalated.json").read_text(encoding="utf-8")

    assert golden.rendered_escalation() == kept


@pytest.mark.parametrize("state", RunState)
def test_every_state_has_its_own_word(state: RunState) -> None:
    message = posted(blocks.run(view(state)))
    others = [posted(blocks.run(view(s))) for s in RunState if s is not state]

    assert message.text.split(":")[0] not in {other.text.split(":")[0] for other in others}


@pytest.mark.parametrize("state", StepState)
def test_every_state_of_a_step_renders(state: StepState) -> None:
    shown = posted(blocks.run(view(steps=(step(state=state, message="so far"),))))

    assert f"{state.value}:_ so far" in shown.words


def hostile(words: str) -> RunView:
    """Return a run in which everything that others write is these words."""
    bad = plan(
        target=replace(plan().target, name=words),
        changes=(Change(words, words, words), Change("x", {words: [words]}, None)),
        impact=replace(plan().impact, note=words),
        summary=words,
        way_back=None,
        no_way_back=words,
    )
    return view(
        labels={"alertname": words, words: words, **{f"l{n}": words for n in range(30)}},
        steps=(step(plan=bad, message=words, step_id=words, action=words),),
        verdicts=tuple(Verdict(words, ruling, words, words) for ruling in Ruling) * 3,
        approval=approval(approvers=(words,) * 30, asked_because=words),
        decisions=tuple(replace(decision(words), reason=words) for _ in range(20)),
        description=words,
        owner=words,
        links={words: "https://x.example/?a=1|2&b=<3>", "bad": f"https://x.example/{words}"},
        run={"runbook": words, "target": words, "message": words},
    )


def test_alert_text_rings_nobody_and_leads_nowhere() -> None:
    shown = posted(blocks.run(hostile(HOSTILE), note(text=HOSTILE)))

    assert shown.mentions == []
    assert {one.replace("&amp;", "&") for one in shown.links} == {
        "http://prometheus.example/graph?g0.expr=up&g0.tab=1",
        "https://x.example/?a=1%7C2&b=%3C3%3E",
    }
    assert "<!channel>" in shown.words  # shown as it is written
    assert "\u202e" not in shown.raw
    assert "\x00" not in shown.raw
    assert "\n> forged" not in shown.words


def test_a_thread_line_rings_nobody_either() -> None:
    shown = posted(blocks.note(note(text=HOSTILE), hostile(HOSTILE), late=False))

    assert (shown.mentions, shown.links) == ([], [])
    assert "\n" not in shown.raw


def test_links_that_are_not_for_a_browser_are_left_out() -> None:
    bad = [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://",
        "http://[",
        "https://a/\n<!here>",
    ]
    shown = posted(blocks.run(view(links={f"l{n}": url for n, url in enumerate(bad)})))

    assert shown.links == ["http://prometheus.example/graph?g0.expr=up&amp;g0.tab=1"]


def test_approvers_are_mentioned_and_others_shown_as_code() -> None:
    shown = posted(
        blocks.run(view(approval=approval(approvers=("slack:U0ANNA", "api:x", "slack:u0 <!here>"))))
    )

    assert shown.mentions == ["@U0ANNA"]
    assert "`api:x`, `slack:u0 <!here>`" in shown.words


def test_a_huge_plan_is_cut_with_a_count_and_says_where_to_read_it() -> None:
    changes = tuple(Change(f"spec.field{n}", "a" * 300, "b" * 300) for n in range(400))
    shown = posted(
        blocks.run(view(steps=tuple(step(n, plan=plan(changes=changes)) for n in range(60))))
    )

    assert "more changes" in shown.words
    assert "more steps" in shown.words
    assert "Read it before you decide: Show plan, or " in shown.words
    assert f"`remediator runs show {RUN_ID}`" in shown.words
    assert [b["text"]["text"] for b in shown.buttons] == [
        "Approve",
        "Deny",
        "Show plan",
        "Snooze",
        "Cancel",
    ]


@pytest.mark.parametrize("hidden", [plan(), None])
def test_a_step_that_is_left_out_counts_as_cut_only_if_it_changes_something(
    hidden: Plan | None,
) -> None:
    steps = tuple(step(n, plan=plan() if n < 5 else hidden) for n in range(60))
    shown = posted(blocks.run(view(steps=steps)))

    assert "more steps" in shown.words
    assert ("Read it before you decide" in shown.words) is (hidden is not None)


def test_one_long_value_is_cut_with_a_count() -> None:
    changes = (Change("spec.args", "old", "x" * 10_000), Change("spec.replicas", 4, 6))
    shown = posted(blocks.run(view(steps=(step(plan=plan(changes=changes)),))))

    assert "… (+" in shown.words
    assert "deployment shop/api: spec.replicas: 4 → 6" in shown.words
    assert "Read it before you decide" in shown.words


def test_a_plan_that_fits_is_shown_whole_and_not_called_cut() -> None:
    changes = tuple(Change(f"spec.field{n}", n, n + 1) for n in range(20))
    shown = posted(
        blocks.run(view(steps=tuple(step(n, plan=plan(changes=changes)) for n in range(3))))
    )

    assert all(shown.words.count(f"spec.field{n}: {n} → {n + 1}") == 3 for n in range(20))
    assert "Read it before you decide" not in shown.words


def test_more_labels_than_fit_are_counted_and_the_important_ones_come_first() -> None:
    labels = {f"a{n}": "x" for n in range(20)} | {"severity": "critical", "alertname": "Down"}
    shown = posted(blocks.run(view(labels=labels)))

    assert "*alertname* `Down` · *severity* `critical` · *a0* `x` · " in shown.words
    assert "*a14* `x` · … and 13 more labels" in shown.words


def test_everything_huge_at_once_keeps_the_limits() -> None:
    run = hostile(WIDE)
    links = {f"link {n}": "https://x.example/" + "&" * 400 for n in range(20)}
    many = replace(run, steps=run.steps * 80, links=links)

    shown = posted(blocks.run(many, note(text=WIDE)))
    assert "*No way back:*" in shown.words  # the first plan is always there
    posted(blocks.note(note(text=WIDE), view(), late=True))


_WORDS = st.text(max_size=120) | st.sampled_from([HOSTILE, WIDE, "", "\ud800", "```", "`"])


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    words=_WORDS,
    state=st.sampled_from(RunState),
    steps=st.integers(0, 60),
    labels=st.dictionaries(_WORDS, _WORDS, max_size=15),
    changes=st.lists(st.builds(Change, _WORDS, _WORDS, _WORDS), max_size=8),
)
def test_no_run_goes_over_slacks_limits(
    words: str, state: RunState, steps: int, labels: Mapping[str, str], changes: list[Change]
) -> None:
    base = hostile(words)
    shown = posted(
        blocks.run(
            replace(
                base,
                run=replace(view(state).run, message=words, runbook=words),
                incident=replace(base.incident, labels=labels) if base.incident else None,
                steps=tuple(step(n, plan=plan(changes=tuple(changes))) for n in range(steps)),
            )
        )
    )
    assert shown.mentions == []


@given(_WORDS, st.integers(60, 300))
def test_a_cut_keeps_its_limit_and_loses_no_count(words: str, limit: int) -> None:
    shown = text.cut(words, limit)

    assert text.size(shown) <= limit
    if len(text.line(words)) > limit:
        assert shown.endswith("characters)")
    assert not any(c in shown for c in "<>\n")


def test_a_foreign_star_or_backtick_in_bold_text_is_shown_and_styles_nothing() -> None:
    assert text.bold("command a*b `c`", 80) == "*command a∗b ˋcˋ*"
