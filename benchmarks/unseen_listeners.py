"""Listeners unseen in training: a fifth of a k-core's listeners is kept from every model, then folded in.

Half of each one's history is given, the other half is looked for among all tracks that are not in the first. EASE is
fitted on the same pairs as the models and gets the same half. The target is EASE's NDCG@10. A run keeps a track of
each training listener for its own test and one for validation; the final models and EASE learn from all but the former.
"""

from __future__ import annotations

from pathlib import Path

from support.trials import core_of, folder_of, parser, report, run_of, training_matrix

from audotics.data.dataset import Dataset
from audotics.evaluation.baselines import ease, item_knn, popularity
from audotics.evaluation.protocols import unseen_listener_trial
from audotics.evaluation.ranking import Scorer
from audotics.training.scorers import catalogue_scorers


def main() -> None:
    arguments = parser(__doc__, fraction=0.2)
    arguments.add_argument("--split", choices=("random", "last"), default="random", help="which half is looked for")
    given = arguments.parse_args()
    core = core_of(given)
    trial = unseen_listener_trial(core, fraction=given.fraction, seed=given.seed, how=given.split)
    with folder_of(given) as folder:

        def train(training: Dataset) -> dict[str, Scorer]:
            run = run_of(given, training, Path(folder) / "run")
            matrix = training_matrix(run)
            baselines = {"popularity": popularity(matrix), "item k-NN": item_knn(matrix), "EASE": ease(matrix)}
            return baselines | {kind: build() for kind, build in catalogue_scorers(run).items()}

        ranks = trial.run(train)
    report(given, trial, ranks, baseline="EASE")


if __name__ == "__main__":
    main()
