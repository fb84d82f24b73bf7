"""Actions of the autoconfiguration server."""

from __future__ import annotations

from ims_core.transport.http_message import HttpResponse
from rcs_sim.server.config_actions import Respond, SendSms


def test_neither_passwords_nor_documents_are_shown() -> None:
    assert "123456" not in repr(SendSms("+1", "123456 is your RCS code"))
    assert "secret" not in repr(Respond(HttpResponse(200, (), b"secret")))
