"""The pytest plugin: `pytest --pyargs conformance --backend URL` collects one item for each case of the plan.

Every pytest on this machine imports this module, so it imports nothing but the standard library and pytest; what is
heavy comes in with `--backend`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.engine.events import CaseFinished
    from conformance.pytest_run import Judging

HERE = Path(__file__).resolve().parent
PREFLIGHT = "preflight"
VERDICT = "verdict"
OPTIONS = {
    "level": "core or full: what the verdict hangs on (default: core)",
    "token": "access token of a user (or the variable ONSEMBL_TOKEN)",
    "second-token": "access token of another user (or ONSEMBL_SECOND_TOKEN)",
    "jwt-secret": "HS256 key: the suite signs its own tokens (or ONSEMBL_JWT_SECRET)",
    "users": "the users it signs for, parted by a comma",
    "base-path": "where the API is, if not under /api/v1",
    "agent-ws": "path of the agents' socket, if not /ws/agent",
    "dashboard-ws": "path of the dashboards' socket, if not /ws/dashboard",
    "only": "only clauses, rules or cases that match; commas part several",
}
LISTS = {
    "header": ("'Name: value'", "sent with every request"),
    "withhold": ("CAPABILITY", "what this backend does not promise"),
    "timing": ("NAME=SECONDS", "how long the backend takes for something"),
    "node": ("URL", "a further node of the backend"),
}
"""Options that may be given several times → how one looks, and what it is."""
_JUDGING: pytest.StashKey[Judging] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of a target; they do nothing without `--backend`."""
    group = parser.getgroup("onsembl", "conformance to the Onsembl.ai contract (pytest --pyargs conformance)")
    group.addoption("--backend", metavar="TARGET", help="URL of a backend, a target.toml, or the word reference")
    for name, text in OPTIONS.items():
        group.addoption(f"--backend-{name}", help=text)
    for name, (shown, text) in LISTS.items():
        group.addoption(f"--backend-{name}", action="append", metavar=shown, help=text)
    group.addoption(
        "--backend-destructive", action="store_true", default=None, help="allow what harms all users of the backend"
    )
    group.addoption("--backend-seed", type=int, help="same seed, same plan (default: 0)")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Reads the target, so that a mistake in it is said at once; keeps all cases on one worker of xdist."""
    if not (backend := config.getoption("--backend")):
        return
    from conformance.profile import settings_of  # noqa: PLC0415 - see the module's first line
    from conformance.pytest_run import Judging  # noqa: PLC0415 - see the module's first line
    from conformance.target import TargetError  # noqa: PLC0415 - as above

    names = [*OPTIONS, *LISTS, "destructive", "seed"]
    said = {name.replace("-", "_"): config.getoption(f"--backend-{name}") for name in names}
    try:
        config.stash[_JUDGING] = Judging(settings_of(backend, said))
    except TargetError as error:
        raise pytest.UsageError(f"--backend: {error}") from None
    if getattr(config.option, "dist", "no") in {"load", "worksteal"}:
        config.option.dist = "loadfile"


def pytest_report_header(config: pytest.Config) -> str | None:
    """Which backend is judged."""
    judging = config.stash.get(_JUDGING, None)
    return f"onsembl: {judging.redactor.text(judging.target.label)}, level {judging.target.level}" if judging else None


@pytest.hookimpl(tryfirst=True)
def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The cases in place of this package's own directory, where that is what was asked for."""
    judging = parent.config.stash.get(_JUDGING, None)
    if judging is None or path.resolve() != HERE or not _is_asked_for(parent.config):
        return None
    return Suite.from_parent(parent, path=path, nodeid="conformance")


def _is_asked_for(config: pytest.Config) -> bool:
    names = [argument.split("::", 1)[0] for argument in config.args]
    if config.option.pyargs and "conformance" in names:
        return True
    return any((config.invocation_params.dir / name).resolve() == HERE for name in names)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The answer, in one line."""
    judging = config.stash.get(_JUDGING, None)
    judged = {report.nodeid for key in ("passed", "failed") for report in terminalreporter.getreports(key)}
    if judging is not None and f"conformance::{VERDICT}" in judged and (answer := judging.answer()):
        terminalreporter.write_line(answer)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ends the run, if it is still going on."""
    if (judging := session.config.stash.get(_JUDGING, None)) is not None:
        judging.close()


class Suite(pytest.Directory):
    """All cases of the plan, preflight first and the verdict last."""

    def collect(self) -> Iterator[pytest.Item]:
        """The items; nothing is sent."""
        from conformance.target import TargetError  # noqa: PLC0415 - see the module's first line

        judging = self.config.stash[_JUDGING]
        try:
            cases = judging.cases()
        except TargetError as error:
            raise self.CollectError(str(error)) from None
        yield CaseItem.from_parent(self, name=PREFLIGHT, clauses=[])
        for case in cases:
            yield CaseItem.from_parent(self, name=case.id, clauses=judging.clauses_of(case))
        yield VerdictItem.from_parent(self, name=VERDICT)


class JudgedItem(pytest.Item):
    """What cases and the verdict have in common: the one run of the session."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.config.pluginmanager.hasplugin("xdist"):
            self.add_marker(pytest.mark.xdist_group("conformance"))

    @property
    def judging(self) -> Judging:
        """The run, begun with the cases that are left after all deselection."""
        judging = self.config.stash[_JUDGING]
        judging.start(frozenset(i.name for i in self.session.items if isinstance(i, CaseItem)) - {PREFLIGHT})
        return judging

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it stands, for reports."""
        return self.path, None, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Our own failures are their text; all others keep their traceback."""
        if type(excinfo.value).__module__ == "conformance.pytest_run":
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)


class CaseItem(JudgedItem):
    """One case."""

    def __init__(self, *, clauses: list[str], **options: Any) -> None:
        super().__init__(**options)
        self._clauses = clauses
        if clauses:
            self.user_properties.append(("clauses", " ".join(clauses)))

    def runtest(self) -> None:
        """Waits for its case, hands over its timeline, and fails for what counts."""
        from conformance.pytest_run import Breached, HarnessError, NotRun  # noqa: PLC0415 - see the module's first line

        judging = self.judging
        event = judging.case(self.name)
        if self.config.getoption("allure_report_dir", None):
            self._attach(judging, event)
        try:
            judging.verify(event)
        except (Breached, HarnessError, NotRun):
            self.add_report_section("call", "timeline", judging.story(event))
            raise

    def _attach(self, judging: Judging, event: CaseFinished) -> None:
        try:
            import allure  # noqa: PLC0415 - only where it is used
        except ImportError:
            return
        if self._clauses:
            allure.dynamic.feature(*self._clauses)  # type: ignore[no-untyped-call]
        content = json.dumps(judging.document(event), indent=1)
        allure.attach(content, name="timeline", attachment_type=allure.attachment_type.JSON)


class VerdictItem(JudgedItem):
    """The verdict over all: also what was not exercised is not passed."""

    def runtest(self) -> None:
        """Fails unless the backend conforms."""
        from conformance.pytest_run import NotRun  # noqa: PLC0415 - see the module's first line

        conforms, said = self.judging.verdict()
        if not conforms:
            raise NotRun(said)
