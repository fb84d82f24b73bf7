"""How every link between two hosts behaves now: rules, changes on top of them, hosts that are cut off.

The in-memory world has one such table, and so have the lines that are put between sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ims_core.transport.memory_link import STREAM_GIVES_UP_AFTER_S, DeliveryQueue, LinkProfile, Path
from ims_core.transport.tokens import Tokens

__all__ = ["LinkChange", "LinkTable"]

LinkChange = Callable[[str, str, LinkProfile], LinkProfile]
"""What becomes of the profile from a source host to a target host."""


class LinkTable:
    """*tokens* seeds loss and jitter, per link; *queue* tells when a link has been down for too long. The stream ends
    of a path are told when it is up again (`link_is_up`), and lost when it stays down (`lose`)."""

    def __init__(self, tokens: Tokens, queue: DeliveryQueue) -> None:
        self._tokens = tokens
        self.queue = queue
        self._profiles: dict[tuple[str, str], LinkProfile] = {("*", "*"): LinkProfile()}
        self._changes: dict[int, LinkChange] = {}
        self._changes_made = 0
        self._cut: set[str] = set()
        self._paths: dict[tuple[str, str], Path] = {}

    def set_link(self, source_host: str, target_host: str, profile: LinkProfile) -> None:
        """Rules one direction; ``*`` stands for every host. The more exact rule wins, the source before the target."""
        self._profiles[source_host, target_host] = profile
        self._links_changed()

    def link(self, source_host: str, target_host: str) -> LinkProfile:
        """The profile that rules this direction now; down where one of the hosts is cut off."""
        for rule in ((source_host, target_host), (source_host, "*"), ("*", target_host)):
            if rule in self._profiles:
                profile = self._profiles[rule]
                break
        else:
            profile = self._profiles["*", "*"]
        for change in self._changes.values():
            profile = change(source_host, target_host, profile)
        is_cut = source_host in self._cut or target_host in self._cut
        return replace(profile, is_up=False) if is_cut else profile

    def change_links(self, change: LinkChange) -> Callable[[], None]:
        """From now on every profile is what *change* makes of it, after those before it; call the result to end
        this."""
        self._changes_made += 1
        number = self._changes_made
        self._changes[number] = change
        self._links_changed()

        def end() -> None:
            if self._changes.pop(number, None) is not None:
                self._links_changed()

        return end

    def cut(self, host: str) -> None:
        """Takes *host* off the network, both ways. Connections survive this for 30 s."""
        self._cut.add(host)
        self._links_changed()

    def restore(self, host: str) -> None:
        self._cut.discard(host)
        self._links_changed()

    def reset(self, host: str) -> None:
        """Breaks every connection of *host*, as its restart would."""
        for path in tuple(self._paths.values()):
            if path.source == host:
                for flow in path.flows:
                    flow.lose(f"connection with {host} reset")

    def path(self, source_host: str, target_host: str) -> Path:
        """The path between two hosts. A host reaches itself whatever the links do."""
        path = self._paths.get((source_host, target_host))
        if path is None:
            path = self._paths[source_host, target_host] = Path(source_host, target_host)
            self._refresh(path)
        return path

    def paths(self) -> tuple[Path, ...]:
        """Those that somebody has asked for."""
        return tuple(self._paths.values())

    def _refresh(self, path: Path) -> None:
        if path.source != path.target:
            profile = self.link(path.source, path.target)
            path.become(profile, profile.is_up, self._tokens)

    def _links_changed(self) -> None:
        for path in self.paths():
            was_up = path.is_up
            self._refresh(path)
            if was_up and not path.is_up:
                path.times_down += 1
                self.queue.add(self.queue.time() + STREAM_GIVES_UP_AFTER_S, _stayed_down, path, path.times_down)
            elif path.is_up and not was_up:
                for flow in path.flows:
                    flow.link_is_up()


def _stayed_down(path: Path, times_down: int) -> None:
    if not path.is_up and path.times_down == times_down:
        for flow in path.flows:
            flow.lose(f"link from {path.source} to {path.target} down for {STREAM_GIVES_UP_AFTER_S:g} s")
