"""What a scraper gets, read with prometheus_client's own parsers and with promtool."""

from __future__ import annotations

import gzip
from collections.abc import Iterable

import pytest
from prometheus_client import Metric as PrometheusFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from rlb.telemetry.catalogue import CATALOGUE, prometheus_label
from rlb.telemetry.exposition import Exposition
from rlb.telemetry.registry import Registry, Sample
from tests.support.promtool import needs_promtool, promtool
from tests.telemetry.filled import fill

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
"""As Prometheus 2.42 asks."""

TEXT = "text/plain;version=0.0.4"

NAMES_FIXED_ELSEWHERE = ("rlb_stream_count", "db_client_connection_count")
"""promtool wants `_count` for histograms alone. The one name is our contract, the other the semantic conventions'."""


async def scraped(registry: Registry, accept: str = TEXT) -> str:
    """The body of a scrape."""
    return (await Exposition(registry, {"service.name": "rlb"}).render(accept, "")).body.decode()


def values_of(families: Iterable[PrometheusFamily]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Samples by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def series_of(body: bytes) -> list[str]:
    """The series without their values."""
    return [line.rpartition(" ")[0] for line in body.decode().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
async def test_every_series_is_told(accept: str) -> None:
    """Each row of the catalogue with each set of labels and its value, in either format."""
    registry = Registry()
    expected = fill(registry)
    text = await scraped(registry, accept)
    families = list((parse_openmetrics if accept == OPENMETRICS else parse_text)(text))
    found = values_of(families)
    for (name, labels), value in expected.items():
        metric = CATALOGUE[name]
        suffix = "_sum" if metric.kind == "histogram" else ""
        series = (metric.prometheus_name + suffix, tuple((prometheus_label(label), text) for label, text in labels))
        assert found[series] == value
    types = {family.name: family.type for family in families}
    for metric in CATALOGUE.values():
        kind = "gauge" if metric.kind == "updowncounter" else metric.kind
        assert types[metric.prometheus_family] == kind


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
async def test_buckets_are_cumulated(accept: str) -> None:
    """A bucket counts all that is at most its bound; the last one is the count."""
    registry = Registry()
    histogram = registry.histogram("rlb.write.batch.size")
    for size in (1, 2, 2, 3, 5000):
        histogram.observe(size)
    found = values_of((parse_openmetrics if accept == OPENMETRICS else parse_text)(await scraped(registry, accept)))
    buckets = {labels[0][1]: value for (name, labels), value in found.items() if name == "rlb_write_batch_size_bucket"}
    assert [buckets[bound] for bound in ("1.0", "2.0", "4.0", "1024.0", "+Inf")] == [1, 3, 4, 4, 5]
    assert found["rlb_write_batch_size_sum", ()] == 5008
    assert found["rlb_write_batch_size_count", ()] == 5


async def test_exemplars_are_for_openmetrics() -> None:
    """The plain format has no place for them, and would not parse with one."""
    registry = Registry()
    histogram = registry.histogram("rlb.token.interval", model="m")
    histogram.observe_traced(0.03, "ab" * 16, "cd" * 8)
    histogram.observe(0.2)
    families = parse_openmetrics(await scraped(registry, OPENMETRICS))
    exemplars = [sample.exemplar for family in families for sample in family.samples if sample.exemplar]
    assert [(each.labels, each.value) for each in exemplars] == [({"trace_id": "ab" * 16, "span_id": "cd" * 8}, 0.03)]
    assert exemplars[0].timestamp is not None
    text = await scraped(registry)
    assert "trace_id" not in text
    assert " # " not in text


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
async def test_hostile_labels_are_escaped(accept: str) -> None:
    """Whatever apps call their models is told as it is."""
    models = ['quote"', "back\\slash", "new\nline", "brace}", "comma,equals=", "日本語", " ", "# EOF"]
    registry = Registry()
    registry.observe_with(lambda: [Sample("rlb.stream.count", {"model": model}, 1) for model in models])
    found = values_of((parse_openmetrics if accept == OPENMETRICS else parse_text)(await scraped(registry, accept)))
    assert {labels[0][1] for name, labels in found if name == "rlb_stream_count"} == set(models)


async def test_the_process_is_told_too_and_no_time_of_creation() -> None:
    """prometheus_client's own collectors, without the `_created` series that double what is stored."""
    registry = Registry()
    fill(registry)
    text = await scraped(registry)
    for name in ("process_resident_memory_bytes", "process_open_fds", "python_gc_collections_total", "python_info"):
        assert f"\n{name}" in text
    assert 'target_info{service_name="rlb"} 1.0' in text
    assert "_created" not in text


async def test_compressed_if_that_is_accepted() -> None:
    """The same text, a fraction of the bytes."""
    registry = Registry()
    fill(registry)
    exposition = Exposition(registry, {})
    plain = await exposition.render(TEXT, "identity")
    small = await exposition.render(TEXT, "gzip, deflate")
    assert (plain.content_encoding, small.content_encoding) == (None, "gzip")
    assert len(small.body) < len(plain.body) / 5
    assert series_of(gzip.decompress(small.body)) == series_of(plain.body)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        (TEXT, "text/plain; version=0.0.4"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0"),
    ],
)
async def test_the_format_is_the_scrapers_choice(accept: str, content_type: str) -> None:
    """OpenMetrics for those that ask for it, and the plain format for curl."""
    scrape = await Exposition(Registry(), {}).render(accept, "")
    assert scrape.content_type.startswith(content_type)
    assert scrape.body.endswith(b"# EOF\n") == ("openmetrics" in content_type)


@needs_promtool
async def test_promtool_finds_nothing() -> None:
    """Names, units and helps are as Prometheus's own linter wants them."""
    registry = Registry()
    fill(registry)
    ran = promtool("check", "metrics", text=await scraped(registry))
    complaints = [line for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
    ours = [line for line in complaints if not line.startswith(("process_", "python_"))]
    assert sorted(line.split()[0] for line in ours) == sorted(NAMES_FIXED_ELSEWHERE)
    assert all("_count" in line for line in ours)
