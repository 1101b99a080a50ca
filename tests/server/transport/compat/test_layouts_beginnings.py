"""Beginnings of requests that are long, or say more than what goes in: known only when they mean the same."""

from __future__ import annotations

import numpy as np

from audotics.server.transport.compat.stubs import inference_pb2 as pb
from audotics.server.transport.compat.v2.codec import decode_inputs
from tests.server.transport.compat.test_layouts import learnt, pairs, request_of

LONG = "a_name_that_is_longer_than_what_a_message_is_looked_up_by"


def test_requests_that_begin_alike_are_told_apart_by_all_before_their_contents() -> None:
    feeds = {LONG: pairs(0)["history"], "track": pairs(0)["track"]}
    layouts = learnt(request_of(feeds), feeds)
    assert layouts.find(request_of(feeds).SerializeToString()) is not None
    for other in (
        {LONG: feeds[LONG], "tracc": feeds["track"]},
        {LONG: feeds[LONG].reshape(4, 1), "track": feeds["track"]},
        {LONG: feeds[LONG], "track": feeds["track"].reshape(1, 3)},
    ):
        data = request_of(other).SerializeToString()
        assert layouts.find(data) is None


def test_contents_of_any_length_are_found_where_they_stand() -> None:
    for rows in (1, 15, 16, 17, 31, 32, 2047, 2048, 40_000):  # around where their length takes more bytes
        feeds = pairs(1, rows=rows)
        data = request_of(feeds).SerializeToString()
        layout = learnt(request_of(pairs(0, rows=rows)), pairs(0, rows=rows)).find(data)
        assert layout is not None
        for name, array in decode_inputs(pb.ModelInferRequest.FromString(data)).items():
            np.testing.assert_array_equal(layout.feeds(data)[name], array)


def test_what_a_request_asks_for_beside_its_inputs_is_part_of_its_layout() -> None:
    feeds, request = pairs(0), request_of(pairs(0))
    request.outputs.add(name="logit")
    layout = learnt(request, feeds).find(request.SerializeToString())
    assert layout is not None
    assert tuple(layout.outputs) == ("logit",)
    request.parameters["timeout"].int64_param = 5  # which is another for each request
    assert learnt(request, feeds).find(request.SerializeToString()) is None


def test_endless_beginnings_are_not_kept() -> None:
    request = request_of(pairs(0), id="7" * 5000)
    assert learnt(request, pairs(0)).find(request.SerializeToString()) is None
