"""Projects and cameras files made to harm: each gets a sentence, soon and in little memory; nothing is written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import depthraster as dr
from depthraster.io.archives import Archive
from depthraster.io.metashape_project import load_chunk
from projects import (
    CAMERA,
    HEAD,
    SENSOR,
    chunk_xml,
    frame_xml,
    ply,
    with_model,
    write_psx,
    write_psz,
    write_zip,
)

MIB = 1 << 20


def refused(path: Path, says: str, error: type[Exception] = dr.FormatError) -> str:
    """Assert that a file is refused in one sentence that names it, and return the sentence."""
    with pytest.raises(error) as caught:
        load_chunk(path)
    message = str(caught.value)
    assert says in message, message
    assert str(path.parent) in message and "\n" not in message and "\0" not in message
    assert "needed" in message or "possible" in message
    return message


def peak(function) -> int:
    """The most memory that a call takes beyond what was there, bytes."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# --- archives -------------------------------------------------------------------------------------------------------------


def write_bomb(path: Path, name: str, size: int) -> None:
    """An archive with a member of blanks, a thousandth as long itself."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as member:
        for _ in range(size // MIB):
            member.write(b" " * MIB)


def test_a_document_that_unpacks_to_a_thousand_times_its_size_is_refused(tmp_path):
    path = tmp_path / "bomb.psz"
    write_bomb(path, "doc.xml", 200 * MIB)
    assert path.stat().st_size < MIB
    assert peak(lambda: refused(path, "claims to hold 209715200 bytes in")) < 4 * MIB


def test_a_mesh_that_unpacks_to_a_thousand_times_its_size_is_refused(tmp_path):
    path = with_model(tmp_path)
    write_bomb(tmp_path / "survey.files/0/0/model/model.zip", "mesh.ply", 200 * MIB)
    chunk = load_chunk(path)
    with pytest.raises(dr.FormatError, match=r"'mesh\.ply' claims to hold 209715200 bytes"):
        chunk.load_mesh()


def test_a_size_that_is_a_lie_is_found_out(tmp_path):
    """The directory of an archive says what a member unpacks to; no more than that is unpacked."""
    text = (HEAD + "<document>" + " " * 10 * MIB + "</document>").encode()
    for claimed in (100, 2 * len(text)):
        path = tmp_path / "lie.psz"
        write_zip(path, {"doc.xml": text})
        data = bytearray(path.read_bytes())
        for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
            start = data.index(signature) + offset
            data[start : start + 4] = claimed.to_bytes(4, "little")
        path.write_bytes(data)
        assert peak(lambda path=path: refused(path, "")) < 6 * MIB


def test_a_length_beyond_the_archive_is_found_out(tmp_path):
    path = write_psz(tmp_path / "lie.psz")
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02") + 20
    data[start : start + 8] = (1 << 31).to_bytes(4, "little") * 2
    path.write_bytes(data)
    assert peak(lambda: refused(path, "'doc.xml' is damaged (2147483648 bytes are promised)")) < MIB


def test_many_small_members_are_not_read(tmp_path):
    path = write_psz(tmp_path / "many.psz", members={f"points{k}.ply": b"" for k in range(20_000)})
    assert len(load_chunk(path).cameras) == 1


@pytest.mark.parametrize(
    "name",
    ["../evil.ply", "a/../../evil.ply", "/etc/evil", "\\\\server\\evil", "C:/evil.ply", "..\\evil.ply", ".."],
)
def test_members_that_lead_out_are_refused(tmp_path, name):
    path = write_psz(tmp_path / "survey.psz", members={name: b"x"})
    refused(path, "leads out of the archive")
    assert sorted(tmp_path.iterdir()) == [path]


def test_links_in_archives_are_refused(tmp_path):
    path = tmp_path / "link.psz"
    link = zipfile.ZipInfo("doc.xml")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(path, "'doc.xml' is a symbolic link")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_are_there_twice_are_refused(tmp_path):
    path = tmp_path / "twice.psz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("doc.xml", "<document/>")
        archive.writestr("doc.xml", "<other/>")
    refused(path, "'doc.xml' is in the archive twice")


@pytest.mark.parametrize(
    ("method", "says"), [(zipfile.ZIP_BZIP2, "method 12"), (zipfile.ZIP_LZMA, "method 14")]
)
def test_other_compressions_are_refused(tmp_path, method, says):
    path = tmp_path / "other.psz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("doc.xml", "<document/>")
    refused(path, f"'doc.xml' is compressed by {says}")


def test_encrypted_members_are_refused(tmp_path):
    path = write_psz(tmp_path / "secret.psz")
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    refused(path, "'doc.xml' is encrypted")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file is empty"),
        (b"PK", "not read as a zip archive"),
        (b"PK\x03\x04" + bytes(100), "not read as a zip archive"),
        (b"anything", "not read as a zip archive"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path, data, says):
    path = tmp_path / "survey.psz"
    path.write_bytes(data)
    refused(path, says)


def test_an_archive_without_a_document_is_refused(tmp_path):
    refused(write_zip(tmp_path / "photos.psz", {"a.jpg": b"x"}), "no doc.xml in this archive")


def test_damaged_content_is_refused(tmp_path):
    path = with_model(tmp_path)
    archive = tmp_path / "survey.files/0/0/model/model.zip"
    whole = write_zip(archive, {"mesh.ply": ply()}).read_bytes()
    chunk = load_chunk(path)
    for position in range(40, len(whole) - 100, 23):
        archive.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        with pytest.raises(dr.FormatError, match=r"damaged|not read as"):
            chunk.load_mesh()
        archive.write_bytes(whole[:position])
        with pytest.raises(dr.FormatError, match="not read as a zip archive"):
            chunk.load_mesh()


def test_a_member_is_read_whole(tmp_path):
    data = np.random.default_rng(0).integers(0, 256, 3 * MIB + 7, np.uint8)
    with Archive(write_zip(tmp_path / "a.zip", {"a": data.tobytes()})) as archive:
        assert archive.names == {"a"} and np.array_equal(archive.read("a"), data)
        with archive.open("a") as member:
            assert zlib.crc32(member.read()) == zlib.crc32(data)


# --- paths ----------------------------------------------------------------------------------------------------------------

OUTSIDE = [
    "../outside/chunk.zip",
    "0/../../outside/chunk.zip",
    "/outside/chunk.zip",
    "C:\\outside",
    "..\\outside",
]


@pytest.mark.parametrize("relative", OUTSIDE)
def test_documents_that_name_files_outside_are_refused(tmp_path, relative):
    write_zip(tmp_path / "outside" / "chunk.zip", {"doc.xml": chunk_xml(), "mesh.ply": ply()})
    project = f'<document><chunks><chunk id="0" path="{relative}"/></chunks></document>'
    for name, change in (
        ("p", {"path": relative}),
        ("c", {"chunks": [chunk_xml(frames=f'<frame id="0" path="{relative}"/>')]}),
        ("m", {"frames": {"0/0": frame_xml(f'<model id="0" path="../{relative}"/>')}}),
    ):
        refused(write_psx(tmp_path, name=name, **change), "leads out of the project's folder")
    path = write_psx(tmp_path)
    write_zip(tmp_path / "survey.files" / "project.zip", {"doc.xml": project})
    refused(path, "leads out of the project's folder, 'survey.files'")


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="needs symbolic links")
def test_links_out_of_a_project_are_refused(tmp_path):
    outside = write_zip(tmp_path / "outside" / "chunk.zip", {"doc.xml": chunk_xml(), "mesh.ply": ply()})
    for place in ("project.zip", "0/chunk.zip", "0/0/frame.zip"):
        path = write_psx(tmp_path)
        inner = tmp_path / "survey.files" / place
        inner.unlink()
        inner.symlink_to(outside)
        refused(path, "leads out of the project's folder")
        inner.unlink()
    folder = tmp_path / "survey.files" / "0"
    path = write_psx(tmp_path)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    refused(path, "leads out of the project's folder")


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_the_folder_of_a_project_may_be_a_link(tmp_path):
    """People keep it on another disk."""
    path = with_model(tmp_path)
    (tmp_path / "survey.files").rename(tmp_path / "disk")
    (tmp_path / "survey.files").symlink_to(tmp_path / "disk")
    assert len(load_chunk(path).load_mesh().faces) == 5


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipes_do_not_keep_us_waiting(tmp_path):
    path = write_psx(tmp_path)
    inner = tmp_path / "survey.files" / "0" / "chunk.zip"
    inner.unlink()
    os.mkfifo(inner)
    refused(path, "this is no regular file")


# --- documents ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["psx", "project", "chunk", "frame", "model", "psz"])
def test_entities_are_refused_everywhere(tmp_path, kind):
    evil = '<!DOCTYPE d [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;&a;">]><document path="&b;"/>'
    path = with_model(tmp_path)
    if kind == "psx":
        path.write_text(HEAD + evil)
    elif kind == "psz":
        path = write_zip(tmp_path / "a.psz", {"doc.xml": evil})
    else:
        place = {"project": "", "chunk": "0/", "frame": "0/0/", "model": "0/0/model/"}[kind]
        write_zip(tmp_path / f"survey.files/{place}{kind}.zip", {"doc.xml": evil, "mesh.ply": ply()})
    with pytest.raises(dr.FormatError, match=r"document type or an entity.*can be hostile; .* is needed"):
        load_chunk(path).load_mesh()


def test_many_cameras_take_their_share_of_memory_only(tmp_path):
    n, path = 20_000, tmp_path / "cameras.xml"
    with path.open("w") as file:
        file.write(f"<document><chunk><sensors>{SENSOR}</sensors><cameras>")
        file.writelines(
            f'<camera id="{k}" sensor_id="0" label="{k}"><meta><property name="x" value="y"/></meta></camera>'
            for k in range(n)
        )
        file.write("</cameras></chunk></document>")
    found = []
    assert peak(lambda: found.append(load_chunk(path))) < n * 2000
    assert [camera.id for camera in found[0].cameras] == list(range(n))


@pytest.mark.parametrize(
    ("element", "says"),
    [
        ("<sensor/>", "more than 1000000 elements such as <sensor>"),
        ("<region/>", "more than 1000000 elements such as <region>"),
        ("<camera id='0' sensor_id='0' label='a'><transform/></camera>", "two cameras have the id 0"),
    ],
)
def test_a_flood_of_elements_is_refused(tmp_path, element, says):
    path = tmp_path / "cameras.xml"
    before, after = ("<sensors>", "</sensors>") if "sensor/" in element else ("", "")
    if "camera" in element:
        before, after = f"<sensors>{SENSOR}</sensors><cameras>", "</cameras>"
        element += element
    else:
        element *= 1_000_001
    path.write_text(f"<document><chunk>{before}{element}{after}</chunk></document>")
    refused(path, says)


def test_a_flood_of_what_is_not_known_is_stepped_over(tmp_path):
    path = tmp_path / "cameras.xml"
    junk = "<junk a='b'><x/>text</junk>" * 200_000 + "<deep>" * 10_000 + "</deep>" * 10_000
    path.write_text(f"<document><chunk label='C'>{junk}<cameras>{junk}</cameras></chunk></document>")
    found = []
    assert peak(lambda: found.append(load_chunk(path))) < 2 * MIB
    assert found[0].label == "C"


def test_a_flood_of_text_is_refused(tmp_path):
    path = tmp_path / "cameras.xml"
    text = "1 " * 5 * MIB
    path.write_text(f"<document><chunk><reference>{text}</reference></chunk></document>")
    assert peak(lambda: refused(path, "more than 1048576 characters in one <reference>")) < 8 * MIB


@pytest.mark.parametrize("begin", ["<chunk label='", "<!-- ", "<?x ", "<chunk "])
def test_a_tag_or_a_comment_without_end_is_refused(tmp_path, begin):
    """The parser would keep it in memory and look through it again and again."""
    path = tmp_path / "cameras.xml"
    with path.open("w") as file:
        file.write(f"<document>{begin}")
        for _ in range(100):
            file.write("x" * MIB)
    start = time.process_time()
    assert peak(lambda: refused(path, "a tag or a comment of more than 4194304 bytes")) < 16 * MIB
    assert time.process_time() - start < 5
    path.write_text(f"<document><!-- {'x' * 3 * MIB} --><chunk label='{'y' * MIB}'/></document>")
    assert len(load_chunk(path).label) == MIB


def masters(*pairs: tuple[int, int | None]) -> str:
    return "".join(
        f'<camera id="{k}" sensor_id="0" label="c{k}"' + (f' master_id="{m}"/>' if m is not None else "/>")
        for k, m in pairs
    )


@pytest.mark.parametrize(
    "pairs", [((0, 1), (1, 0)), ((5, 1), (1, 2), (2, 3), (3, 1)), ((1, 2), (2, 3), (3, 2))]
)
def test_masters_in_a_circle_are_refused(tmp_path, pairs):
    refused(write_psx(tmp_path, [chunk_xml(cameras=masters(*pairs))]), "it is its own master's master")
    sensors = "".join(f'<sensor id="{k}" label="s{k}" master_id="{m}"/>' for k, m in pairs)
    refused(write_psx(tmp_path, [chunk_xml(sensors=sensors, cameras="")]), "sensor 's")


def test_a_long_chain_of_masters_is_followed(tmp_path):
    n = 50_000
    cameras = masters(*((k, k - 1) for k in range(n, 0, -1))) + CAMERA
    sensors = SENSOR + SENSOR.replace('id="0"', 'id="1" master_id="0"')
    cameras = cameras.replace('sensor_id="0" label="c', 'sensor_id="1" label="c')
    chunk = load_chunk(write_psx(tmp_path, [chunk_xml(sensors=sensors, cameras=cameras)]))
    assert len(chunk.cameras) == n + 1 and all(camera.aligned for camera in chunk.cameras)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('<camera id="0"', f'<camera id="{"9" * 5000}"', "id is '999"),
        ("1 0 0 1 0 -1", "1e999 0 0 1 0 -1", "'1e999' stands there; a finite number is needed"),
        ('label="a"', 'label="a&#0;"', "not read as XML"),
        ('<component id="0"', '<component id="0"/><component id="0"', "two components have the id 0"),
        (
            "<cameras ",
            '<cameras><group id="1"/><group id="1"/></cameras><cameras ',
            "two groups have the id 1",
        ),
        ('active_id="0"', 'active_id="1e3"', "active_id is '1e3'; a whole number is needed"),
    ],
)
def test_values_that_cannot_be(tmp_path, old, new, says):
    text = chunk_xml()
    assert old in text
    refused(write_psx(tmp_path, [text.replace(old, new)]), says)


@pytest.mark.parametrize(
    "label", ["../../evil", "/etc/passwd", "a\nb\tc", "\x7f\x85", "a" * 100_000, "\u202egpj.exe"]
)
def test_labels_are_kept_as_they_are_and_shown_with_care(tmp_path, label):
    attribute = label.replace("\n", "&#10;").replace("\t", "&#9;")
    camera = CAMERA.replace('label="a"', f'label="{attribute}"')
    assert load_chunk(write_psx(tmp_path, [chunk_xml(cameras=camera)])).cameras[0].label == label
    message = refused(
        write_psx(tmp_path, [chunk_xml(cameras=camera.replace("-1 3", "-1 x"))]), "'x' stands there"
    )
    assert len(message) < 600 and all(char.isprintable() for char in message.replace(str(tmp_path), ""))


@given(st.data())
def test_a_project_garbled_anywhere_is_read_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("garbled")
    path = with_model(folder)
    parts = [path, *sorted((folder / "survey.files").rglob("*.zip")), write_psz(folder / "b.psz")]
    victim = data.draw(st.sampled_from(parts))
    content = bytearray(victim.read_bytes())
    if victim.suffix == ".zip" and data.draw(st.booleans()):  # garble the document, not the archive
        with zipfile.ZipFile(victim) as archive:
            members = {name: bytearray(archive.read(name)) for name in archive.namelist()}
        garble(data, members[data.draw(st.sampled_from(sorted(members)))])
        write_zip(victim, {name: bytes(member) for name, member in members.items()})
    else:
        garble(data, content)
        victim.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for source in (path, folder / "b.psz"):
            try:
                chunk = load_chunk(source)
                if chunk.models:
                    chunk.load_mesh()
            except (ValueError, OSError) as error:
                assert "need" in str(error) or "possible" in str(error)
    assert {item.name for item in folder.iterdir()} == {"survey.psx", "survey.files", "b.psz"}


def garble(data, content: bytearray) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]


def test_200_000_cameras_of_the_shortest_kind_are_read_in_256_mebibytes(tmp_path):
    """In a process of its own, whose memory is limited."""
    if sys.platform != "linux":
        pytest.skip("memory is limited by Linux' means")
    path = tmp_path / "cameras.xml"
    with path.open("w") as file:
        file.write(f"<document><chunk><sensors>{SENSOR}</sensors><cameras>")
        file.writelines(f'<camera id="{k}" sensor_id="0" label=""/>' for k in range(200_000))
        file.write("</cameras></chunk></document>")
    code = (
        "import resource, sys, depthraster as dr; from depthraster.io import metashape_project\n"
        "def size(): return int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size() + (1 << 28),) * 2)\n"
        "print(len(dr.load_chunk(sys.argv[1]).cameras))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=300, check=False
    )
    assert run.stdout.strip() == "200000", run.stderr[-500:]


@pytest.mark.skipif(
    not os.environ.get("DEPTHRASTER_THOROUGH"), reason="takes a minute; DEPTHRASTER_THOROUGH=1 runs it"
)
def test_a_million_cameras_are_planned_and_some_rendered_in_two_gigabytes(tmp_path):
    if sys.platform != "linux":
        pytest.skip("memory is limited by Linux' means")
    path, mesh = tmp_path / "cameras.xml", tmp_path / "mesh.ply"
    mesh.write_bytes(ply())
    with path.open("w") as file:
        file.write(f"<document><chunk><sensors>{SENSOR}</sensors><cameras>")
        place = "<transform>1 0 0 1 0 -1 0 2 0 0 -1 3 0 0 0 1</transform>"
        file.writelines(
            f'<camera id="{k}" sensor_id="0" label="{k}">{place}</camera>' for k in range(1_000_000)
        )
        file.write("</cameras></chunk></document>")
    code = (
        "import resource, sys; from depthraster.cli import main\n"
        "def size(): return int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size() + (1 << 31),) * 2)\n"
        "main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "render", path, mesh, "-o", tmp_path / "out", "--camera", "99999?"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert "10 of 10 cameras rendered" in run.stdout, run.stderr[-500:]
