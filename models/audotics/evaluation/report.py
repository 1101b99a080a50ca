"""The report: a comparison goes in, one HTML page with its tables and charts comes out, whole without a network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from audotics.evaluation.bias import Group
from audotics.evaluation.charts import grouped_bars, interval_bars, reliability_curve
from audotics.evaluation.results import Comparison, ModelResult
from audotics.evaluation.significance import LEVEL

ACCURACY = ("hr", "ndcg", "precision", "recall", "map", "mrr")
MEANINGS = {
    "coverage": "share of the catalogue that stands in at least one list",
    "gini": "inequality of exposure: 0 when all tracks stand in as many lists, towards 1 when few fill them all",
    "novelty": "mean bits of surprise, log2(listeners / plays) of a listed track",
    "diversity": "mean of 1 - cosine between the tracks of a list, by audio features and tags",
    "artist_fairness": "1 - total variation distance between the artists' shares of exposure and of plays",
}
"""What is measured of the lists, by name."""

BIASES = {
    "activity": ("Listeners by what they have heard", "tracks heard"),
    "popularity": ("Held-out tracks by their plays in training", "plays"),
}
"""Heading and unit of each property."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #667085; --line: #d8dde6; --page: #fff; --bar: #3b6fb6 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --dim: #98a2b3; --line: #344054; --page: #12161d; --bar: #6c9fe0 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.5rem } p, dl { color: var(--dim) }
dl { display: grid; grid-template-columns: max-content auto; gap: 0 1rem } dd { margin: 0 }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left } .best { font-weight: 600 }
svg { max-width: 100%; height: auto; font: 12px system-ui, sans-serif } svg text { fill: var(--dim) }
.grid { stroke: var(--line); fill: none } .bar { fill: var(--bar) } .whisker { stroke: var(--ink); fill: none }
.diagonal { stroke: var(--dim); stroke-dasharray: 4 4; fill: none } .curve { stroke: var(--bar); fill: none }
.point { fill: var(--bar) }
.s0 { fill: #a3acba } .s1 { fill: #7c8798 } .s2 { fill: #58626f } .s3 { fill: #4a83d0 } .s4 { fill: #d9822b }
.s5 { fill: #2e9b78 } .s6 { fill: #c4524e } .s7 { fill: #8d6bc4 } .s8 { fill: #c9a227 } .s9 { fill: #3aa5b8 }
.s10 { fill: #b86a9b } .s11 { fill: #7f9a3c }
"""


def render(comparison: Comparison) -> str:
    """The whole page."""
    title = f"Audotics: {comparison.protocol.get('dataset', 'comparison')}"
    sections = [_summary(comparison), _accuracy(comparison), _lists(comparison)]
    sections += [_bias(comparison, name) for name in BIASES]
    sections += [_calibration(name, result) for name, result in comparison.results.items() if result.reliability]
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in comparison.protocol.items()
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n<dl>{facts}</dl>\n"
        + "\n".join(sections)
        + "\n</body>\n</html>\n"
    )


def _summary(comparison: Comparison) -> str:
    k, results = comparison.k, comparison.results
    columns = [f"HR@{k}", f"NDCG@{k}", f"{LEVEL:.0%} interval"]
    if comparison.baseline is not None:
        columns.append(f"NDCG@{k} / {comparison.baseline} ({LEVEL:.0%})")
    rows = []
    for model, result in results.items():
        cells = [_number(result.metrics[f"hr@{k}"]), _number(result.metrics[f"ndcg@{k}"])]
        cells.append(f"{_number(result.interval.low)}–{_number(result.interval.high)}")
        if comparison.baseline is not None:
            ratio = result.ratio
            cells.append(f"{ratio.estimate:.3f} ({ratio.low:.3f}–{ratio.high:.3f})" if ratio else "1")
        rows.append((model, cells))
    chart = interval_bars(
        {model: result.interval for model, result in results.items()}, title=f"NDCG@{k} of each model with its interval"
    )
    note = (
        "Intervals come from a bootstrap over listeners. That of a ratio is paired: the same listeners are drawn for "
        "both models, so it is the one to compare by."
    )
    return _section("How well each model finds the held-out track", _table(("model", *columns), rows), chart, note=note)


def _accuracy(comparison: Comparison) -> str:
    names = [f"{name}@{comparison.k}" for name in ACCURACY]
    return _section("Accuracy", _metric_table(comparison, names, best=True))


def _lists(comparison: Comparison) -> str:
    k = comparison.k
    measured = next(iter(comparison.rows.values()))
    names = [f"{name}@{k}" for name in MEANINGS if f"{name}@{k}" in measured]
    meanings = "".join(f"<dt>{escape(_title(name))}</dt><dd>{escape(text)}</dd>" for name, text in MEANINGS.items())
    return _section(
        f"What stands in the first {k}", _metric_table(comparison, names, best=False), f"<dl>{meanings}</dl>"
    )


def _bias(comparison: Comparison, name: str) -> str:
    heading, unit = BIASES[name]
    by_model = {model: result.bias[name] for model, result in comparison.results.items()}
    groups = next(iter(by_model.values()))
    labels = [_range(group) for group in groups]
    series = {model: [group.value for group in found] for model, found in by_model.items()}
    chart = grouped_bars(labels, series, title=f"NDCG@{comparison.k}. {heading}")
    columns = ("model", *(f"{label} {unit} ({group.count:,})" for label, group in zip(labels, groups, strict=True)))
    rows = [(model, [_number(value) for value in values]) for model, values in series.items()]
    note = f"NDCG@{comparison.k} in groups of about as many listeners; a fair model serves all about as well."
    return _section(heading, chart, _table(columns, rows), note=note)


def _calibration(model: str, result: ModelResult) -> str:
    chart = reliability_curve(result.reliability, title=f"Calibration of {model}")
    note = (
        f"Is the confidence of {model} in a listed track the chance that it is the held-out one? The expected "
        f"calibration error is {result.metrics['ece']:.4f}; each point holds as many tracks."
    )
    return _section(f"Calibration of {model}", chart, note=note)


def _metric_table(comparison: Comparison, names: Sequence[str], *, best: bool) -> str:
    highest = {name: max(row.get(name, 0.0) for row in comparison.rows.values()) for name in names}
    rows = [
        (model, [_cell(metrics.get(name), best=best and metrics.get(name) == highest[name]) for name in names])
        for model, metrics in comparison.rows.items()
    ]
    return _table(("model", *(_title(name) for name in names)), rows, escaped=True)


def _table(columns: Iterable[str], rows: Iterable[tuple[str, Sequence[str]]], *, escaped: bool = False) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(cell if escaped else f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, cells in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _section(heading: str, *parts: str, note: str = "") -> str:
    text = f"<p>{escape(note)}</p>" if note else ""
    return f"<section>\n<h2>{escape(heading)}</h2>\n{text}{''.join(parts)}\n</section>"


def _cell(value: float | None, *, best: bool) -> str:
    mark = ' class="best"' if best else ""
    return f"<td{mark}>{'–' if value is None else _number(value)}</td>"


def _title(metric: str) -> str:
    name, at, k = metric.partition("@")
    return (name.upper() if name in ("hr", "ndcg", "map", "mrr") else name.replace("_", " ").capitalize()) + at + k


def _range(group: Group) -> str:
    low, high = f"{group.low:g}", f"{group.high:g}"
    return low if low == high else f"{low}–{high}"


def _number(value: float) -> str:
    return f"{value:.4f}"
