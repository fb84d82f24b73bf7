"""What `why` says, for a terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console
from rich.table import Table

from rcs_sim.scenario.oracle_documents import WhyDocument, WhyMessage

__all__ = ["why_text"]

_WIDTH = 150
_TEXT_CHARACTERS = 40
_WAITS = ("it waits", "nobody has shown it yet")
_SIGNS = {"passed": "✓", "stopped": "✗", "note": "·"}


def why_text(document: WhyDocument, *, with_steps: bool, width: int = _WIDTH) -> str:
    """The chain of each message, or one line."""
    output = StringIO()
    console = Console(file=output, width=width, no_color=True, highlight=False)
    if not document.messages:
        console.print("no phone of this trace sent or showed a message", markup=False)
    for message in document.messages:
        if with_steps:
            _print_chain(console, message)
        else:
            console.print(_line(message), markup=False, soft_wrap=True)
    return output.getvalue().rstrip("\n")


def _title(message: WhyMessage) -> str:
    text = " ".join(message.text.split())
    short = text if len(text) <= _TEXT_CHARACTERS else text[: _TEXT_CHARACTERS - 1] + "…"
    change = "" if message.change is None else f" {message.change} {message.about}"
    return f"{message.id} {message.sender or '(outside)'} to {message.to}{change} {short!r}"


def _answers(message: WhyMessage) -> list[str]:
    is_waiting = (message.failed or "").startswith(_WAITS)
    answers = (
        ("no lock", message.no_lock),
        ("not as RCS", message.fell_back),
        ("not there" if is_waiting else "failed", message.failed),
    )
    return [f"{what}: {answer}" for what, answer in answers if answer is not None]


def _line(message: WhyMessage) -> str:
    return f"{_title(message)}: {'; '.join(_answers(message)) or message.verdict}"


def _print_chain(console: Console, message: WhyMessage) -> None:
    console.print(_title(message), markup=False)
    console.print(f"  {message.verdict}", markup=False, soft_wrap=True)
    for answer in _answers(message):
        console.print(f"  {answer}", markup=False, soft_wrap=True)
    if not message.steps:
        return
    start = min((step.at for step in message.steps if step.at is not None), default=0.0)
    table = Table(box=None, pad_edge=False)
    for heading in ("", "record", "seconds", "element", "gate", ""):
        table.add_column(heading, overflow="fold")
    for step in message.steps:
        table.add_row(
            _SIGNS[step.outcome],
            "" if step.record is None else str(step.record),
            "" if step.at is None else f"{step.at - start:.3f}",
            step.element,
            step.gate,
            " ".join(step.says.split()).replace("[", "\\["),
        )
    console.print(table)
