"""Every structure of the MLS working group's message vectors decodes, and encodes to the same octets (RFC 9420)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from rcs_sim.mls.codec import Reader, TlsStruct
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.group_info import GroupInfo, RatchetTreeExtension
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.messages import MLSMessage, PrivateMessage, PublicMessage
from rcs_sim.mls.proposals import decode_proposal
from rcs_sim.mls.welcome import GroupSecrets, Welcome
from tests.support.vectors import load_vectors

_FILES = ("mls/mls-implementations/messages.json", "mls/mls-rs-extra/serialization.json")
_KEYS_PER_ENTRY = 17

_BODIES: Mapping[str, type] = {
    "mls_welcome": Welcome,
    "mls_group_info": GroupInfo,
    "mls_key_package": KeyPackage,
    "public_message_application": PublicMessage,
    "public_message_proposal": PublicMessage,
    "public_message_commit": PublicMessage,
    "private_message": PrivateMessage,
}
_PROPOSAL_TYPES = {
    "add_proposal": 1,
    "update_proposal": 2,
    "remove_proposal": 3,
    "pre_shared_key_proposal": 4,
    "re_init_proposal": 5,
    "external_init_proposal": 6,
    "group_context_extensions_proposal": 7,
}


def _proposal(proposal_type: int, octets: bytes) -> bytes:
    prefix = proposal_type.to_bytes(2, "big")
    return decode_proposal(prefix + octets).encode().removeprefix(prefix)


def _message(body: type, octets: bytes) -> bytes:
    message = MLSMessage.decode(octets)
    assert isinstance(message.body, body)
    return message.encode()


def _struct(kind: type[TlsStruct], octets: bytes) -> bytes:
    return kind.decode(octets).encode()


_ROUND_TRIPS: dict[str, Callable[[bytes], bytes]] = {
    **{name: partial(_message, body) for name, body in _BODIES.items()},
    **{name: partial(_proposal, number) for name, number in _PROPOSAL_TYPES.items()},
    "ratchet_tree": partial(_struct, RatchetTreeExtension),
    "group_secrets": partial(_struct, GroupSecrets),
    "commit": partial(_struct, Commit),
}


@pytest.mark.parametrize("file", _FILES)
def test_every_message_survives_a_round_trip(file: str) -> None:
    entries: list[dict[str, str]] = load_vectors(file)
    for number, entry in enumerate(entries):
        assert len(entry) == _KEYS_PER_ENTRY
        for name, text in entry.items():
            assert _ROUND_TRIPS[name](bytes.fromhex(text)).hex() == text, f"entry {number}, {name}"
    print(f"{file}: {len(entries)} entries, {len(entries) * _KEYS_PER_ENTRY} structures")


def test_every_length_header_says_its_length() -> None:
    file = "mls/mls-implementations/deserialization.json"
    entries: list[dict[str, Any]] = load_vectors(file)
    for entry in entries:
        reader = Reader(bytes.fromhex(entry["vlbytes_header"]))
        assert reader.varint() == entry["length"]
        reader.finish()
    print(f"{file}: {len(entries)} entries")
