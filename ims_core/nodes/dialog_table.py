"""INVITE dialogs that pass through a P-CSCF: known, timed, and ended when a registration ends (TS 24.229 §5.2.8)."""

from __future__ import annotations

from typing import Final

from ims_core.nodes.deadlines import Deadlines
from ims_core.wire.sip.address_headers import Contact, From, RecordRoute, To
from ims_core.wire.sip.core_headers import SessionExpires
from ims_core.wire.sip.message import Request, Response

__all__ = ["DEFAULT_SESSION_S", "REFRESH_METHODS", "DialogKey", "DialogTable", "ProxiedDialog", "dialog_key"]

DEFAULT_SESSION_S: Final = 1800.0  # session.expires_s: how long a dialog without a session timer is believed in
REFRESH_METHODS: Final = frozenset({"INVITE", "UPDATE"})  # RFC 4028 §4
_GRACE_S: Final = 32.0  # the refresher may be late by one transaction (RFC 4028 §10)

DialogKey = tuple[str, str, str, str]
"""Call-ID and the two tags in sorted order, the same from both ends (RFC 3261 §12), and the flow token of the own
Record-Route: a dialog between two UEs of this P-CSCF passes twice."""


class ProxiedDialog:
    """One INVITE dialog as the proxy in its middle sees it."""

    __slots__ = ("call_id", "callee", "callee_contact", "callee_cseq", "callee_routes", "caller", "caller_contact",
                 "caller_cseq", "caller_routes", "caller_tag", "contact_id", "is_ue_caller", "key")  # fmt: skip

    def __init__(self, key: DialogKey, contact_id: str, is_ue_caller: bool, invite: Request, answer: Response) -> None:
        self.key = key
        self.contact_id = contact_id  # the registration that it belongs to
        self.is_ue_caller = is_ue_caller
        self.call_id = invite.call_id
        self.caller = invite.text("From") or ""
        self.caller_tag = invite.require(From).tag
        self.callee = answer.text("To") or ""
        self.caller_contact = _contact(invite)
        self.callee_contact = _contact(answer)
        self.caller_cseq = invite.cseq.number
        self.callee_cseq = 0
        self.caller_routes: tuple[str, ...] = ()  # from here toward the caller
        self.callee_routes: tuple[str, ...] = ()  # from here toward the callee

    def bye(self, *, to_callee: bool, reason: str) -> Request:
        """The BYE that ends it on one side, as if the other had sent it."""
        if to_callee:
            self.caller_cseq += 1
            target, routes, cseq = self.callee_contact, self.callee_routes, self.caller_cseq
            sender, receiver = self.caller, self.callee
        else:
            self.callee_cseq += 1
            target, routes, cseq = self.caller_contact, self.caller_routes, self.callee_cseq
            sender, receiver = self.callee, self.caller
        headers = [("Route", route) for route in routes]
        headers += [("Max-Forwards", "70"), ("From", sender), ("To", receiver), ("Call-ID", self.call_id)]
        headers += [("CSeq", f"{cseq} BYE"), ("Reason", reason)]
        return Request.new("BYE", target, headers)


class DialogTable:
    """All of them. *deadlines* tells when one that nobody refreshed is given up."""

    __slots__ = ("_by_contact_id", "_dialogs", "deadlines")

    def __init__(self) -> None:
        self.deadlines: Deadlines[DialogKey] = Deadlines()
        self._dialogs: dict[DialogKey, ProxiedDialog] = {}
        self._by_contact_id: dict[str, set[DialogKey]] = {}

    def __len__(self) -> int:
        return len(self._dialogs)

    def confirm(
        self, invite: Request, answer: Response, *, contact_id: str, is_ue_caller: bool, token: str, now: float
    ) -> None:
        """A 2xx to INVITE passed: the dialog stands. *token* is the flow token in the own Record-Route."""
        key = dialog_key(answer, token)
        if key is None:
            return
        dialog = self._dialogs.get(key)
        if dialog is None:
            dialog = ProxiedDialog(key, contact_id, is_ue_caller, invite, answer)
            above, below = _split_routes(answer, token)
            dialog.callee_routes, dialog.caller_routes = tuple(reversed(above)), below
            self._dialogs[key] = dialog
            self._by_contact_id.setdefault(contact_id, set()).add(key)
        self._expect_refresh(key, answer, now)

    def refreshed(self, answer: Response, token: str, now: float) -> None:
        """A 2xx to a re-INVITE or UPDATE passed."""
        key = dialog_key(answer, token)
        if key is not None and key in self._dialogs:
            self._expect_refresh(key, answer, now)

    def find(self, request: Request, token: str, now: float) -> ProxiedDialog | None:
        """The dialog of an in-dialog request; its CSeq is noted. An attempt to refresh keeps it, whether or not it is
        answered: some UEs leave UPDATE unanswered and go on (choice; real clients, rows 9 and 10)."""
        key = dialog_key(request, token)
        dialog = self._dialogs.get(key) if key is not None else None
        if key is not None and dialog is not None:
            if request.method in REFRESH_METHODS:
                self._expect_refresh(key, request, now)
            if request.require(From).tag == dialog.caller_tag:
                dialog.caller_cseq = max(dialog.caller_cseq, request.cseq.number)
            else:
                dialog.callee_cseq = max(dialog.callee_cseq, request.cseq.number)
        return dialog

    def remove(self, message: Request | Response, token: str) -> None:
        """A BYE was answered or got no answer, or a request got 481: the dialog is over."""
        key = dialog_key(message, token)
        if key is not None:
            self.drop(key)

    def drop(self, key: DialogKey) -> ProxiedDialog | None:
        dialog = self._dialogs.pop(key, None)
        if dialog is not None:
            self.deadlines.remove(key)
            keys = self._by_contact_id.get(dialog.contact_id, set())
            keys.discard(key)
            if not keys:
                self._by_contact_id.pop(dialog.contact_id, None)
        return dialog

    def drop_all_of(self, contact_id: str) -> list[ProxiedDialog]:
        """The dialogs of a registration that ended; they are removed."""
        keys = sorted(self._by_contact_id.get(contact_id, ()))
        return [dialog for key in keys if (dialog := self.drop(key)) is not None]

    def pop_due(self, now: float) -> list[ProxiedDialog]:
        """Dialogs that nobody refreshed in time; they are removed."""
        return [dialog for key in self.deadlines.pop_due(now) if (dialog := self.drop(key)) is not None]

    def _expect_refresh(self, key: DialogKey, message: Request | Response, now: float) -> None:
        session = message.get(SessionExpires)
        self.deadlines.set(key, now + (DEFAULT_SESSION_S if session is None else session.seconds) + _GRACE_S)


def dialog_key(message: Request | Response, token: str) -> DialogKey | None:
    """None outside a dialog. Raises SipParseError."""
    one, other = message.require(From).tag, message.require(To).tag
    if not one or not other:
        return None
    return (message.call_id, min(one, other), max(one, other), token)


def _contact(message: Request | Response) -> str:
    contact = message.get(Contact)
    if contact is not None:
        return str(contact.uri)
    return message.request_uri_text if isinstance(message, Request) else "sip:unknown.invalid"


def _split_routes(answer: Response, token: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Record-Route above (nearer to the callee) and below the own entry."""
    routes = [str(route) for route in answer.get_all(RecordRoute)]
    place = next((index for index, route in enumerate(routes) if token in route), len(routes))
    return tuple(routes[:place]), tuple(routes[place + 1 :])
