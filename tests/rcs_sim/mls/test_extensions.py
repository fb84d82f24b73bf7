"""Extensions (RFC 9420 §7.2, §13.4) and the bodies that the RFC defines."""

from __future__ import annotations

import pytest

from rcs_sim.mls.codec import Reader
from rcs_sim.mls.credential import BasicCredential
from rcs_sim.mls.extensions import (
    ApplicationId,
    Extension,
    ExternalPub,
    ExternalSender,
    ExternalSenders,
    RequiredCapabilities,
    encode_extensions,
    find_extension,
    read_extensions,
    repeated_types,
)
from rcs_sim.mls.identifiers import CredentialType, ExtensionType, ProposalType

_ERA = Extension(ExtensionType(0xF001), b"\x00\x00\x00\x01")


def test_an_unknown_extension_keeps_its_octets_and_its_place() -> None:
    octets = b"\x0d\xf0\x01\x04\x00\x00\x00\x01\x0a\x0a\x00\x00\x01\x00"
    extensions = read_extensions(Reader(octets))
    assert [extension.extension_type for extension in extensions] == [0xF001, 0x0A0A, 1]
    assert encode_extensions(extensions) == octets


def test_the_body_of_a_type_is_found() -> None:
    assert find_extension((_ERA,), 0xF001) == b"\x00\x00\x00\x01"
    assert find_extension((_ERA,), ExtensionType.EXTERNAL_PUB) is None


def test_repeated_types_are_named_once() -> None:
    assert repeated_types((_ERA,)) == []
    assert repeated_types((_ERA, Extension(ExtensionType(5), b""), _ERA, _ERA)) == [0xF001]


@pytest.mark.parametrize(
    "body",
    [
        ApplicationId(b"device 1"),
        ExternalPub(b"\x04" + bytes(64)),
        RequiredCapabilities((ExtensionType(0xF001),), (ProposalType(0xF003),), (CredentialType.X509,)),
        ExternalSenders((ExternalSender(b"key", BasicCredential(b"server")),)),
    ],
    ids=lambda body: type(body).__name__,
)
def test_a_body_stands_in_its_extension(
    body: ApplicationId | ExternalPub | RequiredCapabilities | ExternalSenders,
) -> None:
    extension = body.as_extension()
    assert extension.extension_type.name.replace("_", "") == type(body).__name__.upper()
    assert type(body).decode(extension.extension_data) == body


def test_an_external_pub_has_its_length_in_front() -> None:
    assert ExternalPub(b"key").as_extension().extension_data == b"\x03key"
