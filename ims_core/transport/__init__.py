"""asyncio: the only sockets and the only real clock."""
