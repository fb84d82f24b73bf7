"""Who is at the far end of each connection of a service centre."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.cx import Sh
from ims_core.nodes.smsc_actions import SmscConfig
from ims_core.wire.sms.sm_link import Accepted, Attach, Bind, LinkRole, Refused, SmError

__all__ = ["LinkTable", "LinkUser"]


@dataclass(slots=True)
class LinkUser:
    """Nothing is set before BIND or ATTACH. *imsi* and *msisdn* are a phone's, *name* is a node's."""

    host: str
    role: LinkRole | None = None
    name: str = ""
    imsi: str = ""
    msisdn: str = ""

    @property
    def is_known(self) -> bool:
        return self.role is not None or bool(self.imsi)


class LinkTable:
    """Connections by what their far end is; a later one with the same name or IMSI takes the place of the earlier."""

    __slots__ = ("_config", "_named", "_phones", "_sh", "users")

    def __init__(self, config: SmscConfig, sh: Sh) -> None:
        self._config = config
        self._sh = sh
        self.users: dict[int, LinkUser] = {}
        self._named: dict[tuple[LinkRole, str], int] = {}
        self._phones: dict[str, int] = {}  # by number

    def gateway(self) -> int | None:
        return self._named.get((LinkRole.IP_SM_GW, ""))

    def application(self, name: str) -> int | None:
        return self._named.get((LinkRole.APPLICATION, name))

    def phone(self, msisdn: str) -> int | None:
        return self._phones.get(msisdn)

    def bind(self, link: int, user: LinkUser, message: Bind) -> tuple[Accepted | Refused, int | None]:
        """The answer, and the connection that this one replaces. The IP-SM-GW is one, whatever its name."""
        if user.is_known or not self._may_bind(user, message):
            return Refused(message.reference, SmError.UNAUTHORIZED), None
        user.role, user.name = message.role, message.name
        key = self._key(user)
        replaced = self._named.get(key)
        self._named[key] = link
        return Accepted(message.reference), replaced

    def attach(self, link: int, user: LinkUser, message: Attach) -> tuple[Accepted | Refused, int | None]:
        """As `bind`. The radio's authentication is left out: the IMSI is believed (choice)."""
        subscriber = self._sh.user_by_imsi(message.imsi)
        if user.is_known or subscriber is None or subscriber.msisdn is None or subscriber.is_barred:
            return Refused(message.reference, SmError.UNKNOWN_SUBSCRIBER), None
        user.imsi, user.msisdn = message.imsi, subscriber.msisdn
        replaced = self._phones.get(user.msisdn)
        self._phones[user.msisdn] = link
        return Accepted(message.reference, user.msisdn), replaced

    def remove(self, link: int) -> LinkUser | None:
        user = self.users.pop(link, None)
        if user is None:
            return None
        if user.role is not None and self._named.get(self._key(user)) == link:
            del self._named[self._key(user)]
        if user.msisdn and self._phones.get(user.msisdn) == link:
            del self._phones[user.msisdn]
        return user

    def _may_bind(self, user: LinkUser, message: Bind) -> bool:
        if message.role is LinkRole.SMSC:
            peer = self._config.peers.get(message.name)
            return peer is not None and peer.host == user.host
        return user.host in self._config.trusted_hosts

    @staticmethod
    def _key(user: LinkUser) -> tuple[LinkRole, str]:
        assert user.role is not None
        return user.role, "" if user.role is LinkRole.IP_SM_GW else user.name
