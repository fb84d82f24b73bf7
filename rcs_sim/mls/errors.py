"""What the engine refuses, by the id of the rule that refused it."""

from __future__ import annotations

from ims_core.errors import RemoteProtocolError

__all__ = ["MlsValidationError"]


class MlsValidationError(RemoteProtocolError):
    """A well-formed message breaks a rule of RFC 9420. *rule* is the id of that rule (``ValSem010``, ``VAL-017``)."""

    def __init__(self, rule: str, message: str, *, spec: str, raw: bytes = b"") -> None:
        super().__init__(f"{rule}: {message}", spec=spec, raw=raw)
        self.rule = rule
