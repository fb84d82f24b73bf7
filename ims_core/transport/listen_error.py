"""Why an address cannot be listened on, in one sentence that says what to do."""

from __future__ import annotations

import errno

from ims_core.errors import TransportError
from ims_core.transport.link import Address

__all__ = ["listen_error"]

_FIRST_UNPRIVILEGED_PORT = 1024


def listen_error(address: Address, error: OSError) -> TransportError:
    """What to tell the user about *error*, which came from binding *address*."""
    place = f"port {address.port} on {address.host}"
    if error.errno == errno.EADDRINUSE:
        return TransportError(f"{place} is in use: stop the other program or use --ports free")
    if error.errno in (errno.EACCES, errno.EPERM):
        if 0 < address.port < _FIRST_UNPRIVILEGED_PORT:
            return TransportError(f"{place} needs a privilege that this user lacks: use --ports free")
        return TransportError(f"{place} is forbidden by this system: use --ports free")
    if error.errno == errno.EADDRNOTAVAIL:
        return TransportError(f"{address.host} is no address of this machine: add it to the loopback interface")
    return TransportError(f"cannot listen at {place}: {error.strerror or error}")
