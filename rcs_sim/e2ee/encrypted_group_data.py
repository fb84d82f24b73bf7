"""Group data of an encrypted conversation: the sealed subject, or the address of the sealed icon (RCC.16 §7.13.1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ims_core.errors import LocalProtocolError, RemoteProtocolError
from rcs_sim.wire.xml_document import child_elements, child_text, escape_text, local_name, parse_xml

__all__ = ["GROUP_DATA_CONTENT_TYPE", "EncryptedGroupData", "GroupDataError", "GroupDataTarget"]

GROUP_DATA_CONTENT_TYPE = "application/vnd.oma.cpm-groupdata+xml"
MAX_GROUP_DATA_OCTETS = 64 * 1024  # an encrypted subject is below 1 KiB
_NAMESPACE = "urn:oma:xml:cpm:groupdata"
_SPEC = "RCC.16 §7.13"


class GroupDataError(RemoteProtocolError):
    """The peer's octets are no group data of an encrypted conversation."""


class GroupDataTarget(StrEnum):
    """What is set or deleted."""

    SUBJECT = "encrypted-subject"
    ICON = "encrypted-icon"


@dataclass(frozen=True, slots=True)
class EncryptedGroupData:
    """*content* is the ciphertext of a subject in base64, or the URL of that of an icon; None deletes."""

    target: GroupDataTarget
    content: str | None

    @classmethod
    def parse(cls, octets: bytes) -> EncryptedGroupData:
        """Names are matched without their namespace. Raises GroupDataError, and nothing else, on any octets."""
        root = parse_xml(octets, GroupDataError, max_octets=MAX_GROUP_DATA_OCTETS)
        action, name = child_text(root, "action-type"), child_text(root, "target-type")
        if local_name(root) != "groupdata" or name not in list(GroupDataTarget):
            raise GroupDataError("no groupdata with a target-type that is known", spec=_SPEC, raw=octets)
        target = GroupDataTarget(name)
        if action == "delete":
            return cls(target, None)
        content = next((child_text(element, target) for tag, element in child_elements(root) if tag == "data"), None)
        if action != "set" or not content:
            raise GroupDataError("groupdata that neither sets nor deletes", spec=_SPEC, raw=octets)
        return cls(target, content)

    def encode(self) -> bytes:
        """The document. Raises LocalProtocolError for content that is there and empty."""
        if self.content == "":
            raise LocalProtocolError("group data is set to something or deleted", spec=_SPEC)
        action, setting = "delete", ""
        if self.content is not None:
            action = "set"
            setting = f"  <data><{self.target}>{escape_text(self.content)}</{self.target}></data>\n"
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<groupdata xmlns="{_NAMESPACE}">\n'
            f"  <target-type>{self.target}</target-type>\n  <action-type>{action}</action-type>\n"
            f"{setting}</groupdata>\n"
        ).encode()
