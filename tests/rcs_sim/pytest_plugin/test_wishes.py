"""The arguments of the markers: what they mean, and what they are told that cannot be."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rcs_sim.pytest_plugin.wishes import FaultWish, Wishes, WrongMarker, wishes_of
from rcs_sim.scenario.loader import load_device, load_network, profile_folder


def wishes(*marks: pytest.MarkDecorator, folder: Path = Path(), seed: int | None = None) -> Wishes:
    """Of a test in *folder* with these markers, the closest first."""

    def iter_markers(name: str) -> list[pytest.Mark]:
        return [each.mark for each in marks if each.mark.name == name]

    return wishes_of(cast(Any, SimpleNamespace(path=folder / "test_a.py", iter_markers=iter_markers)), seed)


def rcs(*values: Any, **named: Any) -> pytest.MarkDecorator:
    return pytest.mark.rcs(*values, **named)


def test_without_an_argument_there_are_two_carriers_and_seed_7() -> None:
    assert wishes(rcs()) == wishes() == Wishes()


def test_the_marker_of_a_test_goes_before_the_one_of_its_module() -> None:
    found = wishes(rcs(seed=2), rcs(seed=1, network="two-carriers-plain"))
    assert (found.seed, found.network) == (2, "two-carriers-plain")


def test_the_seed_of_the_command_line_goes_before_all() -> None:
    assert wishes(rcs(seed=2), seed=0).seed == 0


def test_devices_and_carriers_are_said_in_a_row_or_by_phone() -> None:
    found = wishes(rcs(devices=("strict-v3", "strict-v4"), carriers={"alice": "blue"}))
    assert found.devices == ("strict-v3", "strict-v4")
    assert found.carriers == ("blue", "blue")


def test_networks_and_devices_may_be_made_in_python() -> None:
    network, device = load_network("two-carriers-plain"), load_device("ios")
    found = wishes(rcs(network=network, devices=[device, "android"]))
    assert found.network is network
    assert found.devices[0] is device


def test_a_file_is_looked_for_beside_the_test(tmp_path: Path) -> None:
    text = (profile_folder() / "networks" / "two-carriers-plain.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    assert wishes(rcs(network="mine.yaml"), folder=tmp_path).network == str(tmp_path / "mine.yaml")
    with pytest.raises(WrongMarker, match=r"other\.yaml"):
        wishes(rcs(network=Path("other.yaml")), folder=tmp_path)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"netwrok": "two-carriers"}, "rcs knows no argument 'netwrok': did you mean 'network'? There are: network"),
        ({"network": "two-cariers"}, "there is no network 'two-cariers': did you mean 'two-carriers"),
        ({"network": 3}, "network is the name of a profile or the path of a file, not 3"),
        ({"devices": ["ios", "andriod"]}, "there is no device 'andriod': did you mean 'android' or "),
        ({"devices": "ios"}, "devices are two, of alice and of bob, such as ['android', 'ios']; not 'ios'"),
        ({"devices": ["ios"]}, "devices are two"),
        ({"devices": {"carol": "ios"}}, "there is no 'carol'"),
        ({"devices": [1, "ios"]}, "device is the name of a profile or the path of a file, not 1"),
        ({"carriers": ["red", "blu"]}, "two-carriers has no carrier 'blu': did you mean 'blue'? There are: red, blue"),
        ({"carriers": [1, "red"]}, "a carrier is a name, not 1"),
        ({"seed": "7"}, "seed is a whole number, not '7'"),
        ({"seed": True}, "seed is a whole number"),
        ({"clock": "wall"}, "clock is 'virtual' or 'real', not 'wall'"),
        ({"violations": "ignored"}, "violations is 'forbidden' or 'allowed', not 'ignored'"),
        ({"settle_s": -1}, "settle_s is a number of seconds, 0 or more, not -1"),
        ({"limit_s": float("inf")}, "limit_s is a number of seconds"),
    ],
)
def test_what_cannot_be_is_told_with_what_can(said: dict[str, Any], told: str) -> None:
    with pytest.raises(WrongMarker) as error:
        wishes(rcs(**said))
    assert told in str(error.value)


def test_arguments_have_names() -> None:
    with pytest.raises(WrongMarker, match="rcs takes arguments by name only: network, devices"):
        wishes(rcs("two-carriers"))


def test_faults_come_with_their_scopes_those_of_the_module_first() -> None:
    found = wishes(pytest.mark.fault("net.loss", probability=0.1, from_="bob"), pytest.mark.fault("sms.lose"))
    assert found.faults == (FaultWish("sms.lose", {}), FaultWish("net.loss", {"probability": 0.1, "from_": "bob"}))


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        (pytest.mark.fault(), "fault takes one word"),
        (pytest.mark.fault("net.loss", "net.delay"), "fault takes one word"),
        (pytest.mark.fault("net.los"), "did you mean net.loss"),
        (pytest.mark.fault("net.loss", probabilty=1), "the fault net.loss knows no 'probabilty': did you mean"),
    ],
)
def test_a_fault_that_is_none_is_told_near_words(mark: pytest.MarkDecorator, told: str) -> None:
    with pytest.raises(WrongMarker) as error:
        wishes(mark)
    assert told in str(error.value)
