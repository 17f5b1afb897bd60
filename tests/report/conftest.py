"""Pictures with their pages, and a browser to open these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from programs import CHROMIUM

from isp_meta import embed, io
from isp_meta.report import write_report


@dataclass
class Opened:
    """A page in the browser, with all that it said and asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def elsewhere(self) -> list[str]:
        """Requests for anything but the page itself and what it holds."""
        inside = (self.page.url, "data:", "blob:")
        return [url for url in self.asked if not url.startswith(inside)]


Open = Callable[..., Opened]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM.path(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser) -> Iterator[Open]:
    contexts = []

    def open_page(path: Path, width: int = 1280, height: int = 900, **options: object) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        opened = Opened(page)
        page.on("console", lambda message: opened.said.append(message.text))
        page.on("pageerror", lambda error: opened.said.append(str(error)))
        page.on("request", lambda request: opened.asked.append(request.url))
        page.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            page.wait_for_selector("#viewer[data-view]", state="attached")
        return opened

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def photo(tmp_path_factory, make_frame) -> Path:
    """photo.jpg, which carries its raw, turned and burnt in part, beside photo.dng; not changed."""
    folder = tmp_path_factory.mktemp("report")
    frame = make_frame(240, 320, orientation=6)
    codes = frame.codes.clone()
    codes[:, 40:140, 100:220] = (codes[:, 40:140, 100:220] * 1.8).clamp(max=4095)
    frame = frame.replace(codes=codes)
    raw = frame.replace(raw=((codes - 64) / (4095 - 64)).expand(3, -1, -1))
    io.write_dng(folder / "photo.dng", raw)
    embed(folder / "photo.dng", folder / "photo.jpg")
    return folder / "photo.jpg"


@pytest.fixture(scope="session")
def report(photo) -> Path:
    """photo.jpg's page, with figures; not to be changed."""
    page = photo.with_name("report.html")
    write_report(photo, page, photo.with_suffix(".dng"))
    return page
