"""The line of a chat on a terminal that moves no cursor: a line is a message, a backslash at its end goes on."""

from __future__ import annotations

from gemx.sanitize import printable


class PlainLine:
    """Where a person writes, as the terminal itself lets them."""

    text = ""  # what was in a line that Ctrl-C cleared, nobody knows

    def read(self, offered: str = "") -> str:
        """A message, or a command; `offered` is on the screen already, and cannot be edited.

        Raises KeyboardInterrupt at Ctrl-C, EOFError at Ctrl-D.
        """
        lines = [input("> ")]
        while lines[-1].endswith("\\"):
            lines[-1] = lines[-1][:-1]
            lines.append(input("  "))
        # What the arrow keys put there is no text.
        return printable("\n".join(lines))
