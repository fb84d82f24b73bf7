"""SIP (RFC 3261 and what IMS adds to it)."""
