"""What passes of the MLS plane: sealed messages, requests to the focus, and what it fans out (RCC.16 §7)."""

from __future__ import annotations

from dataclasses import replace

from ims_core.errors import RemoteProtocolError
from rcs_sim.e2ee.client_message import ClientMlsRcsMessage
from rcs_sim.e2ee.content_types import MlsContentType, classify_content_type
from rcs_sim.e2ee.custom_proposals import RCS_CUSTOM_BODIES
from rcs_sim.e2ee.server_message import CommitBundle, decode_server_message, encode_server_message
from rcs_sim.mls.messages import MLSMessage, PrivateMessage, PublicMessage
from rcs_sim.scenario.faults.passing import Passing, with_cpim_body
from rcs_sim.wire.cpim import CpimMessage

__all__ = ["flipped", "focus_bundle", "focus_request", "mls_kind", "rewritten", "sealed_message", "spoiled"]


def mls_kind(passing: Passing) -> MlsContentType | None:
    """None for what is not of the MLS plane."""
    cpim = passing.cpim
    return None if cpim is None else classify_content_type(cpim.content_type.essence)


def sealed_message(passing: Passing) -> CpimMessage | None:
    """A message that a user wrote, sealed."""
    return passing.cpim if mls_kind(passing) is MlsContentType.MESSAGE else None


def focus_request(passing: Passing) -> ClientMlsRcsMessage | None:
    """What a device asks of the focus."""
    cpim = passing.cpim
    if cpim is None or mls_kind(passing) is not MlsContentType.CLIENT:
        return None
    try:
        return ClientMlsRcsMessage.decode(cpim.body)
    except RemoteProtocolError:
        return None


def focus_bundle(passing: Passing) -> CommitBundle | None:
    """A commit or a Welcome that the focus fans out."""
    cpim = passing.cpim
    if cpim is None or mls_kind(passing) is not MlsContentType.SERVER:
        return None
    try:
        found = decode_server_message(cpim.body)
    except RemoteProtocolError:
        return None
    return found if isinstance(found, CommitBundle) else None


def rewritten(passing: Passing, content: bytes | ClientMlsRcsMessage | CommitBundle) -> bytes:
    """The whole message with another content of the same type."""
    cpim = passing.cpim
    assert cpim is not None
    match content:
        case ClientMlsRcsMessage():
            body = content.encode()
        case CommitBundle():
            body = encode_server_message(content)
        case _:
            body = content
    return passing.with_cpim(with_cpim_body(cpim, body))


def flipped(octets: bytes) -> bytes:
    """With its last bit the other way; so long as they are any."""
    return octets[:-1] + bytes((octets[-1] ^ 1,)) if octets else octets


def spoiled(octets: bytes, what: str) -> bytes | None:
    """An MLSMessage of which *what* is wrong: ``signature`` (of a PublicMessage), ``aad``, ``confirmation_tag``. None
    where it has no such thing."""
    try:
        body = MLSMessage.decode(octets, RCS_CUSTOM_BODIES).body
    except RemoteProtocolError:
        return None
    match body, what:
        case PublicMessage(), "signature":
            changed = replace(body, auth=replace(body.auth, signature=flipped(body.auth.signature)))
        case PublicMessage(), "confirmation_tag" if body.auth.confirmation_tag is not None:
            auth = replace(body.auth, confirmation_tag=flipped(body.auth.confirmation_tag))
            changed = replace(body, auth=auth)
        case PublicMessage(), "aad":
            content = replace(body.content, authenticated_data=flipped(body.content.authenticated_data))
            changed = replace(body, content=content)
        case PrivateMessage(), "aad":
            return MLSMessage(replace(body, authenticated_data=flipped(body.authenticated_data))).encode()
        case _:
            return None
    return MLSMessage(changed).encode()
