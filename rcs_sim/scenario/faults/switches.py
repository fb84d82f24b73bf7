"""Fields of the fault values that servers have: several faults may hold one of them, and the last one counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

__all__ = ["HasFault", "Switches"]


class HasFault(Protocol):
    """A server with a frozen dataclass of what is wrong with it."""

    @property
    def fault(self) -> Any: ...

    @fault.setter
    def fault(self, fault: Any) -> None: ...


class Switches:
    """Who holds which field at which value; the usual value comes back after the last of them."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[tuple[int, str], list[tuple[object, Any]]] = {}

    def hold(self, server: HasFault, field: str, value: Any) -> Callable[[], None]:
        """*field* of ``server.fault`` is *value* until the result is called."""
        return self.hold_any(
            (id(server), field),
            value,
            read=lambda: getattr(server.fault, field),
            write=lambda each: setattr(server, "fault", replace(server.fault, **{field: each})),
        )

    def hold_flag(self, owner: object, name: str) -> Callable[[], None]:
        """The attribute *name* of *owner* is True until the result is called."""
        return self.hold_any(
            (id(owner), name), True, read=lambda: getattr(owner, name), write=lambda each: setattr(owner, name, each)
        )

    def hold_any(
        self, key: tuple[int, str], value: Any, *, read: Callable[[], Any], write: Callable[[Any], None]
    ) -> Callable[[], None]:
        """The same for anything that can be read and written."""
        holders = self._held.setdefault(key, [(self, read())])
        mark = object()
        holders.append((mark, value))
        write(value)

        def release() -> None:
            holders[:] = [held for held in holders if held[0] is not mark]
            write(holders[-1][1])
            if len(holders) == 1:
                self._held.pop(key, None)

        return release
