"""Message sessions: SDP media, roles, frames, chunks, sessions (RFC 4975, 4976, 6135, 6714)."""
