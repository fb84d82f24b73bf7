"""The table of links: rules, changes, hosts that are cut off. What flows make of it is tested with them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ims_core.transport.link_table import LinkTable
from ims_core.transport.memory_link import DeliveryQueue, LinkProfile
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import run

_A, _B, _C = "10.0.0.1", "10.0.0.2", "10.0.0.3"


class End:
    """A stream end that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def link_is_up(self) -> None:
        self.told.append("up")

    def lose(self, reason: str) -> None:
        self.told.append(reason)


def _table() -> LinkTable:
    return LinkTable(Tokens("seed"), DeliveryQueue())


def _on_a_loop(story: object) -> None:
    async def main() -> None:
        await story(_table())

    run(main)


def test_the_more_exact_rule_wins() -> None:
    async def story(table: LinkTable) -> None:
        for place, latency_s in (("*", "*"), 1.0), (("*", _B), 2.0), ((_A, "*"), 3.0), ((_A, _C), 4.0):
            table.set_link(*place, LinkProfile(latency_s=latency_s))
        found = [table.link(*pair).latency_s for pair in ((_B, _C), (_C, _B), (_A, _B), (_A, _C))]
        assert found == [1.0, 2.0, 3.0, 4.0]

    _on_a_loop(story)


def test_changes_are_made_in_their_order_and_end_in_any() -> None:
    async def story(table: LinkTable) -> None:
        slower = table.change_links(lambda source, target, link: replace(link, latency_s=link.latency_s + 1))
        double = table.change_links(lambda source, target, link: replace(link, latency_s=link.latency_s * 2))
        path = table.path(_A, _B)
        assert (table.link(_A, _B).latency_s, path.profile.latency_s) == (2, 2)
        slower()
        slower()
        assert path.profile.latency_s == 0
        double()
        assert table.link(_A, _B) == path.profile == LinkProfile()

    _on_a_loop(story)


def test_a_host_that_is_cut_off_is_so_both_ways_and_reaches_itself() -> None:
    async def story(table: LinkTable) -> None:
        paths = [table.path(*pair) for pair in ((_A, _B), (_B, _A), (_A, _C), (_B, _B))]
        table.cut(_B)
        assert [path.is_up for path in paths] == [False, False, True, True]
        table.restore(_B)
        assert all(path.is_up for path in paths)

    _on_a_loop(story)


@pytest.mark.parametrize(("down_s", "told"), [(29, ["up"]), (31, [f"link from {_A} to {_B} down for 30 s", "up"])])
def test_stream_ends_are_told_when_a_link_is_back_and_lost_when_it_stays_away(down_s: float, told: list[str]) -> None:
    async def story(table: LinkTable) -> None:
        end, other = End(), End()
        table.path(_A, _B).add(end)
        table.path(_A, _C).add(other)
        table.cut(_B)
        await asyncio.sleep(down_s)
        table.restore(_B)
        assert (end.told, other.told) == (told, [])

    _on_a_loop(story)


def test_a_link_that_was_back_in_between_is_not_lost_by_the_first_time() -> None:
    async def story(table: LinkTable) -> None:
        end = End()
        table.path(_A, _B).add(end)
        table.cut(_B)
        await asyncio.sleep(20)
        table.restore(_B)
        table.cut(_B)
        await asyncio.sleep(20)
        assert end.told == ["up"]

    _on_a_loop(story)


def test_a_reset_host_loses_what_leaves_it() -> None:
    async def story(table: LinkTable) -> None:
        end, other = End(), End()
        table.path(_A, _B).add(end)
        table.path(_C, _B).add(other)
        table.reset(_A)
        assert (end.told, other.told) == ([f"connection with {_A} reset"], [])
        assert {(path.source, path.target) for path in table.paths()} == {(_A, _B), (_C, _B)}

    _on_a_loop(story)
