"""Control messages that wait for a device: those of an older era are of no use once a newer one's Welcome waits too
(RCC.16 digest §14.4)."""

from __future__ import annotations

from collections.abc import Iterable

from rcs_sim.e2ee.content_types import MlsContentType, classify_content_type
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.e2ee.server_message import CommitBundle, RawMlsMessage, decode_server_message
from rcs_sim.server.mailbox import HeldMessage
from rcs_sim.server.pager_content import ContentRefused, PagerContent, read_pager
from rcs_sim.wire.protobuf import ProtobufError

__all__ = ["outdated_by"]


def outdated_by(content: PagerContent, sender: str, waiting: Iterable[HeldMessage]) -> list[HeldMessage]:
    """Of the messages that wait for a user, the Welcomes, commits and proposals of older eras of that conversation, if
    *content*, which came from *sender*, brings a Welcome."""
    era = _era_of_welcome(content)
    if era is None:
        return []
    older = []
    for held in waiting:
        if held.sender == sender and (found := _era_of_handshake(held)) is not None and found < era:
            older.append(held)
    return older


def _era_of_welcome(content: PagerContent) -> int | None:
    found = _control(content)
    return found[0] if found is not None and isinstance(found[1], CommitBundle) and found[1].welcome else None


def _era_of_handshake(held: HeldMessage) -> int | None:
    try:
        found = _control(read_pager(held.request))
    except ContentRefused:
        return None
    return found[0] if found is not None and isinstance(found[1], (CommitBundle, RawMlsMessage)) else None


def _control(content: PagerContent) -> tuple[int, object] | None:
    """Era and body of a control message of the focus; None for anything else."""
    if not content.media_type.startswith(MlsContentType.SERVER) or content.cpim is None:
        return None
    if classify_content_type(content.media_type) is not MlsContentType.SERVER:
        return None
    era = MlsHeaders.of(content.cpim).era_id
    try:
        return None if era is None else (era, decode_server_message(content.body))
    except ProtobufError:
        return None
