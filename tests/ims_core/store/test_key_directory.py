"""Records of a key directory survive the store, and their keys sort."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ims_core.store.key_directory import (
    ANSWERED_CLAIMS,
    DIRECTORY_ANCHORS,
    DIRECTORY_CLIENTS,
    DIRECTORY_REVOCATIONS,
    KEY_PACKAGES,
    REVOKED_CERTIFICATES,
    SPENT_KEY_PACKAGES,
    AnsweredClaim,
    DirectoryClient,
    HeldAnchor,
    HeldRevocations,
    RevokedCertificate,
    SignedAnchors,
    SpentKeyPackage,
    StoredKeyPackage,
    key_package_key,
)
from ims_core.store.record_codec import RecordCodec
from ims_core.store.record_table import RecordType


def _package(upload: int, number: int) -> StoredKeyPackage:
    return StoredKeyPackage(
        msisdn="12025550101",
        client_id="phone",
        upload=upload,
        number=number,
        octets=b"\x00\xff",
        reference=b"ref",
        not_after_s=7,
        is_last_resort=True,
        credential=(b"leaf", b"issuer"),
        credential_at=1,
    )


def test_a_package_is_whole_with_its_credential() -> None:
    assert _package(1, 2).message == b"\x00leafissuer\xff"


def test_a_package_that_was_kept_in_one_piece_is_whole() -> None:
    assert replace(_package(1, 2), credential=(), credential_at=0).message == b"\x00\xff"


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        (DIRECTORY_CLIENTS, DirectoryClient(msisdn="1202", client_id="phone", leaf=b"\x30", has_proof=False)),
        (KEY_PACKAGES, _package(1, 2)),
        (SPENT_KEY_PACKAGES, SpentKeyPackage(b"ref", 9)),
        (ANSWERED_CLAIMS, AnsweredClaim(origin="kds", request_id="id", target_msisdn="1", body=b"{}", until=1.5)),
        (
            DIRECTORY_ANCHORS,
            SignedAnchors(
                generation=3,
                payload=b"p",
                signature=b"s",
                anchors=(HeldAnchor(vendor_id=1, kds=1, der=b"d"),),
                peers=(("1", 4),),
            ),
        ),
        (DIRECTORY_REVOCATIONS, HeldRevocations(1, b"\x30", 9)),
        (REVOKED_CERTIFICATES, RevokedCertificate(b"\x05")),
    ],
    ids=lambda value: value.name if isinstance(value, RecordType) else "",
)
def test_a_record_survives_the_store(kind: RecordType[Any], record: Any) -> None:
    codec = RecordCodec(kind)
    assert codec.decode(codec.encode(record)) == record
    assert isinstance(kind.key(record), str)


def test_packages_of_a_client_sort_by_upload_and_place() -> None:
    order = [(1, 2), (1, 10), (2, 0), (10, 0)]
    assert sorted(order, key=lambda pair: key_package_key(_package(*pair))) == order


def test_octets_are_not_shown() -> None:
    assert "octets" not in repr(_package(1, 1))
