"""`gemx auto batch`: one automation over the patients of a file."""

from __future__ import annotations

from gemx.cli import flow_batch, flow_execution, flow_names, options, output


def batch(
    name: options.Automation,
    items: flow_batch.ItemsFile,
    out: flow_batch.OutFile = None,
    concurrency: flow_batch.Concurrency = None,
    failed_only: flow_batch.FailedOnly = False,
    if_running: flow_batch.IfRunningOption = "skip",
    dry_run: flow_batch.DryRun = False,
    progress: flow_batch.ProgressForm = "auto",
    model: options.Model = None,
    option: options.ModelOptions = None,
    fallback: options.Fallback = None,
    guard: options.Guard = None,
    network: options.Network = None,
    local_only: options.LocalOnly = False,
    max_cost: flow_batch.TotalCost = None,
    timeout: flow_batch.CallTimeout = None,
    tries: options.Tries = None,
    profile: options.Profile = None,
    formulary: options.Formulary = None,
    repair: options.Repair = 0,
    strict: options.Strict = False,
    subject: options.Subject = None,
    subject_from: flow_batch.SubjectFrom = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Run an automation for every patient of a file, and verify each answer. The same command again goes on.

    A column `id` names the row, and is no datum of the patient. An answer that breaks its contract or a check is a
    failed row. Exit 7: some rows failed; what runs them again is shown.
    """
    output.begin("auto batch", as_json=as_json, quiet=quiet)
    from gemx.flow import plan as plans

    plan = plans.Plan(
        command="auto batch",
        name=plans.named("automations", name),
        items=flow_batch.located(items),
        out=str(out.absolute()) if out else None,
        concurrency=concurrency,
        model=model,
        options=options.pairs(option, "-o"),
        fallback=tuple(fallback or ()),
        guard=guard,
        network=flow_names.network(network, local_only=local_only),
        max_cost=max_cost,
        timeout=timeout,
        tries=tries,
        profile=profile,
        formulary=str(formulary.absolute()) if formulary else None,
        repair=repair,
        strict=strict,
        subject=options.subject(subject),
        subject_from=flow_batch.column(subject_from, subject),
    )
    how = flow_execution.How(again=failed_only, progress=progress)
    return flow_batch.start(plan, how, if_running, dry_run=dry_run, as_json=as_json)
