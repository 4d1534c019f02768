"""Chart archives, friendly and hostile ones."""

import gzip
import io
import tarfile
import tracemalloc

import pytest
import yaml
from dockerimage_replication.charts import archive
from dockerimage_replication.charts.archive import ChartError, read_chart
from dockerimage_replication.values import text_at
from replication_support import chart_archive, chart_files, packed


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    made.linkname = target
    return made


def test_a_chart_tells_its_metadata_and_values() -> None:
    chart = read_chart(chart_archive("app", "1.2.3", appVersion="4.5", values={"image": {"tag": "x"}}))

    assert (chart.name, chart.version) == ("app", "1.2.3")
    assert text_at(chart.metadata, "appVersion") == "4.5"
    assert text_at(chart.values, "image.tag") == "x"


def test_values_of_a_subchart_are_those_that_its_parent_leaves() -> None:
    chart = read_chart(
        chart_archive(
            values={"db": {"image": {"tag": "parent"}}},
            subcharts={"db": {"image": {"tag": "own", "repository": "db"}}},
        )
    )

    assert text_at(chart.values, "db.image.tag") == "parent"
    assert text_at(chart.values, "db.image.repository") == "db"
    assert text_at(chart.subcharts["db"].values, "image.tag") == "own"


def test_a_packed_subchart_is_read_too() -> None:
    files = chart_files()
    files["app/charts/db-0.1.0.tgz"] = chart_archive("db", "0.1.0", values={"image": "db:1"})

    assert text_at(read_chart(packed(files)).values, "db.image") == "db:1"


def test_an_alias_holds_the_values_of_its_subchart() -> None:
    chart = read_chart(
        chart_archive(
            dependencies=[{"name": "db", "alias": "users"}, {"name": "db", "alias": "orders"}],
            subcharts={"db": {"image": "db:1"}},
        )
    )

    assert set(chart.subcharts) == {"users", "orders"}
    assert text_at(chart.values, "orders.image") == "db:1"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("../evil", b"x"),
        ("app/../../evil", b"x"),
        ("/etc/evil", b"x"),
        ("app\\..\\evil", b"x"),
        ("C:/evil", b"x"),
        ("app/link", member("app/link", tarfile.SYMTYPE, "/etc/passwd")),
        ("app/values.yaml", member("app/values.yaml", tarfile.LNKTYPE, "app/Chart.yaml")),
        ("app/device", member("app/device", tarfile.CHRTYPE)),
        ("app/fifo", member("app/fifo", tarfile.FIFOTYPE)),
    ],
)
def test_a_member_that_no_chart_needs_is_refused(name: str, content: bytes | tarfile.TarInfo) -> None:
    with pytest.raises(ChartError, match="its archive holds"):
        read_chart(packed({**chart_files(), name: content}))


def test_a_file_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ChartError, match=r"Chart\.yaml twice"):
        read_chart(packed({**chart_files(), **chart_files("other")}))


def test_an_archive_that_unpacks_to_too_much_is_refused_without_unpacking_it() -> None:
    bomb = gzip.compress(packed_zeros(archive.MAX_UNPACKED + 1024 * 1024))
    tracemalloc.start()

    with pytest.raises(ChartError, match="unpacks to more than"):
        read_chart(bomb)

    assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
    tracemalloc.stop()


def packed_zeros(size: int) -> bytes:
    """A tar of many small enough members that nobody reads."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number in range(size // archive.MAX_FILE + 1):
            made = tarfile.TarInfo(f"app/{number}")
            made.size = archive.MAX_FILE
            tar.addfile(made, io.BytesIO(bytes(made.size)))
    return buffer.getvalue()


def test_nested_archives_share_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED", 60_000)
    inner = chart_archive("inner", values={"x": "a" * 30_000})
    middle = packed({**chart_files("middle"), "middle/charts/inner.tgz": inner})

    read_chart(middle)
    with pytest.raises(ChartError, match="unpacks to more than"):
        read_chart(packed({**chart_files(), "app/charts/a.tgz": middle, "app/charts/b.tgz": inner}))


def test_charts_inside_charts_end_somewhere() -> None:
    nested = chart_archive("deep")
    for _ in range(archive.MAX_DEPTH + 1):
        nested = packed({**chart_files("deep"), "deep/charts/deep.tgz": nested})

    with pytest.raises(ChartError, match="deeper than"):
        read_chart(nested)


def test_a_file_that_is_too_large_is_refused() -> None:
    with pytest.raises(ChartError, match=r"'app/notes\.txt', which is larger"):
        read_chart(packed({**chart_files(), "app/notes.txt": bytes(archive.MAX_FILE + 1)}))


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", gzip.compress(b"no tar"), chart_archive()[:100], packed({})],
    ids=["empty", "text", "gzipped text", "cut off", "no members"],
)
def test_what_is_no_chart_is_refused(content: bytes) -> None:
    with pytest.raises(ChartError):
        read_chart(content)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a: [", "not valid YAML"),
        (b"- a", "not a mapping"),
        (b"!!python/object/apply:os.getcwd []", "not valid YAML"),
        (b"[" * 100_000, "not valid YAML|nest too deep"),
        (b"\xff\xfe\xfd", "not valid YAML"),
    ],
)
def test_values_that_are_no_mapping_are_refused(text: bytes, said: str) -> None:
    with pytest.raises(ChartError, match=said):
        read_chart(packed({**chart_files(), "app/values.yaml": text}))


def test_aliases_do_not_grow() -> None:
    layers = "".join(f"l{n}: &l{n} {{a: *l{n - 1}, b: *l{n - 1}}}\n" for n in range(1, 60))
    bomb = f"l0: &l0 {{x: 1}}\n{layers}".encode()

    chart = read_chart(packed({**chart_files(), "app/values.yaml": bomb}))

    assert text_at(chart.values, "l2.a.b.x") == "1"


def test_aliases_in_the_metadata_are_refused() -> None:
    """They would be expanded when the metadata becomes the config of the OCI artifact."""
    text = b"name: app\nversion: 1.0.0\nannotations: {a: &a {b: c}, d: *a}\n"

    with pytest.raises(ChartError, match=r"Chart\.yaml is not valid YAML: the alias"):
        read_chart(packed({"app/Chart.yaml": text}))


def test_a_chart_without_name_or_version_is_refused() -> None:
    text = yaml.safe_dump({"name": "app"}).encode()

    with pytest.raises(ChartError, match="no name or version"):
        read_chart(packed({"app/Chart.yaml": text}))
