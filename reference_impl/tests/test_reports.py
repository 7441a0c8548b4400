"""Reports: created and updated by their id, listed, exported as documents that open (RPT-1, RPT-2)."""

from __future__ import annotations

import os
import shutil
import subprocess
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt

from reference_impl.documents.markdown import markdown
from reference_impl.documents.pdf import pdf
from reference_impl.domain.output import Report
from reference_impl.domain.vocabulary import ReportStatus
from reference_impl.tests.putting_out import an_id, command, report

if TYPE_CHECKING:
    from pathlib import Path

    from reference_impl.tests.harness import Json, Socket, World

NASTY = [
    "<b>bold</b> & <img src=x onerror=alert(1)>",
    "</para><br/>&amp;&#65;",
    "🚀 日本語 한국어 العربية ÄÖ ∀",
    "NUL\x00 ESC\x1b[31m",
    "# no heading\n- no item\n1. no number\n    no code\n```\n> no quote\n---",
    "*no* _emphasis_ `code` [link](http://x) | ~~table~~",
    "\r\n\r\n",
    "word" * 5_000,
]


async def say(agent: Socket, payload: Json) -> Json:
    """Say a report; its answer."""
    await agent.say("INVESTIGATION_REPORT", payload)
    while (answer := await agent.hear())["type"] not in {"ACK", "ERROR"}:
        pass
    return dict(answer["payload"])


async def test_created_then_updated(world: World) -> None:
    """The first message makes the report, later ones change it; completedAt is there once it is COMPLETE."""
    agent = await world.agent("a1")
    run = await command(world, "a1")
    one = an_id()
    assert (await say(agent, report("a1", run, one)))["success"] is True
    status, first = await world.rest("GET", f"/reports/{one}")
    assert (status, first["data"]["status"], first["data"]["completedAt"]) == (200, "DRAFT", None)
    assert first["data"] == {
        **first["data"],
        "id": one,
        "commandId": run,
        "agentId": "a1",
        "title": "A report",
        "summary": "In short.",
        "content": report("a1", run, one)["content"],
    }
    await say(agent, report("a1", run, one, status="COMPLETE", title="Done\x00"))
    complete = (await world.rest("GET", f"/reports/{one}"))[1]["data"]
    assert complete["title"] == "Done\x00"
    assert complete["createdAt"] == first["data"]["createdAt"] <= complete["completedAt"] == complete["updatedAt"]
    await say(agent, report("a1", run, one, status="COMPLETE"))
    assert (await world.rest("GET", f"/reports/{one}"))[1]["data"]["completedAt"] == complete["completedAt"]
    await say(agent, report("a1", run, one, status="IN_PROGRESS"))
    assert (await world.rest("GET", f"/reports/{one}"))[1]["data"]["completedAt"] is None
    assert (await world.rest("GET", "/reports"))[1]["pagination"]["total"] == 1


async def test_whose_report_it_is(world: World) -> None:
    """Another agent's or user's report id is refused and changes nothing; so is a command that is not the agent's."""
    mine, other = await world.agent("a1"), await world.agent("a2")
    foreign = await world.agent("b1", user="bob")
    run, run2 = await command(world, "a1"), await command(world, "a2")
    run3 = await command(world, "b1", user="bob")
    one = an_id()
    await say(mine, report("a1", run, one))
    answers = [
        await say(other, report("a2", run2, one, title="stolen")),
        await say(foreign, report("b1", run3, one, title="stolen")),
        await say(mine, report("a1", run2, an_id())),
        await say(mine, report("a1", an_id(), an_id())),
        await say(mine, report("a1", run3, an_id())),
    ]
    assert [answer["code"] for answer in answers] == [
        "FORBIDDEN",
        "FORBIDDEN",
        "INVALID_STATE",
        "NOT_FOUND",
        "NOT_FOUND",
    ]
    assert (await world.rest("GET", f"/reports/{one}"))[1]["data"]["title"] == "A report"
    assert (await world.rest("GET", "/reports", "bob"))[1]["data"] == []
    assert await world.rest("GET", f"/reports/{one}", "bob") == await world.rest("GET", f"/reports/{an_id()}", "bob")
    assert (await world.rest("GET", f"/reports/{one}/export", "bob"))[0] == 404


async def test_lists(world: World) -> None:
    """Lists are newest first, filtered by agent and status, in pages."""
    ids = []
    for name in ("a1", "a2"):
        agent = await world.agent(name)
        run = await command(world, name)
        for status in ("DRAFT", "COMPLETE"):
            ids.append(an_id())
            await say(agent, report(name, run, ids[-1], status=status))

    async def listed(query: str) -> list[str]:
        status, answer = await world.rest("GET", f"/reports{query}")
        assert status == 200, answer
        return [item["id"] for item in answer["data"]]

    assert await listed("") == ids[::-1]
    assert await listed("?agentId=a1") == [ids[1], ids[0]]
    assert await listed("?status=COMPLETE") == [ids[3], ids[1]]
    assert await listed("?limit=2&offset=1") == [ids[2], ids[1]]
    for wrong in ("?status=complete", "?agentId=%20", "?limit=101"):
        assert (await world.rest("GET", f"/reports{wrong}"))[0] == 400, wrong


async def test_exports(world: World) -> None:
    """Each format comes with its media type; json, the report itself, is what is given when none is asked for."""
    agent = await world.agent("a1")
    run = await command(world, "a1")
    one = an_id()
    await say(agent, report("a1", run, one))
    plain = (await world.rest("GET", f"/reports/{one}"))[1]["data"]
    for query, kind, begins in (
        ("", "application/json", b"{"),
        ("?format=json", "application/json", b"{"),
        ("?format=markdown", "text/markdown", b"# A report\n"),
        ("?format=pdf", "application/pdf", b"%PDF-"),
    ):
        answer = await world.raw("GET", f"/reports/{one}/export{query}")
        assert (answer.status, answer.content_type) == (200, kind)
        assert (await answer.read()).startswith(begins)
        if kind == "application/json":
            assert await answer.json() == plain
    for wrong in ("docx", "PDF", ""):
        assert (await world.rest("GET", f"/reports/{one}/export?format={wrong}"))[0] == 400


@pytest.mark.parametrize(
    "change", [{"title": ""}, {"title": "x" * 201}, {"summary": ""}, {"status": "DONE"}, {"reportId": "1"}]
)
async def test_wrong_payloads(world: World, change: Json) -> None:
    """What breaks the schema is refused, and makes no report."""
    agent = await world.agent("a1")
    run = await command(world, "a1")
    assert (await say(agent, {**report("a1", run, an_id()), **change}))["code"] == "INVALID_MESSAGE"
    assert (await world.rest("GET", "/reports"))[1]["data"] == []


def written(text: str) -> Report:
    content = {
        "sections": [{"title": text, "content": text, "order": 2.0}, {"title": "first", "content": "", "order": -1}],
        "findings": [{"type": "insight", "severity": "low", "description": text, "evidence": [text, text]}],
        "recommendations": [{"priority": text, "action": text, "rationale": text}],
    }
    return Report("r1", "alice", "a1", "c1", text[:200] or "x", text, ReportStatus.COMPLETE, content, 1, 1, 1)


class _Text(HTMLParser):
    """What a reader of a page sees, and which elements it is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.elements = "", set[str]()

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", NASTY)
def test_markdown_holds_no_markup_of_the_agent(text: str) -> None:
    """Rendered, the Markdown of a report shows the agent's text as it was, and only our own headings and lists."""
    page = _Text()
    page.feed(MarkdownIt("commonmark").render(markdown(written(text))))
    assert page.elements <= {"h1", "h2", "h3", "ul", "li", "p", "strong", "br"}
    seen = "".join(page.text.split())
    assert seen.count("".join(text.replace("\x00", "\ufffd").split())) >= 5


@pytest.mark.parametrize("text", NASTY)
def test_pdf_survives_any_text(text: str) -> None:
    """A PDF is made of any text."""
    made = pdf(written(text))
    assert made.startswith(b"%PDF-")
    assert made.rstrip().endswith(b"%%EOF")


def test_pdf_says_it(tmp_path: Path) -> None:
    """Read back by another program, a PDF says what the report says, markup as the text it is and emoji by name."""
    if shutil.which("pdftotext") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("pdftotext (poppler-utils) is not installed")
    path = tmp_path / "report.pdf"
    path.write_bytes(pdf(written("<b>bold</b> &amp; ÄÖ 🚀 end")))
    text = subprocess.run(["pdftotext", str(path), "-"], capture_output=True, check=True).stdout.decode()  # noqa: S603, S607
    assert " ".join(text.split()).count("<b>bold</b> &amp; ÄÖ [ROCKET] end") == 10


def test_pdf_of_a_huge_report_ends() -> None:
    """A report that would take minutes to lay out is cut, and the document says so."""
    made = pdf(written("a\n" * 200_000))
    assert made.startswith(b"%PDF-")
    assert len(made) < 2_000_000
