"""Values of a YAML file and the places where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, TypeAdapter

from ims_core.errors import ProfileError
from rcs_sim.scenario.yaml_document import YamlDocument

_TEXT = "phones:\n  bob: {device: ios}\nsteps:\n  - alice: wipe\n  - bob:\n      send: one\n"


def _document(folder: Path, text: str = _TEXT) -> YamlDocument:
    path = folder / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return YamlDocument.read(path, frozenset(("steps",)))


@pytest.mark.parametrize(
    ("location", "is_key", "place"),
    [
        (("phones", "bob", "device"), False, (2, 17)),
        (("phones", "bob", "device"), True, (2, 9)),
        (("steps", 0), False, (4, 5)),
        (("steps", 1, "bob", "send"), False, (6, 13)),
        (("steps", 1, "bob", "text"), True, (6, 7)),
        ((), False, (1, 1)),
    ],
)
def test_a_value_has_a_place_or_that_of_what_should_contain_it(
    tmp_path: Path, location: tuple[str | int, ...], is_key: bool, place: tuple[int, int]
) -> None:
    assert _document(tmp_path).place(location, is_key=is_key) == place


def test_items_of_numbered_lists_are_told_from_1(tmp_path: Path) -> None:
    error = _document(tmp_path).error(("steps", 1, "bob"), "wrong")
    assert str(error).endswith("file.yaml:5:5: steps.2.bob: wrong") or "steps.2.bob: wrong" in str(error)
    assert (error.line, error.file) == (6, str(tmp_path / "file.yaml"))


class _File(BaseModel):
    phones: dict[str, dict[str, str]]


def test_other_values_can_be_validated_in_the_place_of_those_of_the_file(tmp_path: Path) -> None:
    document, adapter = _document(tmp_path), TypeAdapter(_File)
    assert document.validated(adapter, {"phones": {}}).phones == {}
    with pytest.raises(ProfileError, match=r"2:17: phones\.bob\.device: Input should be a valid string"):
        document.validated(adapter, {"phones": {"bob": {"device": 1}}})


@pytest.mark.parametrize("octets", [b"\xff\xfe", b"a: [", b"a: *b", b"a: b: c", b"? {", b"\t- a"])
def test_what_is_no_yaml_is_an_error_of_the_file(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(octets)
    with pytest.raises(ProfileError, match=r"file\.yaml"):
        YamlDocument.read(path)
