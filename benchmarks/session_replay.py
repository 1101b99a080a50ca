"""What updates while serving are worth: real sessions, replayed in order against a server, with updates on and off.

The first share of the sessions, in the order of the data, trains the models; some of the others are replayed, each by a
listener of its own. The server knows the first part of the session. The last 30 % of its tracks come one by one: before
each, the list of ten is asked for and the place of the track on it noted. With updates on, every track is sent as an
event first, so that the next list knows of it: its vectors hold it, and it does not come back. With updates off
the list stays as it was at the beginning. A second peer knows nothing of the session at all, as a server does that
learns of it with the next training.

The server is `audotics serve` in a process of its own, asked over loopback by the public client. Intervals are over
sessions, 95 %. The target is 1.1 times the NDCG@10 of the list that stays.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from support.serving import served
from support.sessions import trained_on_first

from audotics.bundle.store import BundleStore
from audotics.client import FeedbackEvent, RecommenderClient
from audotics.data.loaders import load
from audotics.evaluation.significance import mean_intervals, paired_ratios
from audotics.exporters.formats import Formats
from audotics.exporters.publish import CATALOG, export_run
from audotics.training.kinds import WEIGHED
from audotics.training.progress import Quiet
from audotics.training.threads import wait_passively

K: Final = 10
ON, OFF, NOTHING = "updates on", "updates off", "knows nothing of the session"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder or file with the data")
    parser.add_argument("--run", type=Path, help="folder to keep the trained run in, and to go on in")
    parser.add_argument("--share", type=float, default=0.7, help="of the sessions that train the models [0.7]")
    parser.add_argument("--last", type=float, default=0.3, help="of each session that is replayed [0.3]")
    parser.add_argument("--least", type=int, default=7, help="shortest session that is replayed, in tracks [7]")
    parser.add_argument("--sessions", type=int, default=400, help="sessions that are replayed [400]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args()
    wait_passively(os.environ)
    console = Console(stderr=True)
    run = trained_on_first(given.data, share=given.share, folder=given.run, seed=given.seed)
    sessions = _sessions(given)
    gains: dict[str, list[float]] = {name: [] for name in (ON, OFF, NOTHING)}
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "repository"
        kinds = [CATALOG, *(kind for kind in (*WEIGHED, "hybrid") if kind in run.kinds)]
        formats = Formats.parse("onnx", precision="float32")
        export_run(run, BundleStore(repository), kinds=kinds, progress=Quiet(), formats=formats)
        url = f"sqlite:///{folder}/state.db"
        with served(repository, database_url=url) as server, RecommenderClient(server.address) as client:
            for number, heard in enumerate(track(sessions, "replaying", console=console, transient=True)):
                for name, values in _replay(client, f"s{number}", heard, last=given.last).items():
                    gains[name].append(values)
    arrays = {name: np.asarray(values) for name, values in gains.items()}
    means, ratios = mean_intervals(arrays), paired_ratios(arrays, baseline=OFF)
    steps = sum(len(heard) - _known(heard, given.last) for heard in sessions)
    rows = [
        {
            "updates": name,
            f"ndcg@{K}": means[name].to_json(),
            "ratio": ratios[name].to_json() if name in ratios else None,
        }
        for name in arrays
    ]
    document: dict[str, Any] = {
        "dataset": run.name,
        "sessions": len(sessions),
        "tracks": steps,
        "replayed": f"the last {given.last:.0%} of each session of {given.least} tracks or more",
        "rows": rows,
    }
    if given.json:
        print(json.dumps(document, indent=2))  # noqa: T201
        return
    table = Table(title=f"{run.name}: {len(sessions):,} sessions, {document['replayed']}, {steps:,} tracks")
    table.add_column("")
    for column in (f"NDCG@{K} (95 %)", f"/ {OFF} (95 %)"):
        table.add_column(column, justify="right")
    for name in arrays:
        mean, ratio = means[name], ratios.get(name)
        shown = "" if ratio is None else f"{ratio.estimate:.3f} ({ratio.low:.3f}–{ratio.high:.3f})"
        table.add_row(name, f"{mean.estimate:.4f} ({mean.low:.4f}–{mean.high:.4f})", shown)
    Console().print(table)


def _sessions(given: argparse.Namespace) -> list[list[str]]:
    """Track ids of the sessions after those that trained the models, the first of them that are long enough."""
    whole = load(given.data)
    histories = whole.interactions.histories(whole.n_users)[int(given.share * whole.n_users) :]
    long = [history for history in histories if len(history) >= given.least][: given.sessions]
    return [[str(track_id) for track_id in whole.tracks.ids[history]] for history in long]


def _known(heard: list[str], last: float) -> int:
    return len(heard) - max(1, round(last * len(heard)))


def _replay(client: RecommenderClient, user_id: str, heard: list[str], *, last: float) -> dict[str, float]:
    """Mean NDCG of the tracks of one session's last part, under each kind of updates."""
    known = _known(heard, last)
    nothing = _list(client, f"{user_id} unknown")
    client.record_feedback([_play(user_id, track_id) for track_id in heard[:known]])
    stays = current = _list(client, user_id)
    found: dict[str, list[float]] = {ON: [], OFF: [], NOTHING: []}
    for track_id in heard[known:]:
        for name, tracks in ((ON, current), (OFF, stays), (NOTHING, nothing)):
            found[name].append(1 / np.log2(tracks.index(track_id) + 2) if track_id in tracks else 0.0)
        client.record_feedback([_play(user_id, track_id)])
        current = _list(client, user_id)
    return {name: float(np.mean(values)) for name, values in found.items()}


def _list(client: RecommenderClient, user_id: str) -> list[str]:
    # By relevance alone: what is measured is what the server knows, and not how it mixes lists.
    return [found.track_id for found in client.recommend(user_id, limit=K, diversity=0.0).tracks]


def _play(user_id: str, track_id: str) -> FeedbackEvent:
    return FeedbackEvent(user_id, track_id, "play")


if __name__ == "__main__":
    main()
