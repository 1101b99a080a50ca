"""Calls of ModelService."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from audotics.client.calls.call import Call, call_of
from audotics.client.codec.models import decode_index, decode_model, decode_recall, decode_records, decode_shadow
from audotics.client.codec.scalars import timestamp
from audotics.client.results.models import IndexInfo, ModelInfo, ModelRecordPage, RecallReport, ShadowReport
from audotics.v1 import model_service_pb2 as model

LOAD_TIMEOUT_S: Final = 60.0
"""Loading a version verifies every file and warms the model up, which takes longer than most calls."""

REBUILD_TIMEOUT_S: Final = 600.0
"""Building an index over a million vectors takes minutes."""


def list_models(*, timeout_s: float | None = None) -> Call[tuple[ModelInfo, ...]]:
    """Every model of the repository with its versions and their states."""

    def decode(answer: model.ListModelsResponse) -> tuple[ModelInfo, ...]:
        return tuple(decode_model(item) for item in answer.models)

    return call_of("ModelService/ListModels", model.ListModelsRequest(), model.ListModelsResponse, decode, timeout_s)


def get_model(name: str, *, timeout_s: float | None = None) -> Call[ModelInfo]:
    """One model of the repository."""

    def decode(answer: model.GetModelResponse) -> ModelInfo:
        return decode_model(answer.model)

    return call_of("ModelService/GetModel", model.GetModelRequest(name=name), model.GetModelResponse, decode, timeout_s)


def load_version(name: str, version: int, *, timeout_s: float | None = LOAD_TIMEOUT_S) -> Call[ModelInfo]:
    """Verify a version, warm it up, and put it in service in place of the one that served until now.

    Where the label "stable" names another version, it stays loaded beside that one.
    """

    def decode(answer: model.LoadVersionResponse) -> ModelInfo:
        return decode_model(answer.model)

    request = model.LoadVersionRequest(name=name, version=version)
    return call_of("ModelService/LoadVersion", request, model.LoadVersionResponse, decode, timeout_s)


def unload_version(name: str, version: int, *, timeout_s: float | None = LOAD_TIMEOUT_S) -> Call[ModelInfo]:
    """Drop a version from memory and from service. Requests under way finish on it."""

    def decode(answer: model.UnloadVersionResponse) -> ModelInfo:
        return decode_model(answer.model)

    request = model.UnloadVersionRequest(name=name, version=version)
    return call_of("ModelService/UnloadVersion", request, model.UnloadVersionResponse, decode, timeout_s)


def set_label(
    name: str, label: str, version: int, *, force: bool = False, timeout_s: float | None = LOAD_TIMEOUT_S
) -> Call[ModelInfo]:
    """Let `label` stand for a version, which is loaded if it is not.

    The version with the label "stable" is in service: it gets there only when it passes the promotion gate, or with
    `force`. FailedPreconditionError says what is in the way. ValueError for a version that cannot be one: on the wire,
    0 would take the label away.
    """
    if version < 1:
        raise ValueError(f"version must be 1 or more, not {version}; remove_label takes a label away")
    return _set_label(model.SetLabelRequest(name=name, label=label, version=version, force=force), timeout_s)


def remove_label(name: str, label: str, *, timeout_s: float | None = None) -> Call[ModelInfo]:
    """Take a label away. What serves goes on serving."""
    return _set_label(model.SetLabelRequest(name=name, label=label), timeout_s)


def rollback(name: str, *, timeout_s: float | None = LOAD_TIMEOUT_S) -> Call[ModelInfo]:
    """Put the version in service that served before; the label "stable" names it from then on.

    A second call goes back once more, so a call that failed is never repeated: see with `get_model` what serves.
    """

    def decode(answer: model.RollbackResponse) -> ModelInfo:
        return decode_model(answer.model)

    request = model.RollbackRequest(name=name)
    call = call_of("ModelService/Rollback", request, model.RollbackResponse, decode, timeout_s)
    return replace(call, repeatable=False)


def get_shadow_report(*, timeout_s: float | None = None) -> Call[ShadowReport | None]:
    """How the versions with the label "shadow" compare with those in service; None while there are none."""
    request = model.GetShadowReportRequest()
    return call_of("ModelService/GetShadowReport", request, model.GetShadowReportResponse, decode_shadow, timeout_s)


def list_indexes(*, timeout_s: float | None = None) -> Call[tuple[IndexInfo, ...]]:
    """The vector indexes of all loaded models."""

    def decode(answer: model.ListIndexesResponse) -> tuple[IndexInfo, ...]:
        return tuple(decode_index(item) for item in answer.indexes)

    return call_of("ModelService/ListIndexes", model.ListIndexesRequest(), model.ListIndexesResponse, decode, timeout_s)


def rebuild_index(
    name: str, version: int = 0, *, retrain: bool = False, timeout_s: float | None = REBUILD_TIMEOUT_S
) -> Call[IndexInfo]:
    """Put what changed into an index, by default that of the version in service, while searches go on.

    With `retrain` its centroids and code books are trained anew. FailedPreconditionError when the new index would find
    less than the one in service was built to; that one then stays.
    """

    def decode(answer: model.RebuildIndexResponse) -> IndexInfo:
        return decode_index(answer.index)

    request = model.RebuildIndexRequest(name=name, version=version, retrain=retrain)
    return call_of("ModelService/RebuildIndex", request, model.RebuildIndexResponse, decode, timeout_s)


def get_recall_report(*, measure: bool = False, timeout_s: float | None = REBUILD_TIMEOUT_S) -> Call[RecallReport]:
    """How many of the best rows the indexes find; with `measure` the held-out queries are searched now."""
    request = model.GetRecallReportRequest(measure=measure)
    return call_of("ModelService/GetRecallReport", request, model.GetRecallReportResponse, decode_recall, timeout_s)


def list_model_records(
    name: str = "",
    *,
    before: datetime | None = None,
    page_size: int = 50,
    page_token: str = "",
    timeout_s: float | None = None,
) -> Call[ModelRecordPage]:
    """What happened to the versions of one model, or of all, on every server of the database, the newest first.

    `before` leaves out what came later. Pass the `next_page_token` of a page as `page_token` for the one after it.
    """
    request = model.ListModelRecordsRequest(
        model=name,
        before=None if before is None else timestamp(before, name="before"),
        page_size=page_size,
        page_token=page_token,
    )
    return call_of("ModelService/ListModelRecords", request, model.ListModelRecordsResponse, decode_records, timeout_s)


def _set_label(request: model.SetLabelRequest, timeout_s: float | None) -> Call[ModelInfo]:
    def decode(answer: model.SetLabelResponse) -> ModelInfo:
        return decode_model(answer.model)

    return call_of("ModelService/SetLabel", request, model.SetLabelResponse, decode, timeout_s)
