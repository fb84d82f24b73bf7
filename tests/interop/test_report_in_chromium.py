"""The HTML report in a browser: it opens from disk, shows its rows, and asks for nothing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from lxml import html

from rcs_sim.scenario.report import html_report
from rcs_sim.scenario.story.run_document import RunDocument
from tests.rcs_sim.scenario.story.stories import played
from tests.support.peers import require

pytestmark = pytest.mark.interop

TEXT = "<script>document.title = 'taken'</script><img src=x>"
_STEPS = (
    f"- alice: {{send: {{to: bob, text: {json.dumps(TEXT)}, as: m1}}}}\n- expect: {{m1: {{delivered_within_s: 5}}}}"
)


def _page(folder: Path) -> Path:
    run = played(folder, _STEPS)
    document = RunDocument(verdict="pass", passed=1, failed=0, broken=0, wall_s=1, runs=[run.row])
    page = folder / "report.html"
    page.write_text("".join(html_report(document, lambda index: run.records)), encoding="utf-8")
    return page


def test_it_opens_from_disk_and_shows_its_rows(tmp_path: Path) -> None:
    tree, asked = _opened(_page(tmp_path))
    assert [_texts(row)[2] for row in _found(tree, "summary")] == ["✓ pass"]
    assert [_texts(row)[2] for row in _found(tree, "messages")] == [TEXT]
    assert len(_found(tree, "steps")) == 2
    assert len(tree.xpath("//*[local-name()='svg']")) == 2
    assert tree.findtext(".//title") == "rcs-sim: pass"
    assert not tree.xpath("//script | //img")
    assert not asked


def test_a_page_that_asks_for_something_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "curious.html"
    page.write_text('<!DOCTYPE html><title>x</title><img src="http://192.0.2.1/pixel.png">', encoding="utf-8")
    assert _opened(page)[1] == {"http://192.0.2.1/pixel.png"}


def _opened(page: Path) -> tuple[html.HtmlElement, set[str]]:
    """The page as the browser has it, and what it asked the network for."""
    log = page.with_suffix(".netlog")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={page.parent / 'browser'}",
        f"--log-net-log={log}",
        "--dump-dom",
    ]
    command = [require("chromium"), *options, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return html.fromstring(done.stdout), _asked(log)


def _asked(log: Path) -> set[str]:
    """Addresses of requests that a page began; those that the browser begins by itself (updates) have no origin."""
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    begun = [each["params"] for each in events if "initiator" in each.get("params", {})]
    return {params["url"] for params in begun if params["initiator"] != "not an origin"}


def _found(tree: html.HtmlElement, name: str) -> list[html.HtmlElement]:
    return list(tree.findall(f".//table[@class='{name}']/tbody/tr"))


def _texts(row: html.HtmlElement) -> list[str]:
    return ["".join(map(str, cell.itertext())) for cell in row]
