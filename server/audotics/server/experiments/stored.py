"""Experiments as the database keeps them: a value goes in and a row comes out, and the other way round."""

from __future__ import annotations

from dataclasses import asdict
from typing import cast

from audotics.server.experiments.experiment import Experiment, Happening, Plan, Record, State
from audotics.server.storage.experiments import StoredExperiment, StoredRecord


def to_stored(experiment: Experiment) -> StoredExperiment:
    return StoredExperiment(
        name=experiment.plan.name,
        plan=experiment.plan.to_json(),
        salt=experiment.salt,
        slots=[list(span) for span in experiment.slots],
        state=experiment.state,
        created_at=experiment.created_at,
        stopped_at=experiment.stopped_at,
        overrides=experiment.overrides,
        records=tuple(StoredRecord(**asdict(record)) for record in experiment.records),
    )


def from_stored(stored: StoredExperiment) -> Experiment:
    return Experiment(
        plan=Plan.from_json(stored.plan),
        salt=stored.salt,
        slots=tuple((start, end) for start, end in stored.slots),
        created_at=stored.created_at,
        state=cast("State", stored.state),
        stopped_at=stored.stopped_at,
        overrides=stored.overrides,
        records=tuple(Record(r.at, cast("Happening", r.event), r.arm, r.detail) for r in stored.records),
    )
