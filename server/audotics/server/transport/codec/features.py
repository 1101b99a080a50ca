"""`GetListenerFeatures` messages: features go in, a message comes out."""

from __future__ import annotations

import math

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.genres import GENRES
from audotics.features.listener_features import ListenerFeatures
from audotics.v1 import feedback_service_pb2 as pb


def encode_features(features: ListenerFeatures) -> pb.GetListenerFeaturesResponse:
    """What is not known, and genres without a share, are left out."""
    vector = features.preference_vector
    genres = zip(GENRES, features.genres.tolist(), strict=True)
    audio = zip(AUDIO_FEATURES, features.audio.tolist(), strict=True)
    return pb.GetListenerFeaturesResponse(
        recent_track_ids=features.recent,
        seen_track_ids=sorted(features.seen),
        history_length=features.history_length,
        genre_shares={name: share for name, share in genres if share},
        artists=[pb.ArtistShare(artist=name, share=share) for name, share in features.artists],
        hour_shares=features.hours.tolist() if features.hours.any() else (),
        weekday_shares=features.weekdays.tolist() if features.weekdays.any() else (),
        audio_means={name: mean for name, mean in audio if not math.isnan(mean)},
        preference_vector=() if vector is None else vector.tolist(),
    )
