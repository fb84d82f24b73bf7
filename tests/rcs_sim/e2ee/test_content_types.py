"""Media types of the MLS plane."""

from __future__ import annotations

import pytest

from rcs_sim.e2ee.content_types import (
    ACCEPT_WRAPPED_TYPES,
    CONTROL_TYPES,
    MlsContentType,
    classify_content_type,
    is_on_mls_plane,
)


@pytest.mark.parametrize("written", ["message/mls", "Message/MLS", "message/mls; charset=UTF-8", " message/mls ;x=y"])
def test_parameters_and_case_do_not_matter(written: str) -> None:
    assert classify_content_type(written) is MlsContentType.MESSAGE


@pytest.mark.parametrize("kind", list(MlsContentType))
def test_every_type_is_known_and_on_the_plane(kind: MlsContentType) -> None:
    assert classify_content_type(kind) is kind
    assert is_on_mls_plane(kind)


def test_an_unknown_type_of_the_plane_is_still_on_it() -> None:
    assert classify_content_type("message/mls-rcs-novel") is None
    assert is_on_mls_plane("message/mls-rcs-novel")
    assert not is_on_mls_plane("message/mlsx")
    assert not is_on_mls_plane("text/plain")


def test_what_is_control_is_accepted_inside_a_session() -> None:
    assert set(ACCEPT_WRAPPED_TYPES) == CONTROL_TYPES | {MlsContentType.MESSAGE}
