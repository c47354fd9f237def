"""The audit log: what was called, by whom and how it ended, in hash-chained daily files."""
