"""Speed and size, measured beside the peers that are installed; never a test."""
