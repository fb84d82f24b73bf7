"""Groups of header fields that a node takes away together."""

from __future__ import annotations

from ims_core.wire.sip.editor import Editor
from ims_core.wire.sip.message import Request, Response

__all__ = ["HeaderGroup"]


class HeaderGroup:
    """Header names; most messages have none of them, and are left alone at the price of one look."""

    __slots__ = ("_keys",)

    def __init__(self, *names: str) -> None:
        self._keys = frozenset(name.lower() for name in names)

    def strip(self, editor: Editor[Request] | Editor[Response], message: Request | Response) -> None:
        """Removes those that *message*, which *editor* edits, came with."""
        present = self._keys.intersection(message.names())
        if present:
            editor.remove(*present)
