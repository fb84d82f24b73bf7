"""`rcs-sim faults`: every word with its scope, an example, and the scenarios that use it."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rcs_sim.scenario.faults.fault_document import FaultDocument, FaultListDocument
from rcs_sim.scenario.faults.fault_kind import FaultKind
from rcs_sim.scenario.faults.registry import FAULTS, fault_kind
from rcs_sim.scenario.story.catalogue import list_scenarios

__all__ = ["list_faults", "show_faults"]

_WIDTH = 160  # of what is not a terminal


def list_faults(word: str | None) -> FaultListDocument:
    """All of them, or one. Raises FaultError with near words, ProfileError for a broken scenario that ships."""
    kinds = tuple(FAULTS.values()) if word is None else (fault_kind(word),)
    used = _scenarios_by_word()
    return FaultListDocument(faults=[_document(kind, used) for kind in kinds])


def _scenarios_by_word() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in list_scenarios(()).scenarios:
        for word in row.faults:
            found.setdefault(word, []).append(row.id)
    return found


def _document(kind: FaultKind, used: Mapping[str, list[str]]) -> FaultDocument:
    return FaultDocument.model_validate({**kind.document(), "scenarios": used.get(kind.word, [])})


def show_faults(word: str | None, *, as_json: bool) -> int:
    """Prints them. Raises FaultError, ProfileError."""
    document = list_faults(word)
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    if as_json:
        print(document.model_dump_json(exclude_defaults=True))
    elif word is None:
        console.print(_table(document))
    else:
        for line in _page(document.faults[0]):
            console.print(line)
    return 0


def _table(document: FaultListDocument) -> Table:
    table = Table()
    for heading in ("fault", "what it does", "in a scenario file", "used by"):
        table.add_column(heading, overflow="fold")
    for fault in document.faults:
        table.add_row(*map(Text, (fault.word, fault.meaning, fault.example, ", ".join(fault.scenarios) or "-")))
    return table


def _page(fault: FaultDocument) -> list[Text | Table]:
    table = Table(title="scope", title_justify="left")
    for heading in ("key", "value", "meaning", "default"):
        table.add_column(heading)
    for key in fault.scope:
        values = ", ".join(key.words) if key.words else key.type
        default = "required" if key.required else "" if key.default is None else str(key.default)
        table.add_row(*map(Text, (key.name, values, key.meaning, default)))
    lines = (
        f"{fault.word}: {fault.meaning}",
        f"  standard   {fault.clause}",
        f"  ends with  {fault.reversal}",
        f"  acts       {_OCCASION[fault.occasion]}; {_REACH[fault.reach]}",
        f"  YAML       {fault.example}",
        f"  Python     {fault.python}",
        f"  scenarios  {', '.join(fault.scenarios) or 'none yet'}",
    )
    return [*map(Text, lines), table]


_OCCASION = {"beginning": "once, and lasts", "each": "each time that something happens within its scope"}
_REACH = {
    "both": "in memory and on sockets",
    "links": "on what elements of this process send, in memory and on sockets",
}
