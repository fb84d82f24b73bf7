"""The list of typed headers."""

from __future__ import annotations

from ims_core.wire.sip import address_headers, auth_headers, core_headers, feature_tags, headers, ims_headers
from ims_core.wire.sip.header import Header


def test_every_typed_header_of_every_family_is_there() -> None:
    for family in (address_headers, auth_headers, core_headers, feature_tags, ims_headers):
        for name in family.__all__:
            kind = getattr(family, name)
            if isinstance(kind, type) and issubclass(kind, Header):
                assert getattr(headers, name) is kind


def test_what_is_exported_exists() -> None:
    assert all(hasattr(headers, name) for name in headers.__all__)
