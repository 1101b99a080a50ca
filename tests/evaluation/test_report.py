"""The report as a reader's browser takes it, and charts as a parser does."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from audotics.evaluation.bias import Group
from audotics.evaluation.calibration import ReliabilityBin
from audotics.evaluation.charts import Axis, grouped_bars, interval_bars, reliability_curve
from audotics.evaluation.report import render
from audotics.evaluation.results import Comparison, ModelResult
from audotics.features.interval import Interval

VOID = {"meta"}


class Page(HTMLParser):
    """Collects tables and headings, and fails on a tag that is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1].append(data)
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


def result(ndcg: float, *, ratio: float | None = None, confident: bool = False) -> ModelResult:
    metrics = {f"{name}@10": ndcg for name in ("hr", "ndcg", "precision", "recall", "map", "mrr")}
    metrics |= {"coverage@10": 0.5, "gini@10": 0.75, "novelty@10": 3.25}
    curve = [ReliabilityBin(0.1, 0.05, 40), ReliabilityBin(0.2, 0.3, 40)] if confident else []
    return ModelResult(
        metrics | ({"ece": 0.075} if confident else {}),
        Interval(ndcg, ndcg - 0.01, ndcg + 0.02),
        None if ratio is None else Interval(ratio, ratio - 0.125, ratio + 0.125),
        {
            "activity": [Group(2, 8, 20, ndcg / 2), Group(9, 30, 20, ndcg)],
            "popularity": [Group(1, 1, 20, 0.0), Group(2, 50, 20, ndcg)],
        },
        curve,
    )


@pytest.fixture
def comparison() -> Comparison:
    return Comparison(
        {"dataset": "<songs> & more", "listeners": 40},
        10,
        "EASE",
        {
            "EASE": result(0.125),
            "a <b>&": result(0.0625, ratio=0.5),
            "hybrid": result(0.25, ratio=2.0, confident=True),
        },
    )


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(comparison: Comparison) -> None:
    text = render(comparison)
    page = Page(text)

    assert page.headings[0] == "Audotics: <songs> & more"
    assert not [value for name, value in page.attributes if name in ("src", "href") or "url(" in (value or "")]
    assert "http" not in text
    assert "<script" not in text
    assert page.headings[1:] == [
        "How well each model finds the held-out track",
        "Accuracy",
        "What stands in the first 10",
        "Listeners by what they have heard",
        "Held-out tracks by their plays in training",
        "Calibration of hybrid",
    ]


def test_the_tables_hold_what_was_measured(comparison: Comparison) -> None:
    summary, accuracy, lists, activity, popularity = Page(render(comparison)).tables

    assert summary == [
        ["model", "HR@10", "NDCG@10", "95% interval", "NDCG@10 / EASE (95%)"],
        ["EASE", "0.1250", "0.1250", "0.1150–0.1450", "1"],
        ["a <b>&", "0.0625", "0.0625", "0.0525–0.0825", "0.500 (0.375–0.625)"],
        ["hybrid", "0.2500", "0.2500", "0.2400–0.2700", "2.000 (1.875–2.125)"],
    ]
    assert accuracy[0] == ["model", "HR@10", "NDCG@10", "Precision@10", "Recall@10", "MAP@10", "MRR@10"]
    assert lists[0] == ["model", "Coverage@10", "Gini@10", "Novelty@10"]
    assert lists[1] == ["EASE", "0.5000", "0.7500", "3.2500"]
    assert activity[0] == ["model", "2–8 tracks heard (20)", "9–30 tracks heard (20)"]
    assert popularity[0] == ["model", "1 plays (20)", "2–50 plays (20)"]
    assert popularity[3] == ["hybrid", "0.0000", "0.2500"]


def test_the_best_of_each_column_is_marked(comparison: Comparison) -> None:
    rows = re.findall(r"<tr><td>(.*?)</td>(.*?)</tr>", render(comparison))

    assert {name for name, cells in rows if 'class="best"' in cells} == {"hybrid"}


def test_without_a_baseline_there_are_no_ratios(comparison: Comparison) -> None:
    alone = Comparison(comparison.protocol, 10, None, {"popularity": result(0.0)})

    assert Page(render(alone)).tables[0] == [
        ["model", "HR@10", "NDCG@10", "95% interval"],
        ["popularity", "0.0000", "0.0000", "-0.0100–0.0200"],
    ]


def shapes(svg: str, tag: str) -> list[dict[str, str]]:
    return [element.attrib for element in ElementTree.fromstring(svg).iter(tag)]


def test_bars_are_as_long_as_their_values() -> None:
    svg = interval_bars({"a": Interval(0.2, 0.1, 0.3), "b": Interval(0.1, 0.1, 0.1)}, title="x")

    long, short = (float(bar["width"]) for bar in shapes(svg, "rect"))
    assert long == pytest.approx(2 * short, abs=0.2)
    whisker = next(path["d"] for path in shapes(svg, "path") if path["class"] == "whisker")
    start = float(shapes(svg, "rect")[0]["x"])
    low, high = float(re.findall(r"M([\d.]+)", whisker)[0]), float(re.findall(r"H([\d.]+)", whisker)[0])
    assert (low - start, high - start) == (pytest.approx(short, abs=0.2), pytest.approx(1.5 * long, abs=0.2))


def test_groups_have_a_bar_for_each_series() -> None:
    svg = grouped_bars(["low", "high"], {"a": [0.1, 0.2], "b & c": [0.0, 0.4]}, title="x")

    bars = [shape for shape in shapes(svg, "rect") if float(shape["height"]) != 10]
    assert [bar["class"] for bar in bars] == ["s0", "s1", "s0", "s1"]
    heights = [float(bar["height"]) for bar in bars]
    assert heights == pytest.approx([heights[3] / 4, 0, heights[3] / 2, heights[3]], abs=0.2)
    assert "b & c" in [element.text for element in ElementTree.fromstring(svg).iter("text")]


def test_calibrated_points_lie_on_the_diagonal() -> None:
    svg = reliability_curve([ReliabilityBin(p, p, 10) for p in (0.1, 0.2, 0.4)], title="x")

    diagonal = next(path["d"] for path in shapes(svg, "path") if path["class"] == "diagonal")
    x0, y0, x1, y1 = map(float, re.findall(r"[\d.]+", diagonal))
    for point in shapes(svg, "circle"):
        right, up = (float(point["cx"]) - x0) / (x1 - x0), (y0 - float(point["cy"])) / (y0 - y1)
        assert right == pytest.approx(up, abs=1e-3)


@pytest.mark.parametrize("highest", [1e-6, 0.013, 0.19, 0.5, 1.0, 3.0, 99.0, 12_345.0])
def test_ticks_are_few_and_round(highest: float) -> None:
    ticks = Axis(highest, 0, 100).ticks()

    assert 3 <= len(ticks) <= 6
    assert ticks[0] == 0
    assert highest / 2 < ticks[-1] <= highest * (1 + 1e-9)
    assert f"{ticks[1]:.0e}"[0] in "125"
    assert ticks[1] == pytest.approx(float(f"{ticks[1]:.0e}"))


def test_nothing_found_is_drawn_as_nothing() -> None:
    assert [bar["width"] for bar in shapes(interval_bars({"a": Interval(0, 0, 0)}, title="x"), "rect")] == ["0.0"]
    assert shapes(grouped_bars([], {}, title="x"), "rect") == []
