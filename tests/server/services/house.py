"""The services that decide about versions, around one registry, and a model that fails on live requests only."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import onnx
from onnx import numpy_helper

from audotics.bundle.store import BundleStore
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.services.models import ModelService
from audotics.server.services.promotion import PromotionGate, PromotionLimits
from audotics.server.services.recommend import RecommendService
from audotics.server.services.shadow import Shadow
from audotics.server.types import RecommendQuery, Subject


class House:
    """The services that decide about versions, around one registry."""

    def __init__(self, registry, models, shadow, recommend, golden, told) -> None:
        self.told = told
        self.registry, self.models, self.shadow, self.recommend = registry, models, shadow, recommend
        self.golden: Path = golden

    async def answer(self, user_id: str):
        answer = await self.recommend.recommend(RecommendQuery(Subject("user", user_id=user_id), limit=10))
        await self.shadow.finished()
        return answer


def shorten_table(bundle: Path, sign_again) -> None:
    """Let a model's table end after the recorded inputs' rows, which only other rows can tell."""
    model = onnx.load(bundle / "model.onnx")
    (table,) = [constant for constant in model.graph.initializer if constant.name == "table"]
    table.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(table)[-10:], "table"))
    onnx.save(model, bundle / "model.onnx")
    sign_again(bundle)


def house_of(repository, listeners, uninterrupted):
    """A function that opens one: every request is compared, and its arguments are the limits of the gate."""

    @asynccontextmanager
    async def opened(**limits):
        golden = repository.path / "golden.json"
        told = []
        with ThreadPoolExecutor(2) as serving, ThreadPoolExecutor(1) as trying:
            async with (
                Registry(BundleStore(repository.path), executor=serving, on_changed=told.extend) as registry,
                Recommender(executor=serving) as recommender,
                Recommender(executor=trying) as other,
                Shadow(registry=registry, recommender=other, share=1.0) as shadow,
            ):
                await registry.start()
                gate = PromotionGate(
                    registry=registry,
                    recommender=other,
                    listeners=listeners,
                    shadow=shadow,
                    executor=trying,
                    golden=golden,
                    limits=PromotionLimits(**limits),
                )
                models = ModelService(registry=registry, uninterrupted=uninterrupted, gate=gate, shadow=shadow)
                recommend = RecommendService(
                    registry=registry, listeners=listeners, recommender=recommender, shadow=shadow
                )
                yield House(registry, models, shadow, recommend, golden, told)

    return opened
