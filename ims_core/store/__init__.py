"""State that outlives a process, behind one small Protocol per concern."""
