"""Run the command line that a menu composed, and show it: what is printed is what runs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from gemx.cli import output, questions
from gemx.errors import StoppedError
from gemx.sanitize import printable

_INTERRUPTED = 130
_ENDINGS = {
    1: "erro do próprio gemx",
    2: "comando mal formado",
    3: "configuração ou arquivo com erro",
    4: "dado de entrada recusado",
    5: "o modelo recusou ou falhou em definitivo",
    6: "a resposta quebra o contrato ou uma verificação: confira os erros acima",
    7: "resposta parcial",
    8: "indisponível por ora: tente mais tarde",
    9: "limite de gasto atingido",
    10: "barrado pela proteção de privacidade",
    11: "não foi possível gravar em disco",
    12: "um alarme disparou",
    _INTERRUPTED: "interrompido",
}


def command(words: str, operand: str, options: Sequence[str] = ()) -> list[str]:
    """A command's arguments with one operand, which may begin with a dash."""
    if operand.startswith("-"):
        return [*words.split(), *options, "--", operand]
    return [*words.split(), operand, *options]


def written(argv: Sequence[str]) -> str:
    """The command line, as a shell reads it."""
    return " ".join(["gemx", *(_quoted(word) for word in argv)])


def run_agreed(
    argv: Sequence[str],
    summary: Sequence[str] = (),
    remarks: Sequence[str] = (),
    still: Callable[[], bool] = lambda: True,
    for_good: bool = False,
) -> bool:
    """Show all of a run, and run it where the user then agrees; whether it ran. Raises Back, StoppedError.

    `still` says, once they agreed, whether what was shown is still what would run; `for_good`, that nothing undoes it.
    """
    if summary:
        output.note("\n" + "; ".join(summary))
    output.note(f"\nComando equivalente:\n{written(argv)}")
    for remark in remarks:
        output.warning(f"aviso: {remark}")
    if not (questions.agreed("Executar?", "Executar agora", for_good=for_good) and still()):
        return False
    _run(argv)
    return True


def run(argv: Sequence[str]) -> None:
    """Show the command line and run it. Raises StoppedError."""
    output.note(f"\n{written(argv)}")
    _run(argv)


def _run(argv: Sequence[str]) -> None:
    """Run the command line in this process, say how it ended, show it to copy, and wait for Enter.

    Raises StoppedError where a signal or a closed pipe ended it: that is not for the command alone.
    """
    from gemx.cli.app import main

    output.note("")
    code = main(argv)
    if code > 128 and code != _INTERRUPTED:
        raise StoppedError("terminated", code)
    ending = f"Terminou com código {code}: {_ENDINGS.get(code, 'falhou')}.\n" if code else ""
    output.note(f"\n{ending}Comando equivalente, para copiar:\n{written(argv)}\n")
    questions.pause("Enter volta ao menu")


def _quoted(word: str) -> str:
    """A word for a shell; what would drive a terminal is written out, as bash and zsh read it."""
    if printable(word) == word:
        return shlex.quote(word)
    escaped = "".join(char if char.isprintable() else _escape(char) for char in word.replace("\\", "\\\\"))
    return "$'{}'".format(escaped.replace("'", "\\'"))


def _escape(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
