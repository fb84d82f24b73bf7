"""RCS servers."""
