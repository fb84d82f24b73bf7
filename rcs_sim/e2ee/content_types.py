"""Media types of the MLS plane, and the namespaces of the headers beside them (RCC.16 §7.2, §7.8 to §7.13)."""

from __future__ import annotations

from enum import StrEnum

from rcs_sim.wire.cpim_header import GSMA as GSMA_NAMESPACE
from rcs_sim.wire.cpim_header import MLS as MLS_NAMESPACE
from rcs_sim.wire.cpim_header import SIM as SIM_NAMESPACE

__all__ = [
    "ACCEPT_WRAPPED_TYPES",
    "CONTROL_TYPES",
    "GSMA_NAMESPACE",
    "MLS_NAMESPACE",
    "SIM_NAMESPACE",
    "MlsContentType",
    "classify_content_type",
    "is_on_mls_plane",
]


class MlsContentType(StrEnum):
    """What an inner body of the MLS plane is."""

    MESSAGE = "message/mls"
    FILE_TRANSFER = "message/mls-ft"
    FILE_INFO = "message/mls-rcs-file-info"
    CLIENT = "message/mls-rcs-client"
    SERVER = "message/mls-rcs-server"
    GROUP_INFO_REQUEST = "message/mls-rcs"
    GROUP_METADATA_KEYS = "message/mls-rcs-group-metadata-keys"
    """(inferred): by analogy, nobody has captured the token."""
    SERVER_KICK = "message/mls-rcs-server-kick"
    """Internal to one deployment: dropped on receive."""


CONTROL_TYPES = frozenset({MlsContentType.CLIENT, MlsContentType.SERVER, MlsContentType.GROUP_INFO_REQUEST})
ACCEPT_WRAPPED_TYPES = (
    MlsContentType.MESSAGE,
    MlsContentType.GROUP_INFO_REQUEST,
    MlsContentType.CLIENT,
    MlsContentType.SERVER,
)
"""What the SDP of a session adds to ``a=accept-wrapped-types`` (inferred)."""

_BY_ESSENCE = {str(each): each for each in MlsContentType}
_PLANE = "message/mls"


def _essence(media_type: str) -> str:
    return media_type.partition(";")[0].strip(" \t").lower()


def classify_content_type(media_type: str) -> MlsContentType | None:
    """The type without its parameters and regardless of case; None for one that is not known here."""
    return _BY_ESSENCE.get(media_type) or _BY_ESSENCE.get(_essence(media_type))


def is_on_mls_plane(media_type: str) -> bool:
    """Whether a body belongs to the MLS plane, types that are not known among it: an unknown one there is a fault of
    routing and may not be treated as plain content."""
    essence = _essence(media_type)
    return essence == _PLANE or essence.startswith(_PLANE + "-")
