"""Proves that the channel page shows what people would see, in the real Chromium: every kind of
block, styles, threads, private words, modals, the Home tab; that nothing comes from elsewhere; and
that foreign text stays text. The pictures are left in `var/slack-pages/` to be looked at.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.slack import demo, pictures
from tests.slack.any_app import (
    AnyApp,
    Heard,
    actions,
    asks,
    button,
    home,
    modal,
    mrkdwn,
    plain,
    section,
)
from tests.slack.browser import Browser
from tests.slack.fixtures import CHANNEL
from tests.slack.server import Slack

PICTURES = Path(__file__).parents[2] / "var" / "slack-pages"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with Browser() as browser:
        yield browser


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def workspace() -> AsyncIterator[Slack]:
    """A workspace at a time that stands still, with Anna in it."""
    made = Slack(CHANNEL)
    made.now = lambda: demo.BEGAN
    made.person("U0ANNA", "Anna")
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def app(workspace: Slack) -> AsyncIterator[AnyApp]:
    made = AnyApp(workspace)
    await made.connect()
    yield made
    await made.stop()


async def post(app: AnyApp, *blocks: Any, text: str = "x", **more: Any) -> str:
    answer = await app.web.chat_postMessage(channel=CHANNEL, text=text, blocks=list(blocks), **more)
    return str(answer["ts"])


async def test_a_channel_shows_every_block_and_style(app: AnyApp, chromium: Browser) -> None:
    app.slack.add_group("S0ONCALL", "sre-oncall", ["U0ANNA"])
    await post(
        app,
        {"type": "header", "text": plain(":hand: Approval needed")},
        section("*deployment shop/api*\nScale <https://example.com|out> for <!subteam^S0ONCALL>"),
        {"type": "section", "fields": [mrkdwn("*Impact*\n2 of 4"), mrkdwn("*Way back*\n`6 → 4`")]},
        {"type": "divider"},
        section("```- replicas: 4\n+ replicas: 6```\n> quoted\n• a list", accessory=button("Plan")),
        {"type": "image", "image_url": "https://x/y.png", "alt_text": "p99 latency"},
        {"type": "context", "elements": [mrkdwn("<!date^1795523400^{date_short} {time}|x>")]},
        actions(button("Approve", style="primary"), button("Deny", style="danger"), button("Skip")),
    )
    await chromium.open(f"{app.slack.url}/channel/{CHANNEL}?as=U0ANNA")

    seen = await chromium.text("article")
    for words in (
        "✋ Approval needed",
        "Scale out for @sre-oncall",
        "2 of 4",
        "- replicas: 4\n+ replicas: 6",
        "quoted",
        "• a list",
        "p99 latency",
        "Nov 24, 2026 12:30",
        "Approve",
    ):
        assert words in seen, words
    styles = "[...document.querySelectorAll('.actions .button')].map(b => b.className.trim())"
    assert await chromium.run(styles) == ["button primary", "button danger", "button"]
    assert await chromium.run("getComputedStyle(document.querySelector('strong')).fontWeight")
    picture = await chromium.picture(PICTURES / "blocks.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


async def test_a_thread_stands_beside_the_channel(app: AnyApp, chromium: Browser) -> None:
    ts = await post(app, section("The run"))
    await post(app, text="scaling", thread_ts=ts)
    await post(app, text="look at <!here>", thread_ts=ts, reply_broadcast=True)
    await app.web.chat_update(channel=CHANNEL, ts=ts, text="x", blocks=[section("Done")])
    await chromium.open(f"{app.slack.url}/channel/{CHANNEL}?as=U0ANNA&thread={ts}")

    channel, thread = await chromium.text("main"), await chromium.text("aside")
    assert "(edited)" in channel
    assert "2 replies" in channel
    assert "replied to a thread" in channel
    assert "scaling" in thread
    assert "scaling" not in channel
    assert await chromium.text("nav .ring") == "1"
    await chromium.picture(PICTURES / "thread.png")


async def test_private_words_are_seen_by_one_alone(app: AnyApp, chromium: Browser) -> None:
    await app.web.chat_postEphemeral(channel=CHANNEL, user="U0ANNA", text="_Only_ for you")
    await chromium.open(f"{app.slack.url}/channel/{CHANNEL}?as=U0ANNA")
    hers = await chromium.text("main")
    await chromium.open(f"{app.slack.url}/channel/{CHANNEL}?as=U0BERT")

    assert "Only visible to you" in hers
    assert "Only for you" in hers
    assert "Only for you" not in await chromium.text("main")


async def test_a_modal_lies_over_the_page_and_is_filled_in_and_sent(
    app: AnyApp, chromium: Browser
) -> None:
    reason = {"type": "plain_text_input", "multiline": True, "placeholder": plain("Why not?")}
    hours = {
        "type": "static_select",
        "options": [{"text": plain(f"{n} h"), "value": f"{n}"} for n in (1, 4)],
    }
    view = modal(
        section("*Deny* the plan"),
        asks("Reason", "reason", reason, hint=plain("Everybody can read it.")),
        asks("For", "hours", hours, optional=True),
        title="Deny",
        close=plain("Back"),
    )

    async def ask(heard: Heard) -> None:
        if heard["type"] == "block_actions":
            await app.web.views_open(trigger_id=heard["trigger_id"], view=view)

    app.does = ask
    await post(app, section("May I?"), actions(button("Deny", style="danger")))
    await chromium.open(f"{app.slack.url}/channel/{CHANNEL}?as=U0ANNA")
    await chromium.press(".actions button")
    await chromium.open(f"{app.slack.url}/view/U0ANNA?as=U0ANNA")
    assert "Reason" in await chromium.text(".modal")
    app.answers.append({"response_action": "errors", "errors": {"reason": "Say more."}})
    await chromium.run("document.querySelector('textarea').value = 'no'")
    await chromium.press(".modal .primary")

    assert "Say more." in await chromium.text(".modal")
    assert await chromium.run("document.querySelector('textarea').value") == "no"
    await chromium.picture(PICTURES / "modal.png")
    await chromium.press(".modal .primary")
    values = app.heard[-1]["view"]["state"]["values"]
    assert values["reason"]["given"]["value"] == "no"
    assert values["hours"]["given"]["selected_option"] is None
    assert app.slack.workspace.modals["U0ANNA"] == []


async def test_the_home_tab_shows_what_was_published(app: AnyApp, chromium: Browser) -> None:
    await chromium.open(f"{app.slack.url}/home/U0ANNA?as=U0ANNA")
    assert "very beginning" in await chromium.text("main")
    body = home({"type": "header", "text": plain("Waits for you")}, actions(button("Approve")))
    await app.web.views_publish(user_id="U0ANNA", view=body)
    await chromium.open(f"{app.slack.url}/home/U0ANNA?as=U0ANNA")

    assert "Waits for you" in await chromium.text(".home")
    await chromium.picture(PICTURES / "home.png")


async def test_what_is_typed_goes_to_the_app_or_to_the_channel(
    app: AnyApp, chromium: Browser
) -> None:
    app.answers.append({"text": "2 runs"})
    for text in ("/remediator status", "hello"):
        await chromium.open(f"{app.slack.url}/channel/{CHANNEL}?as=U0ANNA")
        await chromium.run(f"document.querySelector('.composer input').value = {text!r}")
        await chromium.submit(".composer")

    seen = await chromium.text("main")
    assert "2 runs" in seen
    assert "hello" in seen
    assert app.heard[-1]["command"] == "/remediator"


async def test_foreign_text_stays_text_and_nothing_comes_from_elsewhere(
    app: AnyApp, chromium: Browser
) -> None:
    evil = "&lt;img src=x onerror=alert(1)&gt; &lt;script&gt;alert(2)&lt;/script&gt;"
    await post(
        app,
        section(evil),
        {"type": "header", "text": plain("<script>document.title='owned'</script>")},
        actions(button("<b>bold</b>", action_id='"><script>')),
        text=evil,
    )
    await chromium.open(f"{app.slack.url}/channel/{CHANNEL}?as=U0ANNA")

    seen = await chromium.text("article")
    assert "<script>alert(2)</script>" in seen
    assert "<b>bold</b>" in seen
    assert await chromium.run("document.querySelectorAll('script, img, b').length") == 0
    assert await chromium.run("document.title") == "Slack on loopback"
    loaded = await chromium.run("performance.getEntriesByType('resource').map(r => r.name)")
    assert loaded == [f"{app.slack.url}/page.css"]


async def test_the_demo_shows_everything_that_the_app_says(chromium: Browser) -> None:
    made = demo.Demo()
    made.runs()
    made.storm()
    made.home()
    await made.slack.start()
    try:
        await chromium.open(f"{made.slack.url}/channel/{CHANNEL}?as=U0ANNA")
        seen = await chromium.text("main")
        await chromium.picture(PICTURES / "runs.png")
        await chromium.open(f"{made.slack.url}/home/U0ANNA?as=U0ANNA")
        assert "api-latency-scale-out" in await chromium.text(".home")
        for name in demo.MODALS:
            made.modal(name)
            await chromium.open(f"{made.slack.url}/view/U0ANNA?as=U0ANNA")
            assert demo.MODALS[name]["title"]["text"] in await chromium.text(".modal")
    finally:
        await made.slack.stop()

    for words in ("Approval needed: api-latency-scale-out", "Succeeded: api", "Denied", "@Anna"):
        assert words in seen, words
    assert "62 runs" in seen


async def test_the_documents_picture_is_taken_anew_by_one_command(tmp_path: Path) -> None:
    picture = await pictures.document(tmp_path)

    assert picture.name == "slack-run.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert 20_000 < picture.stat().st_size < 100_000


async def test_a_page_that_is_not_there_is_404(workspace: Slack) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/channel/C0", "/view/U0ANNA"):
            async with session.get(f"{workspace.url}{path}") as response:
                assert response.status == 404, path
