"""Headers of the MLS plane and of the focus, and the gate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.content_types import MLS_NAMESPACE
from rcs_sim.e2ee.mls_headers import FocusHeaders, HeaderFault, MlsHeaders, receipt_headers, receipt_signature
from rcs_sim.wire.cpim import ANONYMOUS_URI, CpimHeader, CpimMessage, compose_cpim

_AUTHENTICATOR = "4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eE="


def message(*headers: CpimHeader) -> CpimMessage:
    octets = compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id="m",
        date_time="2026-03-02T10:15:30Z",
        body=b"",
        content_type="message/mls",
        extra=headers,
    )
    return CpimMessage.parse(octets)


def mls(name: str, value: str) -> CpimHeader:
    return CpimHeader.of(MLS_NAMESPACE, name, value)


@given(st.integers(0, 2**32 - 1), st.binary(min_size=32, max_size=32), st.sampled_from(["", "m1"]))
def test_headers_survive_a_round_trip(era: int, authenticator: bytes, original: str) -> None:
    headers = MlsHeaders(era_id=era, epoch_authenticator=authenticator, original_message_id=original)
    assert MlsHeaders.of(message(*headers.to_headers())) == headers


@pytest.mark.parametrize(
    ("era", "authenticator", "fault"),
    [
        (None, None, HeaderFault.NO_ERA),
        (None, _AUTHENTICATOR, HeaderFault.NO_ERA),
        ("", _AUTHENTICATOR, HeaderFault.NO_ERA),
        ("-1", _AUTHENTICATOR, HeaderFault.MALFORMED_ERA),
        ("0x1", None, HeaderFault.MALFORMED_ERA),
        ("4294967296", _AUTHENTICATOR, HeaderFault.MALFORMED_ERA),
        ("1" * 5000, _AUTHENTICATOR, HeaderFault.MALFORMED_ERA),
        ("²", _AUTHENTICATOR, HeaderFault.MALFORMED_ERA),
        ("1", None, HeaderFault.NO_AUTHENTICATOR),
        ("1", "", HeaderFault.NO_AUTHENTICATOR),
        ("1", "x", HeaderFault.MALFORMED_AUTHENTICATOR),
        ("1", "AAAA", HeaderFault.MALFORMED_AUTHENTICATOR),
        ("1", "ö", HeaderFault.MALFORMED_AUTHENTICATOR),
        ("4294967295", _AUTHENTICATOR, None),
    ],
)
def test_the_gate_looks_at_the_era_first(era: str | None, authenticator: str | None, fault: HeaderFault | None) -> None:
    given_ = [("Era-ID", era), ("Epoch-Authenticator", authenticator)]
    headers = [mls(name, value) for name, value in given_ if value is not None]
    assert MlsHeaders.of(message(*headers)).fault is fault


def test_a_foreign_namespace_is_not_ours_whatever_its_prefix() -> None:
    headers = [CpimHeader("http://example.com/mls", "Era-ID", "1")]
    assert MlsHeaders.of(message(*headers).with_prefix("http://example.com/mls", "mls")).era_id is None


def test_a_receipt_has_its_signature_before_its_era() -> None:
    names = [header.name for header in MlsHeaders(era_id=1, signature=b"s").to_headers()]
    assert names == ["MLS-Derived-Content-Signature", "Era-ID"]
    assert MlsHeaders.of(message(mls("MLS-Derived-Content-Signature", "c3"))).signature == b""


def test_headers_of_the_focus_survive_a_round_trip() -> None:
    headers = FocusHeaders(
        in_reply_to="m0",
        server_era=3,
        server_epoch=2**64 - 1,
        server_epoch_authenticator=bytes(32),
        group_id="7f3a",
        detail="not-in-group",
    )
    read = message(*headers.to_headers())
    assert FocusHeaders.of(read) == headers
    assert b"NS: sim <urn:rcs-sim:mls>\r\n" in read.raw.partition(b"sim.In-Reply-To: m0\r\n")[0]
    assert FocusHeaders.of(message()) == FocusHeaders()
    assert FocusHeaders().to_headers() == ()


@given(st.binary(max_size=400), st.integers(0, 2**32 - 1))
def test_the_headers_of_a_receipt_are_those_of_the_typed_form(signature: bytes, era: int) -> None:
    found = message(*receipt_headers(signature, era))
    assert receipt_signature(found) == (signature, era)
    if signature:
        assert receipt_headers(signature, era) == MlsHeaders(signature=signature, era_id=era).to_headers()


def test_what_a_receipt_lacks_is_empty() -> None:
    assert receipt_signature(message()) == (b"", None)
    assert receipt_signature(message(mls("Era-ID", "x"), mls("MLS-Derived-Content-Signature", "?"))) == (b"", None)
