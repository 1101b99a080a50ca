"""`ClassifyTracks` over loopback: classes of tracks, and what is said when there are none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnx
import pytest
from google.rpc import error_details_pb2
from onnx import TensorProto, helper, numpy_helper

from audotics.bundle.manifest import Manifest
from audotics.bundle.store import BundleStore
from audotics.client import AsyncRecommenderClient, AudioFeatures, DegradationReason, InvalidArgumentError, Track
from audotics.features.audio import AUDIO_FEATURES
from audotics.v1 import recommender_service_pb2 as pb

FEATURES = ("energy", "valence")
MOODS = ("energetic", "chill", "happy")


@pytest.fixture
def write_classifier() -> Callable[..., None]:
    """`write_classifier(repository_path, kind, features=…)`: softmax(4·energy, -4·energy, 4·valence - 2)."""

    def write(repository: Path, kind: str, *, features: tuple[str, ...] = FEATURES) -> None:
        weights = np.asarray([[4, -4, 0], [0, 0, 4]], np.float32)
        nodes = [
            helper.make_node("MatMul", ["features", "weights"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        ]
        graph = helper.make_graph(
            nodes,
            kind,
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 2])],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])],
            [
                numpy_helper.from_array(weights, "weights"),
                numpy_helper.from_array(np.asarray([0, 0, -2], np.float32), "bias"),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        preprocessing = {"features": list(features), "classes": list(MOODS)}
        store = BundleStore(repository)
        manifest = Manifest(
            kind,
            kind,
            store.next_version(kind),
            "numpy",
            datetime.now(UTC).isoformat(),
            "",
            preprocessing=preprocessing,
        )
        with store.write(manifest) as folder:
            onnx.save(model, folder / "model.onnx")
            np.savez(folder / "warmup.npz", features=np.zeros((4, 2), np.float32))

    return write


def expected(energy: float, valence: float) -> dict[str, float]:
    powers = np.exp([4 * energy, -4 * energy, 4 * valence - 2])
    return dict(zip(MOODS, powers / powers.sum(), strict=True))


async def test_tracks_of_the_catalogue_and_others_get_their_classes(
    repository: Any, start: Any, write_classifier: Any
) -> None:
    write_classifier(repository.path, "mood")
    audio = repository.tracks.audio[10]
    energy, valence = (float(audio[AUDIO_FEATURES.index(name)]) for name in FEATURES)
    other = Track("new", audio_features=AudioFeatures(energy=0.1, valence=0.9))
    async with start(repository.path) as server, AsyncRecommenderClient(server.app.address) as client:
        assert ("mood", 1) in server.app.models
        answer = await client.classify_tracks(["t010", "t005"], tracks=[other])
        of_catalogue, without_audio, given = answer.tracks
        assert [track.track_id for track in answer.tracks] == ["t010", "t005", "new"]
        assert of_catalogue.moods == pytest.approx(expected(energy, valence), abs=1e-5)
        assert list(of_catalogue.moods.values()) == sorted(of_catalogue.moods.values(), reverse=True)
        assert without_audio.moods == {}  # t005 has no audio features
        assert given.moods == pytest.approx(expected(0.1, 0.9), abs=1e-5)
        assert all(track.genres == {} for track in answer.tracks)
        assert [(version.model, version.version) for version in answer.model_versions] == [("mood", 1)]
        (missing,) = answer.degraded
        assert (missing.part, missing.reason) == ("genre", DegradationReason.UNAVAILABLE)

        write_classifier(repository.path, "genre")
        await client.load_version("genre", 1)
        answer = await client.classify_tracks(["t010"])
        assert answer.tracks[0].genres == pytest.approx(expected(energy, valence), abs=1e-5)
        assert answer.degraded == ()
        assert (await client.recommend("u00", limit=5)).degraded == ()


async def test_lists_do_not_miss_classifiers(repository: Any, start: Any) -> None:
    async with start(repository.path) as server, AsyncRecommenderClient(server.app.address) as client:
        assert server.app.refused == ()
        assert (await client.recommend("u00", limit=5)).degraded == ()
        assert {part.part for part in (await client.classify_tracks(["t010"])).degraded} == {"mood", "genre"}


async def test_a_model_of_features_that_tracks_lack_is_refused(
    repository: Any, start: Any, write_classifier: Any
) -> None:
    write_classifier(repository.path, "genre", features=("energy", "mfcc1_mean"))
    async with start(repository.path) as server, AsyncRecommenderClient(server.app.address) as client:
        (version,) = (await client.get_model("genre")).versions
        assert "mfcc1_mean" in version.reason
        reasons = {part.part: part.detail for part in (await client.classify_tracks(["t010"])).degraded}
        assert "mfcc1_mean" in reasons["genre"]


async def test_what_is_wrong_with_a_request_is_named(repository: Any, start: Any, details: Any) -> None:
    async with start(repository.path) as server, AsyncRecommenderClient(server.app.address) as client:
        with pytest.raises(InvalidArgumentError, match="send 1 to 1000"):
            await client.classify_tracks([])
        loud = Track("new", audio_features=AudioFeatures(energy=1.5))
        with pytest.raises(InvalidArgumentError, match=r"tracks\[0\].audio_features.energy"):
            await client.classify_tracks(tracks=[loud])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.recommender.ClassifyTracks(pb.ClassifyTracksRequest(track_ids=["t010", "nope"]))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        (info,) = details(caught.value, error_details_pb2.ResourceInfo)
        assert info.resource_name == "nope"
