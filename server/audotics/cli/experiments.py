"""`audotics experiments`: experiments are started, shown, reported on, stopped and promoted through the public API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audotics.cli.connection import JsonOption, ServerOption, connected
from audotics.cli.output import expected_errors, print_json, print_line, print_table
from audotics.cli.plan_file import PlanError, read_plan
from audotics.client import Arm, Comparison, Experiment, ExperimentReport, Metric, PolicyRule

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Try ways of making lists side by side, and see which is better."
)

NameArgument = Annotated[str, typer.Argument(help="An experiment's name.")]


@app.command()
def create(
    file: Annotated[Path, typer.Argument(help="A TOML file: name, arms, and what else is not as usual.")],
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """Start an experiment. What is wrong with it is named field by field, and then nothing is started."""
    with expected_errors(PlanError, ValueError):
        plan = read_plan(file)
        with connected(server) as client:
            experiment = client.create_experiment(plan)
    _print_one(experiment, json=json)


@app.command("list")
def list_experiments(
    running: Annotated[bool, typer.Option("--running", help="Only those that run.")] = False,
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """List experiments, the newest first."""
    with connected(server) as client:
        experiments = client.list_experiments(running=True if running else None)
    if json:
        print_json(experiments)
        return
    if not experiments:
        print_line("no experiments; start one with `audotics experiments create FILE`")
        return
    print_table(
        (
            (
                each.plan.name,
                each.state,
                each.plan.layer,
                f"{each.plan.traffic_share:.2%}",
                ", ".join(arm.name for arm in each.plan.arms),
                str(each.plan.metric),
                f"{each.created_at:%Y-%m-%d %H:%M}",
            )
            for each in experiments
        ),
        columns=("experiment", "state", "layer", "traffic", "arms", "metric", "created (UTC)"),
        numeric=("traffic",),
        whole=("experiment", "created (UTC)"),
    )


@app.command()
def show(name: NameArgument, json: JsonOption = False, server: ServerOption = "localhost:50051") -> None:
    """Show an experiment: its arms, and what happened to it."""
    with connected(server) as client:
        experiment = client.get_experiment(name)
    _print_one(experiment, json=json)


@app.command()
def traffic(
    name: NameArgument,
    share: Annotated[float, typer.Argument(help="Share of the layer's listeners, 0.0001 to 1.")],
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """Give an experiment another share of its layer. Growing keeps every listener where they are."""
    with connected(server) as client:
        experiment = client.set_traffic(name, share)
    _print_one(experiment, json=json)


@app.command()
def stop(
    name: NameArgument,
    reason: Annotated[str, typer.Option(help="Kept with the experiment.")] = "",
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """End an experiment: its listeners are served as all others."""
    with connected(server) as client:
        experiment = client.stop_experiment(name, reason=reason)
    _print_one(experiment, json=json)


@app.command()
def report(name: NameArgument, json: JsonOption = False, server: ServerOption = "localhost:50051") -> None:
    """Show how the arms do. The intervals hold however often this is asked."""
    with connected(server) as client:
        found = client.report_experiment(name)
    if json:
        print_json(found)
        return
    _print_report(found)


@app.command()
def promote(
    name: NameArgument,
    arm: Annotated[str, typer.Argument(help="The arm whose model versions get the label.")],
    label: Annotated[str, typer.Option(help="The label to give. The version with the label stable serves.")] = "stable",
    force: Annotated[bool, typer.Option("--force", help="Pass over the promotion gate.")] = False,
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """Give the model versions of an arm a label, through the promotion gate, and end the experiment."""
    with connected(server) as client:
        promotion = client.promote_arm(name, arm, label=label, force=force)
    if json:
        print_json(promotion)
        return
    versions = ", ".join(f"{model}/{version}" for model, version in promotion.versions.items())
    print_line(f"{versions} is {label}; experiment {name} is {promotion.experiment.state}")


@app.command()
def policy(
    name: NameArgument,
    arms: Annotated[str, typer.Argument(help="Probabilities of arms, such as new=1 or control=0.5,new=0.5.")],
    metric: Annotated[str, typer.Option(help="What a list earns.")] = Metric.ENGAGEMENT.value,
    clip: Annotated[float, typer.Option(help="Largest ratio of probabilities; 0 is no bound.")] = 0.0,
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """Estimate what a policy that nobody was served by would have earned, from the receipts."""
    with expected_errors(ValueError), connected(server) as client:
        found = client.evaluate_policy(name, [PolicyRule(_probabilities(arms))], metric=metric, clip=clip)
    if json:
        print_json(found)
        return
    print_line(
        f"{found.lists} lists of {found.listeners} listeners, worth {found.effective_lists:.0f} of equal weight; "
        f"a list earned {found.logged_value:.4f}"
    )
    print_table(
        (
            (each.estimator.replace("_", " "), f"{each.value:.4f}", f"{each.low:.4f} to {each.high:.4f}")
            for each in found.estimates
        ),
        columns=("estimator", "a list would earn", "95 % interval"),
        numeric=("a list would earn",),
    )


def _probabilities(text: str) -> dict[str, float]:
    """Raises ValueError."""
    pairs = [part.partition("=") for part in text.split(",")]
    try:
        return {arm.strip(): float(probability) for arm, _, probability in pairs}
    except ValueError:
        raise ValueError(
            f"ARMS: is {text!r}; write arms with their probabilities, such as control=0.5,new=0.5"
        ) from None


def _print_one(experiment: Experiment, *, json: bool) -> None:
    if json:
        print_json(experiment)
        return
    plan = experiment.plan
    print_line(f"{plan.name} is {experiment.state}: {plan.traffic_share:.2%} of layer {plan.layer}, by {plan.metric}")
    print_table(
        ((arm.name, f"{arm.share:.2%}", _settings(arm, control=plan.control)) for arm in plan.arms),
        columns=("arm", "share", "sets"),
        numeric=("share",),
    )
    for record in experiment.records:
        words = " ".join(part for part in (record.event.replace("_", " "), record.arm) if part)
        print_line(f"   {record.at:%Y-%m-%d %H:%M:%S}  {words}: {record.detail}")


def _settings(arm: Arm, *, control: str | None) -> str:
    parts = []
    if arm.model_label is not None:
        parts.append(f"models {arm.model_label}")
    parts += [f"{model}/{version}" for model, version in arm.model_versions.items()]
    if arm.diversity is not None:
        parts.append(f"diversity {arm.diversity:g}")
    if arm.objectives is not None:
        weights = {name: getattr(arm.objectives, name) for name in arm.objectives.__dataclass_fields__}
        parts += [f"{name} {weight:g}" for name, weight in weights.items() if weight]
    parts += [f"{name} × {weight:g}" for name, weight in sorted(arm.component_weights.items()) if weight != 1]
    if arm.pipeline is not None:
        settings = {name: getattr(arm.pipeline, name) for name in arm.pipeline.__dataclass_fields__}
        parts += [f"{name} {value}" for name, value in settings.items() if value is not None]
    words = ", ".join(parts) or "nothing"
    words += " (control)" if arm.name == control else ""
    return f"{words}; stopped" if arm.stopped_reason else words


def _print_report(report: ExperimentReport) -> None:
    plan = report.experiment.plan
    print_line(f"{plan.name} is {report.experiment.state}, decided by {plan.metric}")
    print_table(
        ((arm.arm, str(arm.listeners), str(arm.observed_listeners), str(arm.lists)) for arm in report.arms),
        columns=("arm", "listeners", "observed", "their lists"),
        numeric=("listeners", "observed", "their lists"),
    )
    compared = {(each.arm, each.metric): each for each in report.comparisons}
    control_first = sorted(report.arms, key=lambda arm: arm.arm != plan.control)
    metrics = [metric for metric in Metric if any(arm.metrics.get(metric) is not None for arm in report.arms)]
    if metrics:
        print_table(
            (
                (
                    metric.replace("_", " "),
                    arm.arm,
                    "" if (value := arm.metrics.get(metric)) is None else f"{value:.4f}",
                    *_lift(compared.get((arm.arm, metric))),
                )
                for metric in metrics
                for arm in control_first
            ),
            columns=("metric", "arm", "value", "lift", "always valid, 95 %", "p"),
            numeric=("value", "lift", "p"),
            whole=("always valid, 95 %",),
        )
    shares = report.sample_ratio.expected_listeners
    expected = ", ".join(f"{arm} {number:.0f}" for arm, number in sorted(shares.items()))
    print_line(f"listeners by the shares: {expected} (p = {report.sample_ratio.p_value:.2g})")
    for note in report.notes:
        print_line(f"note: {note}", style="yellow")
    print_line(f"winner: {report.winner}" if report.winner else "no winner yet", style="bold")


def _lift(comparison: Comparison | None) -> tuple[str, str, str]:
    if comparison is None or comparison.lift is None or comparison.low is None or comparison.high is None:
        return "", "", ""
    interval = f"{comparison.low:+.1%} to {comparison.high:+.1%}"
    return f"{comparison.lift:+.1%}", interval, "" if comparison.p_value is None else f"{comparison.p_value:.2g}"
