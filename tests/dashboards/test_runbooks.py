"""The runbooks can be followed: what they tell to type, set and look at exists, and each alert has its page."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache

import click
import pytest
import typer.main

from dashboards.alerts import ALERT_NAMES, THRESHOLDS
from dashboards.build import ROOT
from dashboards.runbooks import FOLDER, GROUPS, INDEX, SECTIONS, UID, dashboard, page_of, panel_id
from rlb.cli.app import app
from rlb.settings.description import leaves
from rlb.telemetry.catalogue import CATALOGUE
from rlb_top.arguments import parse
from rlb_top.columns import COLUMNS
from tests.servers.process import RedisServer

PAGES = (*ALERT_NAMES, INDEX)
WORDS = {
    "SESSION": "s-1",
    "MODEL": "m/1",
    "GROUP": "g-1",
    "CONSUMER": "c-1",
    "OTHER": "c-2",
    "ENTRY": "1-1",
    "ID": "1-1",
    "KEY": "llm:stream:s-1:m/1",
    "NAMESPACE": "chat",
    "POD": "chat-0",
}
"""What the variables of the pages may hold."""

OTHER_TOOLS = {"curl", "date", "export", "kubectl", "timedatectl"}
EVENTS = set(
    re.findall(
        r'_log\.\w+\(\s*"([a-z_.]+)"',
        "\n".join(path.read_text() for path in (ROOT / "sidecar" / "rlb").rglob("*.py")),
    )
)


@cache
def text_of(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text()


def typed(name: str) -> Iterator[str]:
    """Every line that a page tells to type: in blocks of shell, and in the text where it begins with a program."""
    text = text_of(name)
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        yield from (line.strip() for line in block.splitlines() if line.strip())
    for code in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if re.match(r"(rlb|rlb-top|redis-cli|kubectl|curl) ", code):
            yield code


def commands(name: str) -> Iterator[list[str]]:
    """Those lines as words, without comments, pipes and what runs them in a container."""
    for line in typed(name):
        filled = re.sub(r"\$([A-Z]+)", lambda found: WORDS[found[1]], re.sub(r"  +#.*", "", line))
        for part in re.split(r" \| |; | &$", filled):
            words = shlex.split(part)
            if words[:2] == ["kubectl", "exec"]:
                words = words[words.index("--") + 1 :]
            yield words


def of(program: str) -> list[tuple[str, list[str]]]:
    """Every call of a program on any page."""
    return [(name, words) for name in PAGES for words in commands(name) if words and words[0] == program]


def test_every_alert_has_a_page_and_no_page_is_without_one() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == {*ALERT_NAMES, INDEX}
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(ALERT_NAMES)


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_pages_have_the_same_sections(name: str) -> None:
    """All of them, in their order, none of them empty; and the facts are those of the rules."""
    text = text_of(name)
    assert text.startswith(f"# {name}\n")
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == SECTIONS
    assert all(part.strip() for part in re.split(r"^## .+$", text, flags=re.MULTILINE))
    assert text == page_of(name), "run `make dashboards`"
    assert len(text.splitlines()) < 75, "nobody reads more at night"


def test_all_programs_are_known() -> None:
    programs = {words[0] for name in PAGES for words in commands(name) if words}
    assert programs - {"grep", "export"} <= {"rlb", "rlb-top", "redis-cli"} | OTHER_TOOLS


@pytest.mark.parametrize("words", [words for _, words in of("rlb")], ids=" ".join)
def test_rlb_takes_the_command(words: list[str]) -> None:
    """The command line is read as far as it goes without carrying it out: names, options, values."""
    command: click.Command = typer.main.get_command(app)  # type: ignore[assignment]
    path, rest = words[0], words[1:]
    while rest and rest[0] in getattr(command, "commands", {}):
        command, path, rest = command.commands[rest[0]], f"{path} {rest[0]}", rest[1:]  # type: ignore[attr-defined]
    assert path != "rlb", "there is no such command"
    if rest or len(words) == 2:
        with command.make_context(path, rest, resilient_parsing=not rest) as context:
            assert not context.args


@pytest.mark.parametrize("words", [words for _, words in of("rlb-top")], ids=" ".join)
def test_rlb_top_takes_the_command(words: list[str]) -> None:
    given = parse([word if word != "redis://..." else "redis://localhost" for word in words[1:]], version="0")
    assert given.sort is None or given.sort.removeprefix("-") in {column.id for column in COLUMNS}


def test_redis_has_the_commands(valkey: RedisServer) -> None:
    """As a server knows them, subcommands too; and each is carried out without a mistake in its words."""
    asked = [words[1:] for _, words in of("redis-cli") if not words[1].startswith("--")]
    assert len(asked) > 10
    for words in asked:
        valkey.command("FLUSHALL")
        valkey.command("XADD", WORDS["KEY"], "1-1", "data", "{}")
        valkey.command("XGROUP", "CREATE", WORDS["KEY"], WORDS["GROUP"], "0")
        valkey.command(*words)


def test_settings_metrics_and_events_exist() -> None:
    variables = {leaf.variable for leaf in leaves().values()}
    metrics = {metric.prometheus_name for metric in CATALOGUE.values()}
    thresholds = {threshold.camel for threshold in THRESHOLDS.values()}
    for name in PAGES:
        text = text_of(name)
        assert set(re.findall(r"\bRLB_[A-Z][A-Z_]*[A-Z]\b", text)) <= variables, name
        named = set(re.findall(r"\b(?:rlb_[a-z_]+|messaging_client_[a-z_]+)\b", text))
        # A line for grep may name the beginning of one.
        assert all(any(metric.startswith(each) for metric in metrics) for each in named), (name, named - metrics)
        camel = set(re.findall(r"`([a-z]+[A-Z]\w+)`", text)) - {"requestedAt", "podMonitorSelector"}
        assert camel - {"podMonitorNamespaceSelector"} <= thresholds, name
        events = set(re.findall(r"\b((?:append|lease|probe|otlp|link|monitor|service)\.[a-z_]+)\b", text))
        assert events <= EVENTS, name


def test_the_chart_has_the_labels_and_containers() -> None:
    """By which kubectl is told what to look at."""
    chart = "\n".join(
        path.read_text() for path in (ROOT / "helm" / "rlb").rglob("*.*") if path.suffix in {".tpl", ".yaml"}
    )
    for name in PAGES:
        for key, value in re.findall(r" -l ([\w./-]+)=([\w-]+)", text_of(name)):
            assert re.search(rf"{re.escape(key)}: \"?{value}\b", chart), (name, key, value)
        assert set(re.findall(r" -c (\w+)", text_of(name))) <= {"rlb"}
    assert re.search(r"^  name: rlb$", chart, re.MULTILINE)
    assert "- name: observer" in chart


def test_other_pages_exist() -> None:
    """What is linked and what is named in code."""
    for name in PAGES:
        assert set(re.findall(r"\]\((\w+)\.md\)", text_of(name))) <= set(ALERT_NAMES), name
        assert all(label == page for label, page in re.findall(r"\[(\w+)\]\((\w+)\.md\)", text_of(name))), name
        assert set(re.findall(r"\bRLB[A-Z][a-z]\w+", text_of(name))) <= set(ALERT_NAMES), name


def titles() -> dict[str, set[str]]:
    """The panels of each dashboard, by their titles."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "dashboards" / "generated").glob("*.json"):
        plain = json.loads(path.read_text())
        panels = [each for panel in plain["panels"] for each in (panel, *panel.get("panels", ()))]
        found[plain["title"]] = {panel.get("title", "") for panel in panels}
    return found


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_dashboards_and_panels_exist(name: str) -> None:
    """`Dashboard: rlb / Overview, panels "A" and "B".`, and `(rlb / Overview, "A")` in the text."""
    known = titles()
    told = re.findall(r"(rlb / [A-Z][A-Za-z]*(?: [a-z]+)*)((?:,? (?:panels? )?(?:and )?\"[^\"]+\")*)", text_of(name))
    assert re.search(r"^Dashboard: rlb / ", text_of(name), re.MULTILINE)
    for title, quoted in told:
        assert title in known, title
        assert set(re.findall(r'"([^"]+)"', quoted)) <= known[title]


def test_links_of_alerts_lead_to_their_panels() -> None:
    """By the id that the rules have, and no two panels share one."""
    plain = dashboard()
    ids = {panel["title"]: panel["id"] for panel in plain["panels"]}
    assert plain["uid"] == UID
    assert {name: ids[name] for name in ALERT_NAMES} == {name: place for place, name in enumerate(ALERT_NAMES, 1)}
    assert len(set(ids.values())) == len(plain["panels"])


def test_panels_hold_the_pages() -> None:
    """With the links of one to another, and without what only files have."""
    panels = {panel["title"]: panel for panel in dashboard()["panels"]}
    for name in ALERT_NAMES:
        content = panels[name]["options"]["content"]
        assert "## What to do" in content
        assert ".md)" not in content
        assert "<!--" not in content
        linked = {int(number) for number in re.findall(r"\?viewPanel=(\d+)\)", content)}
        assert linked == {panel_id(page) for page in re.findall(r"\]\((\w+)\.md\)", text_of(name))}
