"""The promotion gate: what decides whether a version may serve."""

from __future__ import annotations

import json

import pytest

from audotics.server.errors import NotFoundError, RefusedModelError
from audotics.server.repository.history import Cause, ModelEvent, Origin
from tests.server.services.house import shorten_table


async def test_a_shadow_whose_model_fails_is_not_promoted(repository, make_repository, open_house, sign_again):
    make_repository(repository.path)
    shorten_table(repository.path / "ncf" / "2", sign_again)
    async with open_house() as house:
        await house.models.set_label("hybrid", "stable", 1)
        await house.models.set_label("hybrid", "shadow", 2)
        for user in range(20):
            await house.answer(f"u{user:02d}")
        report = house.shadow.report()
        assert report.failure_count > 0
        assert report.request_count + report.failure_count == 20
        with pytest.raises(RefusedModelError, match=f"as a shadow it failed on {report.failure_count} of 20 requests"):
            await house.models.set_label("hybrid", "stable", 2)


async def test_a_version_that_answers_as_it_should_is_promoted(repository, make_repository, open_house):
    make_repository(repository.path)
    async with open_house() as house:
        await house.models.set_label("hybrid", "stable", 1)
        heard = [f"t{row:03d}" for row in (0, 4, 8)]
        rock = [str(track_id) for track_id in sorted(repository.ids_of_taste(0))]
        house.golden.write_text(
            json.dumps(
                [
                    {"session_tracks": heard, "expected": rock, "least": 5},
                    {"user_id": "u00", "expected": rock, "least": 5},
                ]
            )
        )
        status = await house.models.set_label("hybrid", "stable", 2)
        assert status.labels == {"stable": 2}
        assert dict(house.registry.snapshot.model_versions)["hybrid"] == 2


async def test_what_speaks_against_a_version_is_said_and_can_be_passed_over(
    repository, make_repository, open_house, sign_again
):
    make_repository(repository.path)
    sign_again(repository.path / "hybrid" / "2", parity={"max_abs_diff": 0.5, "limit": 1e-4})
    async with open_house(shadow_requests=30) as house:
        await house.models.set_label("hybrid", "stable", 1, force=True)
        house.golden.write_text(json.dumps([{"user_id": "u00", "expected": ["t001"], "limit": 5}]))
        with pytest.raises(RefusedModelError) as refused:
            await house.models.set_label("hybrid", "stable", 2)
        for reason in (
            "hybrid/2 does not pass the promotion gate",
            "differs from what was trained by 0.5, and 0.0001 is allowed",
            "golden request 0 holds 0 of the expected tracks, not 1",
            "it has not been a shadow, and 30 comparisons are asked for",
            "--force",
        ):
            assert reason in str(refused.value)
        assert dict(house.registry.snapshot.model_versions)["hybrid"] == 1
        assert (await house.registry.model("hybrid")).labels == {"stable": 1}
        await house.models.set_label("hybrid", "shadow", 2)
        await house.answer("u00")
        with pytest.raises(RefusedModelError, match="1 requests have been compared with it, and 30 are asked for"):
            await house.models.set_label("hybrid", "stable", 2)
        await house.models.set_label("hybrid", "stable", 2, force=True)
        assert dict(house.registry.snapshot.model_versions)["hybrid"] == 2


async def test_a_shadow_that_serves_something_else_is_not_promoted(repository, make_repository, open_house):
    make_repository(repository.path, seed=8)
    async with open_house(min_overlap=1.0) as house:
        await house.models.set_label("hybrid", "stable", 1)
        await house.models.set_label("hybrid", "shadow", 2)
        for user in range(25):
            await house.answer(f"u{user:02d}")
        with pytest.raises(RefusedModelError, match=r"as a shadow it shared 0\.\d\d of the first 10 tracks"):
            await house.models.set_label("hybrid", "stable", 2)


@pytest.mark.parametrize(
    ("golden", "problem"),
    [
        ("{", "cannot be read"),
        ("{}", "is not a list"),
        ("[1]", "request 0 is wrong"),
        ('[{"user_id": "u", "seed_tracks": ["t"], "expected": ["t"]}]', "give exactly one of"),
        ('[{"user_id": "u"}]', "request 0 is wrong"),
        ('[{"user_id": "u", "expected": ["t"], "least": 2}]', "'least' 1 to"),
    ],
)
async def test_wrong_golden_requests_stop_a_promotion(open_house, golden, problem):
    async with open_house() as house:
        house.golden.write_text(golden)
        with pytest.raises(RefusedModelError, match=f"golden.json.*{problem}"):
            await house.models.set_label("hybrid", "stable", 1)


async def test_a_golden_request_with_tracks_that_are_gone_is_a_problem(open_house):
    async with open_house() as house:
        house.golden.write_text(json.dumps([{"seed_tracks": ["nope"], "expected": ["t001"]}]))
        with pytest.raises(RefusedModelError, match="golden request 0 is not answered: track not found: 'nope'"):
            await house.models.set_label("hybrid", "stable", 1)


async def test_a_version_that_fails_for_training_listeners_is_not_promoted(
    repository, make_repository, open_house, sign_again
):
    make_repository(repository.path)
    shorten_table(repository.path / "ncf" / "2", sign_again)
    async with open_house() as house:
        await house.registry.set_label("hybrid", "stable", 1)
        with pytest.raises(RefusedModelError, match=r"listener 'u\d\d' gets no list: ncf/2: the model failed"):
            await house.models.set_label("hybrid", "stable", 2)


async def test_a_golden_request_may_be_met_by_some_of_what_is_expected(repository, make_repository, open_house):
    make_repository(repository.path)
    async with open_house() as house:
        await house.registry.set_label("hybrid", "stable", 1)
        answer = await house.answer("u00")
        expected = [*[track.track_id for track in answer.tracks[:3]], "t001", "t002"]
        for least, passes in ((4, False), (3, True)):
            golden = {"user_id": "u00", "expected": expected, "least": least}
            house.golden.write_text(json.dumps([{"seed_tracks": ["nope"], "expected": ["t001"]}, golden]))
            with pytest.raises(RefusedModelError, match="golden request 0 is not answered") as refused:
                await house.models.set_label("hybrid", "stable", 1)
            assert ("golden request 1 holds 3 of the expected tracks, not 4" in str(refused.value)) is not passes


async def test_what_is_not_there_is_not_found(open_house):
    async with open_house() as house:
        with pytest.raises(NotFoundError, match="model version not found: 'hybrid/7'"):
            await house.models.set_label("hybrid", "stable", 7)
        with pytest.raises(NotFoundError, match="model not found: 'nonsense'"):
            await house.models.set_label("nonsense", "stable", 1)


async def test_a_catalogue_has_nothing_that_the_gate_could_check(repository, make_repository, open_house):
    make_repository(repository.path, kinds=("catalog",), n_tracks=220)
    async with open_house() as house:
        await house.models.set_label("catalog", "stable", 1)
        assert len(house.registry.snapshot.catalog) == 200


async def test_what_is_loaded_for_the_gate_is_told_as_such(repository, make_repository, open_house):
    async with open_house() as house:
        make_repository(repository.path)
        await house.models.set_label("hybrid", "stable", 2, cause=Cause(Origin.OPERATOR, "somebody", "at last"))
        loaded = {(change.model, change.reason) for change in house.told if change.event is ModelEvent.LOADED}
        assert ("hybrid", "for the promotion gate") in loaded
        promoted = next(change for change in house.told if change.event is ModelEvent.LABELLED)
        assert (promoted.version, promoted.cause.caller, promoted.reason) == (2, "somebody", "at last")


async def test_a_refusal_by_the_gate_is_told_with_the_bundle(repository, make_repository, open_house, sign_again):
    make_repository(repository.path)
    sign_again(repository.path / "hybrid" / "2", parity={"max_abs_diff": float("nan"), "limit": 1e-4})
    async with open_house() as house:
        await house.registry.set_label("hybrid", "stable", 1)
        with pytest.raises(RefusedModelError, match=r"differs from what was trained by nan, and 0\.0001 is allowed"):
            await house.models.set_label("hybrid", "stable", 2)
        (refusal,) = [change for change in house.told if change.event is ModelEvent.REFUSED]
        digest = house.registry.loaded("hybrid", version=2).bundle.manifest.digest
        assert (refusal.model, refusal.version, refusal.digest) == ("hybrid", 2, digest)
