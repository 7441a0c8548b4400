"""JUnit XML: a test case per clause. Only clauses on which the verdict hangs can fail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET  # written, never parsed

from conformance.report.facts import WORDS, Facts

if TYPE_CHECKING:
    from conformance.engine.result import ClauseResult, Result
    from conformance.redact import Redactor
    from conformance.report.facts import Shown

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(result: Result, redactor: Redactor) -> str:
    """The report as XML text."""
    facts = Facts(result, redactor)
    suite = ET.Element("testsuite", name=f"onsembl {result.level}", time=f"{result.seconds:.3f}")
    if facts.started_at:
        suite.set("timestamp", facts.started_at)
    _properties(suite, facts)
    cases = [_case(suite, c, facts) for c in result.clauses.values()]
    if result.stopped or result.problems:
        cases.append(_run(suite, facts))
    suite.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _properties(suite: ET.Element, facts: Facts) -> None:
    result = facts.result
    properties = ET.SubElement(suite, "properties")
    for name, value in {
        "verdict": result.verdict,
        "level": result.level,
        "target": facts.target,
        "url": facts.url,
        "contract": f"{result.contract.version} {result.contract.digest}",
        "seed": str(result.seed),
        "planned": str(result.planned),
        "emitted": str(result.emitted),
    }.items():
        ET.SubElement(properties, "property", name=name, value=_legal(value))


def _case(suite: ET.Element, c: ClauseResult, facts: Facts) -> ET.Element:
    name = f"{c.clause.id} {facts.line(c.clause.sentence)}"
    case = ET.SubElement(suite, "testcase", classname=f"onsembl.{_level(c)}", name=_legal(name), time="0")
    shown = [facts.breach(b) for b in c.breaches]
    text = "\n\n".join(_breach(s) for s in shown)
    why = facts.line(c.why, 2000) or WORDS[c.outcome]
    if c.outcome == "failed" and c.counts:
        _add(case, "failure", message=shown[0].says, text=text, type=shown[0].rule)
    elif c.outcome == "harness_error" or (c.outcome == "not_exercised" and c.counts):
        _add(case, "error", message=why, text=text, type=c.outcome)
    elif c.outcome == "failed":
        _add(case, "system-out", text=f"Broken, but the verdict does not hang on it.\n\n{text}")
    elif c.outcome != "passed":
        _add(case, "skipped", message=why)
    elif c.why:
        _add(case, "system-out", text=why)
    return case


def _level(c: ClauseResult) -> str:
    return "should" if c.clause.level != "MUST" else "core" if c.clause.core else "full"


def _run(suite: ET.Element, facts: Facts) -> ET.Element:
    """What kept the run from its end is an error of its own, that no clause stands for."""
    case = ET.SubElement(suite, "testcase", classname="onsembl.run", name="the run came to its end", time="0")
    said = [s for s in (facts.line(facts.result.stopped, 2000), *facts.problems) if s]
    _add(case, "error", message=said[0], text="\n".join(said), type="incomplete")
    return case


def _breach(shown: Shown) -> str:
    facts = {
        "where": shown.place,
        "expected": shown.expected,
        "got": shown.got,
        "seen": shown.often,
        "fault": shown.fault,
        "setting": shown.setting,
        "replay": shown.replay,
    }
    return "\n".join([shown.says, *(f"  {name}: {value}" for name, value in facts.items() if value)])


def _add(case: ET.Element, tag: str, *, text: str = "", **attributes: str) -> None:
    child = ET.SubElement(case, tag, {name: _legal(value) for name, value in attributes.items()})
    child.text = _legal(text) or None


def _legal(text: str) -> str:
    """Only characters that XML 1.0 allows."""
    return _NOT_XML.sub("\ufffd", text)
