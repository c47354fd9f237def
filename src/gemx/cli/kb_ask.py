"""`gemx kb ask`: a question that is answered from a knowledge base alone, its citations checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import door, gen_answer, kb_text, keeping, options, output
from gemx.cli.kb_options import Base, TopK
from gemx.errors import ContractError, GemxError, InputError

if TYPE_CHECKING:
    from gemx.gateway import Reply
    from gemx.knowledge import Hit
    from gemx.knowledge.answer import Cited
    from gemx.knowledge.base import Base as KnowledgeBase


def ask(
    question: Annotated[list[str], typer.Argument(metavar="QUESTION", help="The question.")],
    kb: Base = "default",
    top_k: TopK = 5,
    min_score: Annotated[
        float | None,
        typer.Option(
            "--min-score",
            metavar="X",
            min=0,
            max=1,
            help="Refuse where no hit covers so much of the question, from 0 to 1. Default: 0.5.",
        ),
    ] = None,
    min_cosine: Annotated[
        float | None,
        typer.Option(
            "--min-cosine",
            metavar="X",
            min=-1,
            max=1,
            help="Answer also where a hit is so near by its vector; what is near depends on the embedder.",
        ),
    ] = None,
    model: options.Model = None,
    option: options.ModelOptions = None,
    fallback: options.Fallback = None,
    guard: options.Guard = None,
    network: options.Network = None,
    local_only: options.LocalOnly = False,
    max_cost: options.MaxCost = None,
    timeout: options.Timeout = None,
    tries: options.Tries = None,
    profile: options.Profile = None,
    out: options.Out = None,
    as_json: options.AsJson = False,
    no_history: options.NoHistory = False,
    subject: options.Subject = None,
    quiet: options.Quiet = False,
) -> int:
    """Answer a question from the documents of a base alone, with citations; exit 6 where they do not say it."""
    output.begin("kb ask", as_json=as_json, quiet=quiet)
    from gemx import gateway, settings
    from gemx.knowledge import answer, retrieve
    from gemx.knowledge import base as bases

    if out:
        output.check_writable(out)
    flags = door.Flags(model, option, fallback, guard, network, local_only, max_cost, timeout, tries)
    flags.check()
    asked, resolved, base = _question(question), settings.load(profile), bases.named(kb)
    origin = gateway.Origin("kb ask", gateway.new_run_id(), subject=options.subject(subject))
    with door.receipted():
        vector = retrieve.near(base, asked, flags.embedding(resolved), origin)
        tell_missing(base)
        hits = retrieve.search(base, asked, top_k=top_k, vector=vector)
        searched = vector.attempts if vector else ()
        least = answer.MIN_SCORE if min_score is None else min_score
        found = {"run_id": origin.run_id, "kb": base.name, "question": asked, "min_score": least}
        if not answer.is_covered(hits, least, min_cosine):
            door.receipt(searched)
            return _refuse(found, hits, base, least, as_json=as_json)
        request = answer.request(asked, hits, origin)
        policy = flags.policy(resolved, request)
        door.announce(policy)
        reply = gateway.call(request, policy)
    cited = answer.cited(reply.text, hits)
    data = {
        **gen_answer.data(request, reply, gateway.substitution(reply, policy), None),
        **found,
        **_data(reply, hits, cited),
    }
    failures = _failures(reply, cited)
    if not no_history:
        failures += keeping.keep(answer.entry(request, reply, data), resolved.config.history.keep)
    text = "\n\n".join(part for part in (reply.text.rstrip(), kb_text.sources(cited.hits)) if part)
    exit_code = gen_answer.deliver(data if as_json else None, reply, text, failures, out, streamed=False)
    door.receipt((*searched, *reply.attempts))
    return exit_code


def tell_missing(base: KnowledgeBase) -> None:
    """Say where chunks of a base with an embedder have no vector yet: they are found by words alone."""
    from gemx.knowledge import embedder

    if embedder.of(base) and (count := embedder.missing(base)):
        output.warning(f"gemx: {count} chunks have no vector yet: gemx kb add goes on, or gemx kb rebuild")


def _question(words: Sequence[str]) -> str:
    from gemx import documents

    text = documents.read_stdin() if list(words) == ["-"] else " ".join(words)
    if not text.strip():
        raise InputError("a pergunta está vazia", hint='por exemplo: gemx kb ask "quando iniciar noradrenalina?"')
    return text


def _refuse(found: dict[str, Any], hits: Sequence[Hit], base: KnowledgeBase, least: float, *, as_json: bool) -> int:
    """Say that the base does not answer; no model was asked."""
    best = max((hit.score for hit in hits), default=0.0)
    refusal = ContractError(
        f"não há resposta nos documentos da base {base.name}: o melhor trecho cobre {best:.0%} da pergunta, "
        f"e o mínimo é {least:.0%}. Nenhum modelo foi consultado",
        hint="escreva a pergunta com as palavras dos documentos, veja gemx kb search, ou mude --min-score",
    )
    if as_json:
        data = {**found, "refused": True, "answer": None, "citations": [], "hits": [hit.data() for hit in hits]}
        output.as_json(data, refusal.exit_code, [output.described(refusal)])
    else:
        output.error(refusal)
    return refusal.exit_code


def _data(reply: Reply, hits: Sequence[Hit], cited: Cited) -> dict[str, Any]:
    return {
        "refused": False,
        "answer": reply.text,
        "citations": [hit.id for hit in cited.hits],
        "unknown_citations": list(cited.unknown),
        "hits": [hit.data() for hit in hits],
    }


def _failures(reply: Reply, cited: Cited) -> list[GemxError]:
    """What is wrong with the answer, if anything is."""
    from gemx.knowledge import answer

    failures: list[GemxError] = [failure] if (failure := gen_answer.failure(reply)) else []
    if cited.unknown:
        named = ", ".join(cited.unknown)
        hint = "não confie na resposta: confira os trechos com gemx kb search"
        failures.append(ContractError(f"a resposta cita o que não está entre os trechos: {named}", hint=hint))
    elif not cited.hits and answer.NOT_ANSWERED in reply.text:
        hint = "veja os trechos com gemx kb search, e pergunte com as palavras deles"
        failures.append(ContractError("o modelo diz que os trechos não respondem a esta pergunta", hint=hint))
    elif not cited.hits:
        hint = "sem citação não se sabe de onde veio: confira os trechos com gemx kb search"
        failures.append(ContractError("a resposta não cita nenhum trecho dos documentos", hint=hint))
    return failures
