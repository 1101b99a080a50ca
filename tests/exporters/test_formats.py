"""Models of every framework as ONNX and SavedModel, at any precision, with what that costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from audotics.exporters.cases import history_cases
from audotics.exporters.errors import ExportError, ParityError
from audotics.exporters.exported import MODEL_FILE, ExportedModel
from audotics.exporters.formats import Formats
from audotics.exporters.graphs.collaborative import collaborative_graph
from audotics.exporters.kinds import collaborative, hybrid, ncf
from audotics.exporters.prepared import read_source
from audotics.exporters.saved_model import SavedModel
from audotics.exporters.written import Written, write_formats
from audotics.models.collaborative import CollaborativeModel
from audotics.training.quiet import quiet_native_logs

N_TRACKS = 400


def test_models_of_every_framework_are_written_for_tensorflow_serving(make_run, tmp_path, progress):
    with quiet_native_logs():
        import tensorflow as tf

    source = read_source(make_run(("collaborative", "ncf", "hybrid")))
    for kind in (collaborative, ncf, hybrid):
        folder = tmp_path / kind.__name__
        folder.mkdir()

        prepared = kind.prepare(source, folder, progress)

        parity = prepared.parity
        for name in ("max_abs_diff", "saved_model_max_abs_diff", "onnx_saved_model_max_abs_diff"):
            assert 0 <= parity[name] <= parity["limit"] == 1e-4
        assert (folder / "variables" / "variables.index").is_file()
        assert prepared.tools["tensorflow"] == tf.__version__
        served = tf.saved_model.load(str(folder)).signatures["serving_default"]
        taken = {
            name: (spec.dtype.name, tuple(spec.shape)) for name, spec in served.structured_input_signature[1].items()
        }
        assert taken == {
            spec.name: (spec.dtype, tuple(None if size < 0 else size for size in spec.shape))
            for spec in prepared.inputs
        }
        assert served.structured_outputs.keys() == {spec.name for spec in prepared.outputs}


@pytest.fixture
def write(cases, progress):
    """`write(model, folder, formats)`: complete the bundle of collaborative factors whose graph is in the folder."""

    def write(model: CollaborativeModel, folder: Path, formats: Formats) -> Written:
        trained = collaborative.as_function(model)
        return write_formats("collaborative", trained, folder, cases, formats=formats, progress=progress)

    return write


@pytest.fixture
def folder(tmp_path, make_collaborative):
    collaborative_graph(make_collaborative(N_TRACKS)).save(tmp_path / MODEL_FILE)
    return tmp_path


@pytest.fixture
def cases():
    return history_cases([np.arange(4), np.asarray([2])], n_tracks=N_TRACKS)


def test_tables_stand_in_the_variables(write, folder, make_collaborative):
    write(make_collaborative(N_TRACKS), folder, Formats())

    assert (folder / "variables" / "variables.data-00000-of-00001").stat().st_size > N_TRACKS * 8 * 4
    assert (folder / "saved_model.pb").stat().st_size < 30_000


def test_a_saved_model_that_differs_is_refused(write, folder, make_collaborative, tmp_path_factory):
    """The SavedModel of another model lies there already, as one that a Keras kind has written would."""
    other = tmp_path_factory.mktemp("other")
    model = make_collaborative(N_TRACKS)
    opposite = CollaborativeModel(-model.history_vectors, model.track_vectors, model.options)
    collaborative_graph(opposite).save(other / MODEL_FILE)
    write(opposite, other, Formats())
    for name in ("saved_model.pb", "variables"):
        (other / name).rename(folder / name)

    with pytest.raises(ParityError, match=r"collaborative \(SavedModel\)"):
        write(model, folder, Formats())


def test_onnx_alone(write, folder, make_collaborative):
    written = write(make_collaborative(N_TRACKS), folder, Formats(saved_model=False))

    assert sorted(path.name for path in folder.iterdir()) == [MODEL_FILE]
    assert written.parity.keys() == {"max_abs_diff", "cases", "limit"}
    assert written.tools == {}


@pytest.mark.parametrize(("precision", "share", "limit"), [("float16", 0.6, 0.01), ("int8", 0.65, 0.1)])
def test_a_smaller_model_is_measured_against_the_trained_one(make_run, tmp_path, progress, precision, share, limit):
    source = read_source(make_run(("ncf",)))
    for name, formats in (("whole", Formats(saved_model=False)), ("small", Formats(False, precision))):
        (tmp_path / name).mkdir()
        prepared = ncf.prepare(source, tmp_path / name, progress, formats=formats)

    whole, small = ((tmp_path / name / MODEL_FILE).stat().st_size for name in ("whole", "small"))
    assert small < share * whole
    onnx.checker.check_model(str(tmp_path / "small" / MODEL_FILE), full_check=True)
    assert prepared.parity["limit"] == limit
    assert prepared.parity["float32_max_abs_diff"] < 1e-4 < prepared.parity["max_abs_diff"]
    assert prepared.parity["max_rel_diff"] <= limit
    assert {spec.dtype for spec in (*prepared.inputs, *prepared.outputs)} == {"int64", "float32"}
    (said,) = progress.lines
    assert said.startswith(f"ncf: NDCG@10 is {prepared.metrics['ndcg@10']:.4f} at {precision}, ")
    listeners = source.split.test
    assert prepared.metrics["precision_listeners"] == len(listeners.targets)
    model = ExportedModel(tmp_path / "whole" / MODEL_FILE)
    ranked = listeners.evaluate(ncf.as_scorer(model.run, n_tracks=len(source.split.tracks)))
    for name in ("hr@10", "ndcg@10"):
        assert prepared.metrics[f"{name}_float32"] == ranked[name]
        assert abs(prepared.metrics[name] - ranked[name]) < 0.2


def test_bytes_of_ncf_do_not_depend_on_the_rows_beside(make_run, tmp_path, progress):
    """The server scores rows of several callers in one call."""
    source = read_source(make_run(("ncf",)))
    ncf.prepare(source, tmp_path, progress, formats=Formats(False, "int8"))
    model = ExportedModel(tmp_path / MODEL_FILE)
    rng = np.random.default_rng(5)
    feeds = {
        "history": rng.integers(0, len(source.split.tracks), (2, 9)),
        "user_index": np.repeat([0, 1], 20),
        "track": rng.integers(0, len(source.split.tracks), 40),
    }

    alone = model.run({name: value[:1] if name == "history" else value[:20] for name, value in feeds.items()})["logit"]

    np.testing.assert_allclose(model.run(feeds)["logit"][:20], alone, rtol=0, atol=1e-5)


def test_the_gate_stays_at_float32(make_run, tmp_path, progress):
    source = read_source(make_run(("hybrid",)))

    prepared = hybrid.prepare(source, tmp_path, progress, formats=Formats(False, "int8"))

    assert prepared.parity["limit"] == 1e-4
    assert not any(name.startswith("float32") for name in prepared.parity)


def test_a_model_in_two_files_is_not_reduced(write, tmp_path, make_collaborative):
    model = make_collaborative(N_TRACKS)
    collaborative_graph(model).save(tmp_path / MODEL_FILE, inline_limit_bytes=1000)

    with pytest.raises(ExportError, match=r"model\.onnx: is too large for one file, .* float32"):
        write(model, tmp_path, Formats(False, "float16"))


def test_a_model_in_two_files_becomes_a_saved_model(write, tmp_path, make_collaborative, cases):
    model = make_collaborative(N_TRACKS)
    collaborative_graph(model).save(tmp_path / MODEL_FILE, inline_limit_bytes=1000)

    written = write(model, tmp_path, Formats())

    history = cases[0].feeds
    vectors = SavedModel(tmp_path).run(history)["user_vector"]
    np.testing.assert_allclose(vectors, written.exported.run(history)["user_vector"], rtol=0, atol=1e-5)


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None  # what is imported from here on finds it as absent as if it were not installed
from pathlib import Path
from audotics.exporters.formats import DEFAULT
from audotics.exporters.kinds import ncf
from audotics.exporters.prepared import read_source
from audotics.training.progress import Quiet
from audotics.training.run import Run

class Printed(Quiet):
    def say(self, line):
        print(line)

formats = DEFAULT.possible(Printed())
prepared = ncf.prepare(read_source(Run.open(Path(sys.argv[1]))), Path(sys.argv[2]), Printed(), formats=formats)
print(sorted(path.name for path in prepared.folder.iterdir()))
"""


def test_without_tensorflow_the_export_goes_on_with_onnx_and_says_so(make_run, tmp_path):
    run, folder = make_run(("ncf",)), tmp_path / "exported"
    folder.mkdir()

    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, str(run.path), str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "SavedModel left out: TensorFlow is not installed; pip install 'audotics[tensorflow]'",
        "['ids.arrow', 'model.onnx', 'warmup.npz']",
    ]


def test_what_is_asked_for_is_read():
    assert Formats.parse("onnx,saved-model") == Formats()
    assert Formats.parse(" onnx ", precision="int8") == Formats(saved_model=False, precision="int8")


@pytest.mark.parametrize(
    ("names", "precision", "message"),
    [
        ("onnx,tflite", "float32", "--formats: unknown format 'tflite'; known formats: onnx, saved-model"),
        ("saved-model", "float32", "--formats: has no onnx"),
        ("onnx", "int4", "--precision: unknown precision 'int4'; known: float32, float16, int8"),
    ],
)
def test_what_is_not_known_is_named(names, precision, message):
    with pytest.raises(ExportError, match=message):
        Formats.parse(names, precision=precision)
