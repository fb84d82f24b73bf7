"""What the signature of a receipt covers."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.derived_content import (
    DerivedContent,
    SignedForm,
    VerifiableDeliveryImdn,
    VerifiableDisplayImdn,
    VerifiableVideoChatMessage,
    derived_content_of,
    signed_form,
    signed_octets_of,
)
from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus

_IDS = st.text(max_size=40)
_STATEMENTS = st.one_of(
    st.builds(VerifiableDeliveryImdn, _IDS, st.integers(0, 5), st.integers(0, 20)),
    st.builds(VerifiableDisplayImdn, _IDS, st.integers(0, 5)),
)
_CONTENTS = st.builds(DerivedContent, _IDS, st.integers(0, 2**32 - 1), _STATEMENTS)


def imdn(kind: str, status: str, reason: str | None = None) -> Imdn:
    return Imdn("reported", "2026-03-02T10:15:30Z", kind, status, client_failure_reason=reason)


@given(_CONTENTS)
def test_it_survives_a_round_trip(content: DerivedContent) -> None:
    assert DerivedContent.decode(content.encode()) == content
    assert signed_form(content.encode(), content) is SignedForm.FULL
    assert signed_form(content.statement.encode(), content) is SignedForm.INNER


@given(st.binary(max_size=100))
def test_any_octets_decode_to_themselves_or_are_refused(octets: bytes) -> None:
    with contextlib.suppress(TlsDecodeError):
        assert DerivedContent.decode(octets).encode() == octets
    with contextlib.suppress(TlsDecodeError):
        assert VerifiableVideoChatMessage.decode(octets).encode() == octets


@given(_CONTENTS, _CONTENTS)
def test_another_statement_is_not_this_one(one: DerivedContent, other: DerivedContent) -> None:
    assert (signed_form(one.encode(), other) is SignedForm.FULL) == (one == other)


def test_lengths_are_those_that_were_observed() -> None:
    own, reported = "Mx" + "a" * 22, "r" * 28
    assert len(DerivedContent(own, 1, VerifiableDeliveryImdn(reported, 1)).encode()) == 68
    assert len(DerivedContent(own, 1, VerifiableDisplayImdn(reported, 1)).encode()) == 66


@pytest.mark.parametrize("reason", list(ClientFailureReason))
def test_a_reason_travels_as_its_number(reason: ClientFailureReason) -> None:
    content = derived_content_of(imdn(ImdnKind.DELIVERY, ImdnStatus.FAILED, reason), "own", 5)
    assert content == DerivedContent("own", 5, VerifiableDeliveryImdn("reported", 2, reason.code))


@pytest.mark.parametrize(
    ("kind", "status", "number"),
    [
        ("delivery", "delivered", 1),
        ("delivery", "failed", 2),
        ("delivery", "forbidden", 3),
        ("delivery", "error", 4),
        ("display", "displayed", 1),
        ("display", "forbidden", 2),
        ("display", "error", 3),
    ],
)
def test_every_status_has_its_number(kind: str, status: str, number: int) -> None:
    content = derived_content_of(imdn(kind, status), "own", 1)
    assert content is not None
    assert content.statement.status == number
    assert content.statement.type_number == (1 if kind == "delivery" else 2)


def test_what_nobody_can_have_signed_has_no_content() -> None:
    assert derived_content_of(imdn("processing", "processed"), "own", 1) is None
    assert derived_content_of(imdn("interworking", "legacy-sms"), "own", 1) is None
    assert derived_content_of(imdn("delivery", "failed", "novel"), "own", 1) is None
    assert derived_content_of(imdn("delivery", "displayed"), "own", 1) is None
    refused = Imdn("m", "t", ImdnKind.DELIVERY, ImdnStatus.FAILED, server_failure_reason="incorrect-era")
    assert derived_content_of(refused, "own", 1) is None


def test_a_component_for_resent_messages_and_an_option_are_refused() -> None:
    octets = DerivedContent("o", 1, VerifiableDeliveryImdn("r", 2, 4)).encode()
    for wrong in (octets[:-1] + b"\1", octets[:-2] + b"\1\0", octets + b"\0", octets[:8] + b"\3" + octets[9:]):
        with pytest.raises(TlsDecodeError):
            DerivedContent.decode(wrong)


def test_the_octets_of_both_forms_are_those_of_the_typed_content() -> None:
    for imdn in (
        Imdn("m", "", ImdnKind.DELIVERY, ImdnStatus.DELIVERED),
        Imdn("m", "", ImdnKind.DISPLAY, ImdnStatus.DISPLAYED),
        Imdn("m", "", ImdnKind.DELIVERY, ImdnStatus.FAILED, client_failure_reason=ClientFailureReason.INVALID_COMMIT),
    ):
        found = derived_content_of(imdn, "receipt", 7)
        assert found is not None
        assert signed_octets_of(imdn, "receipt", 7) == (found.encode(), found.statement.encode())
    unsigned = Imdn("m", "", ImdnKind.DELIVERY, ImdnStatus.FAILED, server_failure_reason="incorrect-era")
    assert signed_octets_of(unsigned, "receipt", 7) is None
