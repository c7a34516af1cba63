from __future__ import annotations

from pathlib import Path

import pytest

from streamae.config import Spans, Training, load, parse
from streamae.config.objectives import Denoising, Variational
from streamae.detection.grid import Lateness
from streamae.detection.manifest import WindowSpec
from streamae.errors import ConfigError

GOOD = """
service = "plant"
model = "pumps"

[topics]
store = "embedded://plant.db"
readings = "plant.readings"

[readings]
channels = { temperature = "$.temperature", pressure = "$.pressure" }

[windows]
cadence_s = 60
"""


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert caught.value.exit_code == 2
    return str(caught.value).splitlines()


def test_what_is_left_out_has_a_default() -> None:
    config = parse(GOOD)
    assert config.windows.spec() == WindowSpec(length=128, stride=4, cadence_ms=60_000)
    assert config.windows.lateness() == Lateness(lateness_ms=0, max_lag_ms=2 * 128 * 60_000)
    assert config.episodes.policy(config.windows).expire_after_ms == 4 * 128 * 60_000
    assert config.readings.mapping().channels == {"temperature": "$.temperature", "pressure": "$.pressure"}
    assert config.training.spans == Spans(fit=0.55, calibrate=0.3)
    assert config.serving.start_at() == "earliest"
    assert config.topic("alerts") == "plant.alerts"


def test_what_is_given_holds() -> None:
    config = parse(GOOD + "lateness_s = 1.5\nmax_lag_s = 30\n[serving]\nstart = '2026-01-02T03:04:05Z'\n")
    assert config.windows.lateness() == Lateness(lateness_ms=1500, max_lag_ms=30_000)
    assert config.serving.start_at() == 1_767_323_045_000


def test_a_file_is_read_and_paths_in_it_start_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "plant.toml"
    path.write_text(GOOD + '[training]\nfiles = ["history/*.parquet", "/data/old.csv"]\n')
    config = load(path)
    assert config.registry == str(tmp_path / "registry")
    assert config.topics.store == f"embedded://{tmp_path}/plant.db"
    assert config.training.files == (str(tmp_path / "history/*.parquet"), "/data/old.csv")


@pytest.mark.parametrize("store", ["embedded:///var/plant.db", "kafka://one:9092,two:9092"])
def test_absolute_places_stay_where_they_are(store: str) -> None:
    text = 'registry = "s3://bucket/models"\n' + GOOD.replace("embedded://plant.db", store)
    config = parse(text, Path("/etc/streamae"))
    assert (config.topics.store, config.registry) == (store, "s3://bucket/models")


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"nowhere\.toml: cannot be read .*No such file.*; give the path of a TOML file"
    ):
        load(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match=r"cannot be read .*Is a directory"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"service = ", "not TOML: Invalid value"), (b"\xff", "cannot be read")]
)
def test_a_file_that_is_not_toml_says_so(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "plant.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"plant\.toml: {reason}"):
        load(path)


def test_every_line_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "plant.toml"
    path.write_text(GOOD + "[serving]\nhttp_port = -1\nport = 1\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).splitlines() == [
        f"{path}: $.serving: unknown key `port`; did you mean `http_port`?",
        f"{path}: $.serving.http_port: Expected `int` >= 0",
    ]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("lenght = 3", "$.windows: unknown key `lenght`; did you mean `length`?"),
        ("[windoes]", "$: unknown key `windoes`; did you mean `windows`?"),
        ("[episodes]\nxyz = 1", "$.episodes: unknown key `xyz`; known here: fire_after, resolve_after, min_observed"),
        ("length = '32'", "$.windows.length: Expected `int`, got `str`"),
        ("length = 32.5", "$.windows.length: Expected `int`, got `float`"),
        ("length = 1", "$.windows.length: Expected `int` >= 2"),
        ("length = 1000000000000", "$.windows: a window of 1e+12 ticks of 60000 ms is longer than three centuries"),
        ("lateness_s = inf", "$.windows.lateness_s: Expected `float` <= 10000000000.0"),
        ("max_lag_s = 1e300", "$.windows.max_lag_s: Expected `float` <= 10000000000.0"),
        ("[episodes]\nexpire_after_s = inf", "$.episodes.expire_after_s: Expected `float` <= 10000000000.0"),
        ("[retraining]\nevery_s = inf", "$.retraining.every_s: Expected `float` <= 10000000000.0"),
        ("[serving]\nstart = '1960-01-01'", "$.serving: start = '1960-01-01' is before 1970"),
        (f"length = {'9' * 5000}", "not TOML: Exceeds the limit (4300 digits)"),
        (f"x = {'[' * 5000}", "not TOML: maximum recursion depth exceeded"),
        (f"{'a.' * 5000}a = 1", "not TOML: maximum recursion depth exceeded"),
        ("stride = 0", "$.windows.stride: Expected `int` >= 1"),
        ("stride = 129", "$.windows: stride must be from 1 to length (128), not 129: with a longer stride"),
        ("lateness_s = 9\nmax_lag_s = 3", "$.windows: max_lag_s must not be smaller than lateness_s"),
        ("[episodes]\nexpire_after_s = 60", "$.episodes.expire_after_s: 60 s is not more than max_lag_s + a stride"),
        ("[episodes]\nmin_observed = 1.5", "$.episodes.min_observed: Expected `float` <= 1"),
        ("[training]\nhidden = [64, 0]", "$.training.hidden[1]: Expected `int` >= 1"),
        ("[training]\nhidden = []", "$.training.hidden: Expected `array` of length >= 1"),
        (
            "[training]\nhidden = [64, 32]\nlayers = 3",
            "$.training: hidden has 2 layers, and layers = 3; give one",
        ),
        ("[training]\nactivation = 'relu'", "$.training: activation: the gates of an LSTM are what they are; leave it"),
        ("[training]\nobjective = 'vae'", "$.training.objective: Invalid enum value 'vae'"),
        ("[training]\nobjective = { name = 'vae' }", "$.training.objective.name: Invalid value 'vae'"),
        ("[training]\nobjective = { free_bits = 1 }", "$.training.objective: Object missing required field `name`"),
        (
            "[training]\nobjective = { name = 'variational', freebits = 1 }",
            "$.training.objective: unknown key `freebits`; did you mean `free_bits`?",
        ),
        (
            "[training]\nobjective = { name = 'denoising', free_bits = 1 }",
            "$.training.objective: unknown key `free_bits`; known here: noise, dropped, blocked",
        ),
        (
            "[training]\nobjective = { name = 'masked', share = 1.0 }",
            "$.training.objective.share: Expected `float` < 1.0",
        ),
        ("[training]\nobjective = 'conditional'", "$.training: objective = `conditional` is given the channels that"),
        (
            "[training]\nautoencoder = 'pca'\nobjective = 'sparse'",
            "$: training.objective: pca has no network to train; leave the objective out, or choose dense, conv",
        ),
        ("[training]\nloss = 'rmse'", "$.training.loss: Invalid enum value 'rmse'"),
        ("[training]\nspans = { fit = 0.8, calibrate = 0.3 }", "$.training.spans: fit + calibrate must not exceed 1"),
        ("[training]\nspans = { judge = 0.8 }", "$.training.spans: unknown key `judge`; known here: fit, calibrate"),
        ("[training]\ncontext = ['load']", "$: training.context names 'load', which is none of $.readings.channels"),
        (
            "[training]\nrefit = true\n[retraining]\nevery_s = 60",
            "$: training.refit is on, but what [retraining] trains is",
        ),
        ("[training.ranges]\nload = 3.0", "$: training.ranges names 'load', which is none of $.readings.channels"),
        (
            "[serving]\nstart = 'yesterday'",
            "$.serving: start is `earliest`, `latest` or a time like 2026-11-01T00:00:00Z",
        ),
        ("[serving]\nhttp_port = 65536", "$.serving.http_port: Expected `int` <= 65535"),
        ("[topics.client]\nretries = [1]", "$.topics.client[...]: Expected `bool | int | float | str`, got `array`"),
    ],
)
def test_a_fault_is_named_with_path_and_cure(extra: str, expected: str) -> None:
    (line,) = faults(GOOD + extra)
    assert line.startswith(expected)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('service = "plant"', "", "$: `service` is missing"),
        ('"plant"', '"pl ant"', "$.service: Expected `str` matching regex"),
        ('"plant"', "7", "$.service: Expected `str`, got `int`"),
        (
            "embedded://",
            "redis://",
            "$.topics: store is kafka://host:port or embedded://path/to/file.db, not 'redis://",
        ),
        ("cadence_s = 60", "cadence_s = 0", "$.windows.cadence_s: Expected `float` > 0.0"),
        ("cadence_s = 60", "cadence_s = inf", "$.windows.cadence_s: Expected `float` <= 10000000000.0"),
        ("[windows]", "max_ahead_s = inf\n[windows]", "$.readings.max_ahead_s: Expected `float` <= 10000000000.0"),
        ("cadence_s = 60", "cadence_s = 0.0001", "$.windows: cadence must be at least 1 ms, not 0"),
        ('"$.pressure"', "3", "$.readings.channels[...]: Expected `str`, got `int`"),
        ('"$.pressure"', '"pressure"', "$.readings: `pressure` is not a path"),
    ],
)
def test_a_fault_in_what_every_config_has(old: str, new: str, expected: str) -> None:
    (line,) = faults(GOOD.replace(old, new, 1))
    assert line.startswith(expected)


def test_all_faults_are_found_at_once() -> None:
    text = GOOD.replace('model = "pumps"', 'modle = "pumps"').replace('readings = "plant.readings"', "")
    found = faults(text + "stride = 'x'\nlength = 1\nmax_lag = 3\n[episodes]\nfire_after = 0\n[sreving]\n")
    assert found == [
        "$: unknown key `modle`; did you mean `model`?",
        "$: unknown key `sreving`; did you mean `serving`?",
        "$: `model` is missing",
        "$.topics: `readings` is missing",
        "$.windows: unknown key `max_lag`; did you mean `max_lag_s`?",
        "$.windows.stride: Expected `int`, got `str`",
        "$.windows.length: Expected `int` >= 2",
        "$.episodes.fire_after: Expected `int` >= 1",
    ]


def test_a_section_that_is_no_section() -> None:
    assert faults("topics = 1\n" + GOOD.replace("[topics]", "[topicz]"))[-1] == "$.topics: Expected `object`, got `int`"


def test_the_environment_fills_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKERS", "one:9092")
    monkeypatch.setenv("SECRET", "a ${BROKERS} b")
    text = GOOD.replace("embedded://plant.db", "kafka://${BROKERS},two:9092")
    config = parse(text + '[topics.client]\nsasl_plain_password = "${SECRET}"\n[training]\nfiles = ["${SECRET}.csv"]\n')
    assert config.topics.store == "kafka://one:9092,two:9092"
    assert config.topics.client == {"sasl_plain_password": "a ${BROKERS} b"}  # what was filled in is not filled again
    assert config.training.files == ("a ${BROKERS} b.csv",)


def test_every_unset_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROKERS", raising=False)
    text = GOOD.replace("embedded://plant.db", "kafka://${BROKERS}")
    assert faults(text + '[training]\nfiles = ["a.csv", "${NO_FOLDER_HERE}/b.csv"]\ncode = 0\n') == [
        "$.topics.store: the environment variable BROKERS is not set",
        "$.training.files[1]: the environment variable NO_FOLDER_HERE is not set",
        "$.training.code: Expected `int` >= 1",
    ]


def test_layers_taper_to_the_code() -> None:
    assert Training(layers=3, code=4).nodes == (64, 24, 12)  # multiples of four heads
    assert Training(layers=2, code=64).nodes == (64, 64)
    assert Training(hidden=(32, 16)).nodes == (32, 16)


def test_an_objective_is_named_or_given_with_its_parameters() -> None:
    named, given = (
        parse(GOOD + f"[training]\nobjective = {text}\n").training.aim
        for text in ("'variational'", "{ name = 'variational', free_bits = 0.2 }")
    )
    assert named == Variational()
    assert given == Variational(free_bits=0.2)
    assert parse(GOOD).training.aim == Denoising(noise=0.1)
