"""The chain is printed as it is, also where a text looks like markup."""

from __future__ import annotations

from rcs_sim.scenario.oracle_documents import WhyDocument, WhyMessage, WhyStep
from rcs_sim.scenario.why_view import why_text


def _message(**members: object) -> WhyMessage:
    step = {"gate": "link", "outcome": "stopped", "says": "[red] one", "record": 7, "at": 12.5, "element": "alice"}
    base = {
        "id": "m1",
        "message_id": "a",
        "from": "alice",
        "to": "+1",
        "text": "[bold]x",
        "label": "RCS",
        "scheme": None,
        "verdict": "sent",
        "no_lock": None,
        "fell_back": None,
        "failed": None,
        "steps": [WhyStep.model_validate(step), WhyStep.model_validate({**step, "record": None, "at": None})],
    }
    return WhyMessage.model_validate({**base, **members})


def test_steps_have_a_sign_a_record_and_a_time() -> None:
    text = why_text(WhyDocument(messages=[_message(no_lock="because")]), with_steps=True)
    lines = text.splitlines()
    assert lines[0] == "m1 alice to +1 '[bold]x'"
    assert lines[2] == "  no lock: because"
    assert lines[4].split() == ["✗", "7", "0.000", "alice", "link", "[red]", "one"]
    assert lines[5].split() == ["✗", "alice", "link", "[red]", "one"]


def test_a_line_has_the_answers_or_the_verdict() -> None:
    told = _message(fell_back="no answer", failed="gone")
    assert why_text(WhyDocument(messages=[told]), with_steps=False).endswith(": not as RCS: no answer; failed: gone")
    assert why_text(WhyDocument(messages=[_message()]), with_steps=False).endswith(": sent")


def test_what_waits_has_not_failed() -> None:
    told = [_message(failed=words) for words in ("it waits: hold", "nobody has shown it yet", "gone")]
    lines = why_text(WhyDocument(messages=told), with_steps=False).splitlines()
    assert [line.partition(": ")[2].partition(":")[0] for line in lines] == ["not there", "not there", "failed"]


def test_nothing_is_said_of_nothing() -> None:
    assert "no phone of this trace" in why_text(WhyDocument(messages=[]), with_steps=False)
