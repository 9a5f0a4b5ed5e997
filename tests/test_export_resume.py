"""Exports that end early: nothing half done is ever in its place, and a second run completes the first."""

from __future__ import annotations

import errno
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import depthraster as dr
from depthraster.manifest import Export
from exports import COMMAND, content, manifest, run, write_survey

LABELS = [f"IMG_{k}" for k in range(6)]


@pytest.fixture
def survey(tmp_path: Path) -> tuple[Path, Path]:
    return write_survey(tmp_path, LABELS)


@pytest.fixture
def undisturbed(survey, tmp_path: Path) -> dict[str, bytes]:
    result = run("render", *survey, "-o", tmp_path / "undisturbed")
    assert result.exit_code == 0, result.output
    return content(tmp_path / "undisturbed")


def times_of(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.tif")}


def fail_after(monkeypatch, n: int) -> None:
    """Have rendering interrupted after n images."""
    import depthraster.views

    real, calls = depthraster.views.render_into, []

    def limited(*args, **options):
        calls.append(0)
        if len(calls) > n:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(depthraster.views, "render_into", limited)


def test_a_second_run_completes_the_first(survey, undisturbed, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        fail_after(patched, 4)
        assert run("render", *survey, "-o", out, "--threads", 1).exit_code == 130
    first = times_of(out)
    assert 1 <= len(first) <= 4 and not (out / "manifest.json").exists()
    result = run("render", *survey, "-o", out)
    assert result.exit_code == 1 and "--resume" in result.stderr  # not unasked
    (out / ".unfinished" / ".0123456789abcdef.tif").write_bytes(b"half")
    with (out / ".unfinished" / "journal.jsonl").open("a") as journal:
        journal.write('{"name": "IMG_5", "fil')  # killed in the middle of a line
    result = run("render", *survey, "-o", out, "--resume")
    assert result.exit_code == 0, result.output
    assert f"{len(first)} of them before" in result.stdout and "6 of 6 cameras" in result.stdout
    second = times_of(out)
    assert {name: second[name] for name in first} == first  # not written again
    assert content(out) == undisturbed


def test_without_a_manifest_nothing_is_known_to_be_finished(survey, tmp_path):
    out = tmp_path / "out"
    assert run("render", *survey, "-o", out).exit_code == 0
    (out / "manifest.json").unlink()
    result = run("render", *survey, "-o", out, "--resume")
    assert result.exit_code == 1
    assert "did not make as far as can be told without its manifest.json" in result.stderr


def test_resume_in_an_empty_folder_and_in_a_finished_one(survey, undisturbed, tmp_path):
    out = tmp_path / "out"
    for _ in range(2):
        before = times_of(out) if out.exists() else None
        result = run("render", *survey, "-o", out, "--resume")
        assert result.exit_code == 0, result.output
        assert content(out) == undisturbed
        assert before is None or times_of(out) == before


def test_damaged_and_missing_files_are_made_again(survey, undisturbed, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(tmp_path / "undisturbed", out)
    (out / "IMG_0.tif").unlink()
    data = bytearray((out / "IMG_1.tif").read_bytes())
    data[len(data) // 2] ^= 1
    (out / "IMG_1.tif").write_bytes(data)
    (out / "IMG_2.tif").write_bytes(b"")
    (out / "thumbnails" / "IMG_3.webp").unlink()
    (out / "index.html").unlink()
    result = run("render", *survey, "-o", out, "--resume")
    assert result.exit_code == 0 and "2 of them before" in result.stdout
    assert content(out) == undisturbed


def test_a_killed_run_is_taken_up_with_more_cameras(survey, undisturbed, tmp_path):
    out = tmp_path / "out"
    assert run("render", *survey, "-o", out, "--camera", "IMG_4", "--camera", "IMG_1").exit_code == 0
    assert [record["label"] for record in manifest(out)["images"]] == ["IMG_1", "IMG_4"]
    assert run("render", *survey, "-o", out, "--resume").exit_code == 0
    assert content(out) == undisturbed
    assert run("render", *survey, "-o", out, "--resume", "--camera", "IMG_3").exit_code == 0
    assert content(out) == undisturbed  # the others stay in the manifest


def test_cameras_that_moved_are_rendered_again(survey, undisturbed, tmp_path):
    out, (cameras, mesh) = tmp_path / "out", survey
    shutil.copytree(tmp_path / "undisturbed", out)
    chunk = dr.load_chunk(cameras)
    transform = chunk.cameras[2].transform.copy()
    transform[1, 3] += 1e-9
    moved = [*chunk.cameras]
    moved[2] = replace(moved[2], transform=transform)
    dr.save_chunk(replace(chunk, cameras=moved), cameras)
    result = run("render", cameras, mesh, "-o", out, "--resume")
    assert result.exit_code == 0 and "5 of them before" in result.stdout
    assert manifest(out)["images"][2]["chunk_from_camera"][1][3] == 1e-9


def test_other_settings_meshes_and_foreign_files_are_not_mixed(survey, undisturbed, tmp_path):
    out, mesh = tmp_path / "out", survey[1]
    shutil.copytree(tmp_path / "undisturbed", out)
    for options, words in {
        ("--format", "npy"): "settings format 'tiff' and not 'npy'",
        ("--scale", "0.5"): "settings scale 1.0 and not 0.5",
        ("--layer", "alpha"): "settings layers",
    }.items():
        result = run("render", *survey, "-o", out, "--resume", *options)
        assert result.exit_code == 1 and words in result.stderr and "--overwrite" in result.stderr
    mesh.write_text(mesh.read_text().replace("\nf ", "\nf ", 1) + "f 1 2 3\n")
    result = run("render", *survey, "-o", out, "--resume")
    assert result.exit_code == 1 and "mesh n_faces" in result.stderr
    assert content(out) == undisturbed
    other = tmp_path / "photos"
    other.mkdir()
    (other / "IMG_3.tif").write_bytes(b"somebody's photo")
    result = run("render", *survey, "-o", other, "--resume")
    assert result.exit_code == 1 and "IMG_3.tif" in result.stderr
    assert (other / "IMG_3.tif").read_bytes() == b"somebody's photo"
    assert run("render", *survey, "-o", out, "--overwrite", "--format", "npy").exit_code == 0
    assert manifest(out)["settings"]["format"] == "npy"


@pytest.mark.parametrize("damage", ["{", "[]", '{"images": 3}', '{"version": "x"'])
def test_a_damaged_manifest_is_told(survey, undisturbed, tmp_path, damage):
    out = tmp_path / "undisturbed"
    (out / "manifest.json").write_text(damage)
    result = run("render", *survey, "-o", out, "--resume")
    assert result.exit_code == 1 and "damaged" in result.stderr and "--overwrite" in result.stderr


def test_a_link_in_the_place_of_the_hidden_folder_is_not_followed(survey, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".unfinished").symlink_to(tmp_path / "precious")
    result = run("render", *survey, "-o", tmp_path / "out", "--overwrite")
    assert result.exit_code == 1 and "link" in result.stderr
    assert (tmp_path / "precious" / "file").read_text() == "x"


def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(survey, undisturbed, tmp_path, monkeypatch):
    import depthraster.survey

    real = depthraster.survey.save_image

    def save(path, **options):
        if path.name == "IMG_2.tif":
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, **options)

    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(depthraster.survey, "save_image", save)
        result = run("render", *survey, "-o", out, "--threads", 1)
    assert result.exit_code == 1
    assert re.fullmatch(
        rf"Error: {out}: No space left .*: make room, and go on with --resume\n", result.stderr
    )
    made = {path.name for path in out.glob("*.tif")}
    assert {"IMG_0.tif", "IMG_1.tif"} <= made and "IMG_2.tif" not in made
    result = run("render", *survey, "-o", out, "--resume")
    assert f"{len(made)} of them before" in result.stdout and content(out) == undisturbed


@pytest.mark.skipif(sys.platform == "win32", reason="folders are locked the Unix way")
def test_two_runs_do_not_share_a_folder(survey, undisturbed, tmp_path):
    out = tmp_path / "out"
    assert run("render", *survey, "-o", out, "--camera", "IMG_0").exit_code == 0
    before = content(out)
    first = Export(out, json.loads((out / "manifest.json").read_text()), resume=True)
    for option in ("--resume", "--overwrite"):
        result = run("render", *survey, "-o", out, option)
        assert result.exit_code == 1 and "another run is writing there" in result.stderr
    first.close()
    assert {name: data for name, data in content(out).items() if not name.startswith(".unf")} == before
    assert run("render", *survey, "-o", out, "--resume").exit_code == 0
    assert content(out) == undisturbed


# In processes of their own


def start(survey, out: Path, *options: str) -> subprocess.Popen:
    return subprocess.Popen(
        [*COMMAND, *map(str, survey), "-o", str(out), "--threads", "2", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def complete(process: subprocess.Popen) -> None:
    told = process.communicate(timeout=300)
    assert process.returncode == 0, told


def wait_for_an_image(process: subprocess.Popen, out: Path) -> None:
    deadline = time.monotonic() + 120
    while not list(out.glob("*.tif")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.002)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_kill_at_random_moments_then_resume_gives_the_same_bytes(tmp_path):
    survey = write_survey(tmp_path, [f"IMG_{k}" for k in range(60)], (400, 300))
    whole, out = tmp_path / "whole", tmp_path / "out"
    complete(start(survey, whole))  # loads or makes the compile cache
    begin = time.monotonic()
    complete(start(survey, whole, "--overwrite"))
    seconds = time.monotonic() - begin
    expected = content(whole)
    rng = random.Random(5)
    n_images: list[int] = []
    for _ in range(50):
        if len(n_images) == 10:
            break
        process = start(survey, out, "--resume")
        time.sleep(
            rng.uniform(0.0, 1.1 * seconds)
        )  # any moment: it starts, renders, writes the manifest, or is over
        process.kill()
        process.communicate()
        for name, data in content(out).items():  # no half file, ever
            assert name.startswith(".unfinished/") or expected[name] == data, name
        n_images.append(len(list(out.glob("*.tif"))))
        if process.returncode == 0:
            n_images.pop()
            assert content(out) == expected
            shutil.rmtree(out)
    assert len(n_images) == 10 and max(n_images) > 0
    complete(start(survey, out, "--resume"))
    assert content(out) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="signals are the Unix way")
def test_ctrl_c_ends_at_once_and_leaves_what_is_finished(tmp_path):
    survey = write_survey(tmp_path, [f"IMG_{k}" for k in range(120)], (1200, 900))
    out, whole = tmp_path / "out", tmp_path / "whole"
    process = start(survey, out)
    wait_for_an_image(process, out)
    process.send_signal(signal.SIGINT)
    n_then = len(list(out.glob("*.tif")))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.endswith("Interrupted; what is finished is whole, and --resume goes on with the rest.\n")
    assert "Traceback" not in errors
    made = list(out.glob("*.tif"))
    assert 1 <= len(made) <= n_then + 8 < 120  # at once: not even those in work are waited for
    assert not (out / "manifest.json").exists()
    complete(start(survey, whole))
    expected = content(whole)
    for path in out.rglob("*.*"):
        name = path.relative_to(out).as_posix()
        assert name.startswith(".unfinished") or path.read_bytes() == expected[name]
    complete(start(survey, out, "--resume"))
    assert content(out) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="signals are the Unix way")
def test_ctrl_c_while_the_mesh_is_read_ends_at_once(tmp_path):
    survey = write_survey(tmp_path, ["a"])
    code = """if True:
        import os, signal, sys, threading, time
        import depthraster.io.meshes
        from depthraster.cli import main
        def read(path):
            threading.Thread(target=time.sleep, args=(300,)).start()  # work that the interpreter would wait for
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(300)
        depthraster.io.meshes.load_mesh = read
        main(sys.argv[1:])
    """
    command = [sys.executable, "-c", code, "render", *map(str, survey), "-o", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 130 and "Interrupted" in done.stderr, done
