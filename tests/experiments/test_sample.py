"""Tests of the sample command in real processes, on untrained runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from PIL import Image, ImageSequence

import experiments.sample
from dac.covers.conditions import FIELDS, Album
from dac.errors import UserError
from dac.making.settings import Settings, read_record
from dac.models import digest, load_run, save_model
from dac.run.checkpoint import Checkpoints
from dac.run.workdir import claim_workdir, write_run
from dac.sampling import fixed_latents
from dac.training.state import init_state
from tests.conftest import ONE_DEVICE

GENRES = ("ambient", "dub", "thrash metal")


def make_run(workdir, config, conditions):
    """Writes a run directory with a checkpoint of random numbers."""
    config.conditions = conditions
    shapes = jax.eval_shape(lambda: init_state(config, len(GENRES)))
    rng = np.random.default_rng(0)
    state = jax.tree.map(lambda x: jnp.array(rng.normal(size=x.shape), x.dtype), shapes)
    identity = {"genres": GENRES, "fields": FIELDS, "years": [1950, 2025]}
    write_run(workdir, claim_workdir(workdir, config, identity))
    checkpoints = Checkpoints(workdir)
    checkpoints.save(state.replace(images_seen=jnp.int32(320)), 320, {})
    checkpoints.wait()
    checkpoints.close()
    return workdir


@pytest.fixture
def workdir(config, tmp_path):
    return make_run(tmp_path / "run", config, FIELDS)


def sample(*given):
    return subprocess.run(
        [sys.executable, "-m", "experiments.sample", *given],
        cwd=Path(__file__).parents[2],
        env=ONE_DEVICE,
        capture_output=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Returns a function that runs the command in this process."""
    monkeypatch.chdir(tmp_path)
    before = {*flags.FLAGS}
    experiments.sample.define_flags()

    def run(*arguments):
        with flagsaver.flagsaver():
            flags.FLAGS(["sample", *arguments])
            experiments.sample.main()

    yield run
    for name in {*flags.FLAGS} - before:
        delattr(flags.FLAGS, name)


@pytest.fixture
def made(command, capsys):
    """Returns a function that runs the command in this process and returns its last line."""

    def run(*arguments):
        command(*arguments)
        return capsys.readouterr().out.splitlines()[-1]

    return run


def test_sample_draws_an_album_and_reports_it_in_one_line(workdir, tmp_path):
    given = (
        *("--genre=Thrash metal=3,dub", "--year=1949", "--artist=椎名林檎\u200b 🦆", "--n=3"),
        *(f"--title={'long ' * 200}", f"--out={tmp_path / 'covers.png'}"),
    )
    pictures = []
    for _ in range(2):
        result = sample(f"--workdir={workdir}", *given)
        assert result.returncode == 0, result.stderr
        pictures.append((tmp_path / "covers.png").read_bytes())
    (line,) = result.stdout.decode().splitlines()
    assert line == (
        f"{tmp_path / 'covers.png'}: 3 covers of 75% thrash metal, 25% dub, 1949, "
        f"'{('long ' * 8)[:39]}…', by 椎名林檎 🦆, 128x128"
    )
    warnings = [w for w in result.stderr.decode().splitlines() if w.startswith("warning: ")]
    assert len(warnings) == 2
    assert "1950 to 2025" in warnings[0]
    assert "64 characters" in warnings[1]
    assert pictures[0] == pictures[1]
    with Image.open(tmp_path / "covers.png") as picture:
        assert picture.width > 2 * 128


def test_a_cover_can_be_made_again_and_varied(workdir, tmp_path, made):
    """`--like` gives the same bytes; with other flags it changes what they say alone."""
    given = (f"--workdir={workdir}", "--genre=dub", "--year=1979", "--title=Version", "--seeds=5")
    made(*given, "--typeset", "--size=300", "--bleed=1", f"--out={tmp_path / 'a.png'}")
    made(f"--workdir={workdir}", f"--like={tmp_path / 'a.png'}", f"--out={tmp_path / 'b.png'}")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (324, 324)  # 1 mm is 12 pixels at 300 dpi

    line = made(
        f"--workdir={workdir}", f"--like={tmp_path / 'a.png'}", "--seeds=6", "--year=1985",
        f"--out={tmp_path / 'c.png'}",
    )  # fmt: skip
    assert "dub, 1985, 'Version', 300x300" in line
    before, after = (read_record(tmp_path / f"{name}.png") for name in "ac")
    assert before.covers == (
        Settings(
            seed=5, genre={"dub": 1.0}, year=1979, title="Version", size=300, bleed=1.0,
            typeset=True,
        ),
    )  # fmt: skip
    assert vars(after.covers[0]) == vars(before.covers[0]) | {"seed": 6, "year": 1985}
    assert after.model == before.model == digest(load_run(workdir))


def test_a_model_folder_makes_the_covers_of_its_run(workdir, tmp_path, made):
    save_model(load_run(workdir), tmp_path / "model")
    for source in (f"--workdir={workdir}", f"--model={tmp_path / 'model'}"):
        made(source, "--seeds=0,4-5", "--genre=dub", f"--out={tmp_path / source[2:5]}")
    folders = [tmp_path / "wor", tmp_path / "mod"]
    names = [sorted(path.name for path in folder.iterdir()) for folder in folders]
    assert names == [["000000.png", "000001.png", "000002.png"]] * 2
    for name in names[0]:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    run = load_run(workdir)
    drawn = run.draw([Album({1: 1.0})] * 3, fixed_latents(run.config, 0, [0, 4, 5]))
    with Image.open(folders[0] / "000002.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), drawn[2])


def test_covers_that_do_not_fit_on_a_sheet_are_saved_in_a_folder(
    workdir, tmp_path, command, capsys
):
    """More covers than a sheet of 8192x8192 holds; they are drawn and written in batches."""
    command(f"--workdir={workdir}", "--n=4097", f"--out={tmp_path / 'covers.png'}")
    printed = capsys.readouterr()
    assert "do not fit" in printed.err
    assert printed.out.startswith(f"{tmp_path / 'covers'}: 4,097 covers")
    assert not (tmp_path / "covers.png").exists()
    written = sorted((tmp_path / "covers").iterdir())
    assert [path.name for path in written] == [f"{i:06d}.png" for i in range(4097)]

    command(f"--workdir={workdir}", "--n=18", f"--out={tmp_path / 'few'}")
    few = sorted((tmp_path / "few").iterdir())
    assert [p.read_bytes() for p in few] == [p.read_bytes() for p in written[:18]]
    with Image.open(few[0]) as picture:
        assert (picture.size, picture.mode) == ((8, 8), "RGB")


def test_a_sheet_shows_what_a_setting_does(workdir, tmp_path, made):
    line = made(
        f"--workdir={workdir}", "--sheet=truncation", "--n=3", f"--out={tmp_path / 'sheet.png'}"
    )
    assert "15 covers of any album, 128x128" in line
    record = read_record(tmp_path / "sheet.png")
    assert (record.columns, record.labels) == (3, ("0", "0.25", "0.5", "0.75", "1"))
    assert [cover.seed for cover in record.covers[:4]] == [0, 1, 2, 0]
    made(
        f"--workdir={workdir}",
        f"--like={tmp_path / 'sheet.png'}",
        f"--out={tmp_path / 'again.png'}",
    )
    assert (tmp_path / "sheet.png").read_bytes() == (tmp_path / "again.png").read_bytes()


def test_a_list_of_albums_is_continued_where_it_stopped(workdir, tmp_path, made):
    albums = [
        {"genres": ["dub"], "release_year": 1979, "artist": "King Echo", "title": "Version"},
        {"file_name": "b/two.jpg", "genres": {"dub": 1, "ambient": 0.5}, "label": "Roots"},
        {"title": None, "genres": []},
    ]
    path, out = tmp_path / "albums.jsonl", tmp_path / "out"
    path.write_text("\n\n".join(map(json.dumps, albums)) + "\n")
    given = (f"--workdir={workdir}", f"--batch={path}", "--size=32", f"--out={out}")
    line = made(*given)
    assert line == f"{out}: 3 covers made, 0 were there already"
    told = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert [t["file_name"] for t in told] == ["000000.png", "b/two.jpg", "000002.png"]
    assert told[1]["label"] == "Roots"
    whole = {file: file.read_bytes() for file in out.rglob("*.*")}
    (out / "000002.png").unlink()
    Image.new("RGB", (32, 32)).save(out / "000000.png")  # of another program
    line = made(*given)
    assert line == f"{out}: 2 covers made, 1 were there already"
    assert {file: file.read_bytes() for file in out.rglob("*.*")} == whole
    line = made(*given[:-1], f"--out={tmp_path / 'sheet.png'}")
    assert "3 covers of several albums, 32x32" in line
    one = read_record(out / "000000.png").covers[0]
    assert read_record(tmp_path / "sheet.png").covers[0] == one


def test_an_animation_loops_through_the_covers(workdir, tmp_path, made):
    pytest.importorskip("imageio_ffmpeg")
    given = (f"--workdir={workdir}", "--genre=dub", "--frames=3", "--size=64", "--finish=none")
    line = made(*given, "--interpolate=seeds", "--seeds=1-3", f"--out={tmp_path / 'a.gif'}")
    assert "9 frames through 3 covers, 64x64" in line
    with Image.open(tmp_path / "a.gif") as gif:
        frames = [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(gif)]
    assert len({frame.tobytes() for frame in frames}) == 9
    made(*given, "--interpolate=genre", f"--out={tmp_path / 'a.mp4'}")
    assert (tmp_path / "a.mp4").stat().st_size > 500


def test_bad_input_is_told_before_anything_is_written(workdir, config, tmp_path, command):
    genre_only = make_run(tmp_path / "genre", config, ("genres",))
    (tmp_path / "bad.jsonl").write_text('{"title": "a"}\n{"file_name": "../../x.png"}\n')
    (tmp_path / "worse.jsonl").write_text('{"genres": "dub"}\n')
    there = {*tmp_path.iterdir()}
    run = f"--workdir={workdir}"
    for given, message in (
        ((), "give one of --pretrained"),
        ((run, f"--model={workdir}"), "give one of --pretrained"),
        ((f"--model={workdir}",), "is not a model folder"),
        ((run, "--size=7"), "the size must be from 8"),
        ((run, "--typeset", "--size=100"), "too small for type"),
        ((run, "--typeset", "--layout=cornr"), "corner"),
        ((run, "--typeset", "--ink=red"), "#rrggbb"),
        ((run, "--n=1", "--seeds=1-3"), "less than the number of --seeds"),
        ((run, "--seeds=a"), "numbers and ranges such as 0,4-6"),
        ((run, "--sheet=year", "--interpolate=seeds"), "can't be combined"),
        ((run, "--batch=bad.jsonl", "--out=x"), "line 2: the file_name"),
        ((run, "--batch=worse.jsonl", "--out=x"), "line 1: a cover takes"),
        ((run, "--batch=none.jsonl", "--out=x"), "there is no such file"),
        ((run, f"--like={workdir / 'run.json'}"), "no PNG that can be read"),
        ((run, "--out=x.bmp"), "must end in"),
        ((run, "--out=none/x.png"), "there is no folder"),
        ((run, "--interpolate=seeds"), "it is an animation"),
        ((f"--workdir={genre_only}", "--sheet=year"), "was not trained on year"),
    ):
        with pytest.raises(UserError, match=re.escape(message)) as error:
            command(*given)
        assert "\n" not in str(error.value)
    assert {*tmp_path.iterdir()} == there


def test_bad_input_ends_with_one_line_and_an_exit_code(workdir, config, tmp_path):
    genre_only = make_run(tmp_path / "genre", config, ("genres",))
    for where, given, message in (
        (workdir, ("--genre=trash metal=0.5",), "thrash metal"),
        (workdir, ("--artist=",), "the artist '' is blank"),
        (workdir, (b"--year=\xff",), "1860 to 2100"),
        (workdir, ("--finish=rizo",), "riso"),
        (genre_only, ("--year=1988",), "was trained on genre; it knows no year"),
    ):
        result = sample(f"--workdir={where}", *given, f"--out={tmp_path / 'no.png'}")
        assert result.returncode == 1, result
        (line,) = result.stderr.decode().splitlines()
        assert line.startswith("error: ")
        assert message in line
    assert not (tmp_path / "no.png").exists()
