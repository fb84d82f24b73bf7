from __future__ import annotations

from ims_core.nodes.number_table import NumberTable


def test_the_longest_prefix_decides_and_a_full_number_overrides_its_range() -> None:
    table = NumberTable({"+12": "red", "+1202555015": "blue", "+12025550159": "red", "+13": "blue"})
    assert table.domain_of("+12125550100") == "red"
    assert table.domain_of("+12025550152") == "blue"
    assert table.domain_of("+12025550159") == "red"
    assert table.domain_of("+442071838750") is None
    assert table.domain_of("") is None
    assert table.domain_of("+1202555") == "red"


def test_a_ported_number_changes_the_answer() -> None:
    table = NumberTable([("+1202555015", "blue")])
    before = table.generation
    table.set("+12025550152", "red")
    assert table.domain_of("+12025550152") == "red"
    assert table.generation != before
    assert table.entries() == {"+1202555015": "blue", "+12025550152": "red"}
