"""The command line: thin command files over the rest of the house; `output` is the only printer."""
