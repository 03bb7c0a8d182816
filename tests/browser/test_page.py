"""Tests the page in headless Chromium: from files and from a server, with light and dark colours, wide and narrow, with
hostile text.

Debian's package `chromium` provides the browser; without it these tests are skipped.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from reconciler.app.http_server import Endpoint
from reconciler.app.page import LivePage, allowed_hosts, write
from reconciler.core.times import time_text
from reconciler.render.page.site import ROWS, Site
from tests.builders import NOW, spec
from tests.render.test_page import after, content, hostile_site, row, run

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium (Debian's package of this name)"),
    pytest.mark.enable_socket,
]
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
"""The rules of axe about colours."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Starts a browser for all tests in this module."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (make setup-dev)")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def shared(browser: Any) -> Callable[[bool], Any]:
    """Returns a function that returns a page with or without JavaScript, which is created once because a new page takes
    longer than most tests."""
    return cache(lambda javascript: _context(browser, javascript).new_page())


def _context(browser: Any, javascript: bool) -> Any:
    made = browser.new_context(java_script_enabled=javascript)
    made.set_default_timeout(120_000)  # the machine may be busy
    return made


@dataclass
class Looked:
    """A page in the browser, the output of its console, the requests that it made, and the dialogs that it opened."""

    page: Any
    printed: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Records what the page does until the end of the block, where it leaves the page."""
        listeners: dict[str, Callable[[Any], None]] = {
            "console": lambda message: self.printed.append(message.text),
            "pageerror": lambda error: self.printed.append(str(error)),
            "request": lambda request: self.requests.append(request.url),
            "dialog": self._dismiss,
        }
        for event, listener in listeners.items():
            self.page.on(event, listener)
        yield
        self.page.goto("about:blank")  # what the old page did is reported before the next test looks
        for event, listener in listeners.items():
            self.page.remove_listener(event, listener)

    def _dismiss(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def clean(self, origin: str) -> None:
        """Fails if the page printed to the console, raised an error, opened a dialog, or made a request to another
        origin."""
        assert (self.printed, self.dialogs) == ([], [])
        assert [url for url in self.requests if not url.startswith((origin, "data:"))] == []

    def scrolls_sideways(self) -> bool:
        """Returns whether the page is wider than the window."""
        wide: bool = self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        return wide


@pytest.fixture
def look(browser: Any, shared: Callable[[bool], Any]) -> Iterator[Any]:
    """Opens pages. A test that leaves something in its browser context, such as a setting, has its `own` context."""
    closed = ExitStack()

    def opened(
        url: str, *, own: bool = False, javascript: bool = True, scheme: str = "light", width: int = 1200
    ) -> Looked:
        page = closed.enter_context(closing(_context(browser, javascript))).new_page() if own else shared(javascript)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        looked = Looked(page)
        closed.enter_context(looked.watched())
        page.goto(url)
        return looked

    with closed:
        yield opened


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Returns the address of a site with 210 specs, 8 of which have runs, in a local folder."""
    names = [f"job-{number:03}" for number in range(210)]
    rows = [row(name, state="failed" if name.endswith("7") else "succeeded") for name in names]
    runs = tuple(
        run(name, hours, state="failed" if hours == 30 else "succeeded") for name in names[:8] for hours in (2, 30, 300)
    )
    specs = {name: spec(name=name, labels={"team": f"t{name[-1]}"}) for name in names}
    specs["job-001"] = after("job-001", "job-000")
    folder = tmp_path_factory.mktemp("site")
    write(Site(content(*rows, runs=runs, specs=specs)), folder)
    return folder.as_uri()


EVERY = ("index", "specs-2", "timeline", "runs", "graph", "plan", "specs/job-007")


@pytest.mark.parametrize(
    ("scheme", "rules", "files"),
    [
        ("light", {}, ("index", "specs-2", "graph", "specs/job-007")),
        ("dark", COLOURS, ("index", "runs", "plan")),
        pytest.param("light", {}, EVERY, marks=pytest.mark.soak),
        pytest.param("dark", {}, EVERY, marks=pytest.mark.soak),
    ],
)
def test_each_page_is_quiet_and_accessible(
    look: Any, site: str, scheme: str, rules: dict[str, Any], files: tuple[str, ...]
):
    """In both colour schemes, each page prints nothing to the console, requests nothing from other hosts, and violates
    no rule of axe. The schemes differ only in colours."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    looked = look(f"{site}/index.html", scheme=scheme)
    violations = []
    for file in files:
        looked.page.goto(f"{site}/{file}.html")
        looked.clean("file:///")
        found = axe.run(looked.page, options={"resultTypes": ["violations"], **rules}).response["violations"]
        violations += [f"{file}: {each['id']}: {each['nodes'][0]['html']}" for each in found]
        looked.printed.clear()  # axe itself requests the style sheet, which a page from a local file may not do
    assert violations == []


def test_a_narrow_screen_does_not_scroll_sideways(look: Any, site: str):
    """At a width of 400 pixels, only wide tables and drawings scroll sideways."""
    looked = look(f"{site}/index.html", width=400)
    for file in ("index", "specs", "timeline", "runs", "graph", "plan", "specs/job-007"):
        looked.page.goto(f"{site}/{file}.html")
        assert (file, looked.scrolls_sideways()) == (file, False)


def test_the_timeline_zooms_by_the_keyboard(look: Any, site: str):
    """Arrow keys choose day, week or month, even without JavaScript."""
    page = look(f"{site}/index.html", javascript=False).page
    shown = {name: page.locator(f".timeline-{name}") for name in ("day", "week", "month")}
    assert [name for name, each in shown.items() if each.is_visible()] == ["week"]
    page.locator("#zoom-week").focus()
    page.keyboard.press("ArrowRight")
    assert [name for name, each in shown.items() if each.is_visible()] == ["month"]
    assert page.locator(".timeline-month path.b-failed").count() > 0


def test_search_finds_specs_by_name_and_state(look: Any, site: str):
    """The slash key starts the search, Enter opens the first result, and Escape ends the search."""
    looked = look(f"{site}/index.html")
    page = looked.page
    page.keyboard.press("/")
    page.keyboard.type("12 failed")
    page.wait_for_selector("#results a")
    assert page.locator("#results a").all_inner_texts() == ["job-127\nfailed"]
    page.keyboard.press("Enter")
    page.wait_for_url("**/specs/job-127.html")
    page.keyboard.press("/")
    page.keyboard.type("batchjob team=t9 19")
    page.wait_for_selector("#results a")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.href").endswith("/specs/job-019.html")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("no such spec")
    page.wait_for_selector("text=No spec matches.")
    page.keyboard.press("Escape")
    assert page.locator("#results li").count() == 0
    looked.clean("file:///")


def test_specs_are_listed_by_state_without_javascript(look: Any, site: str):
    """Links lead from the number of failed specs to their list."""
    page = look(f"{site}/index.html", javascript=False).page
    page.get_by_role("link", name="21 failed").click()
    page.wait_for_url("**/specs-failed.html")
    assert page.locator("tbody tr").count() == 21
    page.get_by_role("link", name="all 210").click()
    page.wait_for_url("**/specs.html")
    page.get_by_role("link", name="2", exact=True).click()
    page.wait_for_url("**/specs-2.html")
    assert page.locator("tbody tr").count() == 10


def test_the_zoom_is_kept_on_other_pages(look: Any, site: str):
    """A reload, and the page of a spec, keep the zoom that the user chose."""
    page = look(f"{site}/index.html").page
    page.get_by_text("Month", exact=True).click()
    page.goto(f"{site}/timeline.html")
    assert page.locator(".timeline-month").is_visible()
    page.reload()
    assert page.locator("#zoom-month").is_checked()


def test_the_keyboard_reaches_the_content_first(look: Any, site: str):
    """The first Tab moves to a link that skips the navigation."""
    page = look(f"{site}/index.html").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_hostile_text_runs_nothing(look: Any, tmp_path: Path):
    """No dialog opens, the text creates no element, nothing is printed to the console, and very long words do not make
    a narrow page scroll sideways."""
    write(hostile_site(), tmp_path)
    looked = look("about:blank", width=400)
    for file in ("index", "specs", "specs-failed", "timeline", "runs", "specs/job", "graph", "plan"):
        looked.page.goto(f"{tmp_path.as_uri()}/{file}.html")
        assert looked.page.locator("img, iframe, object, [onload], [onerror], [href^='javascript:']").count() == 0
        assert looked.page.locator("script").count() == 1
        assert (file, looked.scrolls_sideways()) == (file, False)
        looked.clean("file:///")
    looked.page.keyboard.press("/")
    looked.page.keyboard.type("job")
    looked.page.wait_for_selector("#results a")
    looked.clean("file:///")


def test_a_served_page_loads_itself_again(look: Any):
    """The page reloads by itself after the next pass."""
    page = LivePage(allowed_hosts("127.0.0.1"))
    page.show(content(row("job")))
    served = Endpoint(page.respond, "127.0.0.1", 0, "the page")
    try:
        looked = look("about:blank", own=True)
        looked.page.clock.install()
        looked.page.goto(f"http://127.0.0.1:{served.port}/")
        given = content(row("job"), row("another"))
        later = time_text(NOW + timedelta(minutes=1))
        page.show(_at(given, later))
        looked.page.clock.fast_forward(10_000)
        looked.page.wait_for_selector(f"time[datetime='{later}']", timeout=120_000)
        looked.clean(f"http://127.0.0.1:{served.port}/")
    finally:
        served.close()


def _at(given: Any, moment: str) -> Any:
    from dataclasses import replace

    return replace(given, plan=replace(given.plan, created_at=moment))


@pytest.mark.soak
@pytest.mark.parametrize("number", [2_000, 10_000])
def test_many_specs_stay_usable(look: Any, tmp_path: Path, number: int, record_property: Any):
    """Lists are divided into pages, the search finds every spec, and each file is small enough to open at once."""
    names = [f"job-{each:05}" for each in range(number)]
    specs = {name: after(name, names[at - 1]) if at % 4 else spec(name=name) for at, name in enumerate(names)}
    runs = tuple(run(name, hours, state="failed" if at % 50 == 0 else "succeeded")
                 for hours in (1, 25, 49) for at, name in enumerate(names))  # fmt: skip
    rows = [row(name, state="failed" if at % 50 == 0 else "succeeded") for at, name in enumerate(names)]
    write(Site(content(*rows, runs=runs, specs=specs)), tmp_path)
    sizes = {path.relative_to(tmp_path).as_posix(): path.stat().st_size for path in tmp_path.rglob("*.*")}
    record_property("bytes", sum(sizes.values()))
    assert max(sizes.values()) < 600_000, max(sizes, key=lambda name: sizes[name])
    assert sum(sizes.values()) < 12_000 * number
    looked = look(f"{tmp_path.as_uri()}/index.html")
    looked.page.keyboard.press("/")
    looked.page.keyboard.type(names[-1])
    looked.page.wait_for_selector(f"#results >> text={names[-1]}")
    for file in ("timeline", "runs", "graph", "plan", "specs-attention", "specs"):
        assert looked.page.goto(f"{tmp_path.as_uri()}/{file}.html")
    assert looked.page.locator("tbody tr").count() == ROWS
    looked.clean("file:///")
