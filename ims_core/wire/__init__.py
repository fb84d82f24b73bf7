"""Sans-IO codecs and state machines: no sockets, clocks, asyncio or randomness."""
