"""Autoconfiguration documents: structure, look-ups, versions, refusals."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.wire.autoconfig import (
    MAX_DOCUMENT_OCTETS,
    AutoconfigParseError,
    Characteristic,
    ConfigurationMessage,
    ConfigurationToken,
    DocumentVersion,
    Parm,
    ProvisioningDocument,
    VersionMeaning,
)

_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), max_size=12
)
_TREES = st.recursive(
    st.builds(Parm, _TEXT, _TEXT),
    lambda children: st.builds(Characteristic, _TEXT, st.lists(children, max_size=4).map(tuple)),
    max_leaves=15,
)


def _document(*lines: str) -> ProvisioningDocument:
    return ProvisioningDocument.parse(f"<wap-provisioningdoc>{''.join(lines)}</wap-provisioningdoc>".encode())


def _vers(version: str, validity: str = "") -> str:
    parm = f'<parm name="validity" value="{validity}"/>' if validity else ""
    return f'<characteristic type="VERS"><parm name="version" value="{version}"/>{parm}</characteristic>'


@given(st.lists(st.builds(Characteristic, _TEXT, st.lists(_TREES, max_size=4).map(tuple)), max_size=3))
def test_documents_survive_a_round_trip_with_order_and_case(characteristics: list[Characteristic]) -> None:
    document = ProvisioningDocument(tuple(characteristics))
    assert ProvisioningDocument.parse(document.encode()) == document


def test_names_are_found_anywhere_below_without_regard_to_case() -> None:
    root = _document(
        '<characteristic type="A"><parm name="x" value="1"/>'
        '<characteristic type="Chat"><parm name="MAXSIZE" value="2"/></characteristic>'
        '<characteristic type="StandaloneMsg"><parm name="MaxSize" value="3"/></characteristic></characteristic>'
    ).root
    assert root.find("maxsize") == "2"
    assert root.find("MaxSize", under="standalonemsg") == "3"
    assert list(root.find_all("MaxSize")) == ["2", "3"]
    assert root.find("X", under="Chat") is None
    assert root.own("x") is None


def test_foreign_elements_namespaces_and_spellings_are_tolerated() -> None:
    octets = (
        b'<q:WAP-provisioningdoc xmlns:q="urn:x" version="1.0"><q:Characteristic type="vers" extra="1"><novel/>'
        b'<q:parm name="VERSION" value=" 7 "/></q:Characteristic>'
        b'<q:parm name="stray" value=""/></q:WAP-provisioningdoc>'
    )
    document = ProvisioningDocument.parse(octets)
    assert (document.version, document.vers) == ("1.0", DocumentVersion(7, 0))


@pytest.mark.parametrize(
    ("version", "meaning"),
    [
        (7, VersionMeaning.ACTIVE),
        (0, VersionMeaning.RESET),
        (-1, VersionMeaning.OFF_FOR_GOOD),
        (-2, VersionMeaning.OFF_UNTIL_USER),
        (-3, VersionMeaning.DORMANT),
    ],
)
def test_every_version_has_its_meaning(version: int, meaning: VersionMeaning) -> None:
    vers = _document(_vers(str(version), "-1" if version < 0 else "60")).vers
    assert vers is not None
    assert vers.meaning is meaning


@pytest.mark.parametrize(
    ("version", "validity"), [("", "1"), ("x", "1"), ("-4", "1"), ("1", "x"), ("9" * 30, "1"), ("٣", "1")]
)
def test_meaningless_versions_are_refused(version: str, validity: str) -> None:
    with pytest.raises(AutoconfigParseError):
        assert _document(_vers(version, validity)).vers


def test_the_other_head_characteristics_are_read() -> None:
    message = ConfigurationMessage("Welcome", "Lab terms", has_accept=True)
    document = ProvisioningDocument(
        (
            DocumentVersion(7, 604800).characteristic(),
            ConfigurationToken("q8Jt", 2592000).characteristic(),
            message.characteristic(),
            Characteristic.of("POLICY", {"SMS_port": "37273"}),
        )
    )
    assert document.vers == DocumentVersion(7, 604800)
    assert document.token == ConfigurationToken("q8Jt", 2592000)
    assert document.message == message
    assert document.otp_port == 37273
    assert not document.has_settings
    assert "q8Jt" not in repr(document.token)


def test_absent_or_empty_head_characteristics_read_as_none() -> None:
    document = _document('<characteristic type="TOKEN"><parm name="token" value=""/></characteristic>')
    assert (document.vers, document.token, document.message, document.otp_port) == (None, None, None, None)
    assert _document('<characteristic type="application"/>').has_settings


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"OTP sent",
        b"<html/>",
        b"<!DOCTYPE wap-provisioningdoc><wap-provisioningdoc/>",
        b"<wap-provisioningdoc>"
        + b'<characteristic type="A">' * 40
        + b"</characteristic>" * 40
        + b"</wap-provisioningdoc>",
        b"<wap-provisioningdoc>" + b" " * MAX_DOCUMENT_OCTETS + b"</wap-provisioningdoc>",
    ],
)
def test_refused_documents(octets: bytes) -> None:
    with pytest.raises(AutoconfigParseError):
        ProvisioningDocument.parse(octets)


@given(st.binary(max_size=200))
def test_any_octets_give_a_document_or_the_modules_own_error(octets: bytes) -> None:
    for text in (
        octets,
        b'<wap-provisioningdoc><characteristic type="VERS">' + octets + b"</characteristic></wap-provisioningdoc>",
    ):
        with contextlib.suppress(AutoconfigParseError):
            document = ProvisioningDocument.parse(text)
            assert (document.vers, document.token, document.message, document.otp_port) is not None
