"""Audio files to a table: formats, ids, files that give nothing, workers, and a table that the loaders read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from audotics.data.audio.extraction import FeatureRow, Skipped, check_format, extract, extract_one, write_features
from audotics.data.audio.files import AudioFileError, Recording, find_recordings, read_clip
from audotics.data.dataset import DataError
from audotics.data.loaders import load
from audotics.features.audio import AUDIO_FEATURES

Signal = Callable[..., np.ndarray]
Write = Callable[..., Path]


def features_of(path: Path) -> dict[str, str | float | int]:
    answer = extract_one(Recording(path, path.stem), 30.0)
    assert isinstance(answer, FeatureRow), answer
    return answer.columns


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_formats(write: Write, clicks: Signal, suffix: str) -> None:
    columns = features_of(write(f"beat.{suffix}", clicks(bpm=120, seconds=8)))

    assert columns["id"] == columns["title"] == "beat"
    assert columns["duration_ms"] == pytest.approx(8_000, abs=100)
    assert columns["tempo"] == pytest.approx(120, rel=0.02)


def test_stereo_of_another_rate_with_names(tmp_path: Path, chord: Signal) -> None:
    path = tmp_path / "a.flac"
    with soundfile.SoundFile(path, "w", 44_100, 2) as file:
        file.title, file.artist, file.album = "In C", "Riley", "Minimal"
        tone = np.repeat(chord(0, third=4, seconds=3), 2)  # twice the rate
        file.write(np.stack([tone, 0.5 * tone], axis=1))
    columns = features_of(path)

    assert (columns["title"], columns["artist"], columns["album"]) == ("In C", "Riley", "Minimal")
    assert columns["duration_ms"] == 3_000
    assert (columns["key"], columns["mode"]) == (0, 1)


def test_the_middle_of_a_long_file_is_analysed(write: Write) -> None:
    quiet, loud = np.full(4 * 22_050, 0.01, np.float32), np.full(4 * 22_050, 0.5, np.float32)
    clip = read_clip(write("long.wav", np.concatenate([quiet, loud, quiet])), clip_s=3.5)

    assert clip.duration_s == 12
    assert len(clip.samples) == 3.5 * 22_050
    assert clip.samples.min() == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(22_050 * 4), "is silent"),
        (np.full(22_050 * 2, 0.1), "holds 2.0 s of sound; 3 s are needed"),
    ],
)
def test_sound_that_gives_no_features(write: Write, samples: np.ndarray, reason: str) -> None:
    with pytest.raises(AudioFileError, match=reason):
        read_clip(write("a.wav", samples), clip_s=30)


def test_samples_that_are_no_numbers(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(22_050 * 4, np.nan), 22_050, subtype="FLOAT")

    with pytest.raises(AudioFileError, match="holds samples that are no numbers"):
        read_clip(tmp_path / "a.wav", clip_s=30)


def test_files_that_are_no_audio_stop_nothing(tmp_path: Path, write: Write, chord: Signal) -> None:
    whole = write("whole.flac", chord(9, third=3, seconds=3))
    (tmp_path / "words.mp3").write_text("not a song")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "half.flac").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    answers = {answer.recording.track_id: answer for answer in extract(find_recordings([tmp_path]))}

    assert isinstance(answers["whole"], FeatureRow)
    for name in ("words", "empty", "half"):
        assert isinstance(answers[name], Skipped)
        assert answers[name].reason.startswith("cannot be read: ")


def test_workers_are_processes_and_answer_alike(tmp_path: Path, write: Write) -> None:
    """Files without features only: what they need is loaded in a moment, and librosa is not."""
    for number in range(3):
        write(f"{number}.wav", np.full(22_050 * (number + 1) // 2, 0.1))
    recordings = find_recordings([tmp_path])
    alone = {answer.recording: answer for answer in extract(recordings)}

    assert {answer.recording: answer for answer in extract(recordings, workers=2)} == alone
    assert [alone[recording].reason[:11] for recording in recordings] == ["holds 0.5 s", "holds 1.0 s", "holds 1.5 s"]


def test_ids_are_paths_below_the_folder(tmp_path: Path, write: Write) -> None:
    sound = np.zeros(22_050)
    for name in ("b/01.wav", "a/01.MP3", "a/01 cover.flac", "top.wav"):
        write(name, sound)
    (tmp_path / "a" / "cover.jpg").touch()

    assert [r.track_id for r in find_recordings([tmp_path])] == ["a/01 cover", "a/01", "b/01", "top"]
    assert [r.track_id for r in find_recordings([tmp_path / "top.wav", tmp_path / "b"])] == ["top", "01"]
    assert len(find_recordings([tmp_path / "b", tmp_path / "b" / "01.wav"])) == 1
    with pytest.raises(DataError, match=r"has the id '01', like .*b/01\.wav; rename"):
        find_recordings([tmp_path / "b" / "01.wav", tmp_path / "a" / "01.MP3"])


def test_paths_that_hold_no_audio(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: there is no such file or folder"):
        find_recordings([tmp_path / "nowhere"])
    with pytest.raises(DataError, match=r"holds no audio files; looked for \.aif, "):
        find_recordings([tmp_path])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_table_joins_interactions(tmp_path: Path, write: Write, chord: Signal, suffix: str) -> None:
    rows = list(extract(find_recordings([write("C, or do.wav", chord(0, third=4, seconds=3))])))
    assert isinstance(rows[0], FeatureRow)
    folder = tmp_path / "set"
    write_features(folder / f"tracks.{suffix}", [rows[0]])
    (folder / "interactions.csv").write_text('user_id,track_id\nann,"C, or do"\nann,x\n')
    dataset = load(folder)
    known = dict(zip(AUDIO_FEATURES, dataset.tracks.audio[0], strict=True))

    assert list(dataset.tracks.ids) == ["C, or do", "x"]
    assert (known["key"], known["mode"]) == (0, 1)
    assert known["energy"] == pytest.approx(rows[0].columns["energy"], abs=1e-6)
    assert np.isnan([known["acousticness"], known["liveness"]]).all()
    assert dataset.report.read["tracks with audio features"] == 1
    assert sorted(file.name for file in folder.iterdir()) == ["interactions.csv", f"tracks.{suffix}"]
    if suffix == "parquet":
        assert pq.read_table(folder / "tracks.parquet").num_columns == 5 + 6 + 57


def test_a_table_that_cannot_be_written(tmp_path: Path) -> None:
    row = FeatureRow(Recording(tmp_path, "a"), {"id": "a"})
    with pytest.raises(DataError, match=r"tracks\.xlsx: is no table; end the name in \.csv or \.parquet"):
        check_format(tmp_path / "tracks.xlsx")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written: "):
        write_features(tmp_path / "file" / "tracks.csv", [row])
