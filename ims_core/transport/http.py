"""HTTP for handlers of `http_message`, in both worlds: h11 on in-memory links, aiohttp on sockets."""

from __future__ import annotations

from ims_core.transport.http_memory import MemoryHttpClient, MemoryHttpServer
from ims_core.transport.http_sockets import SocketHttpClient, SocketHttpServer

__all__ = ["MemoryHttpClient", "MemoryHttpServer", "SocketHttpClient", "SocketHttpServer"]
