"""Makes the pictures of docs/report.md: screenshots of a page in Chromium.

    python scripts/make_report_pictures.py hero6.dng docs/images

The raw file is a sample of gopro/gpr, Apache-2.0 or MIT.
"""

from __future__ import annotations

import argparse
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from programs import CHROMIUM

import isp_meta
from isp_meta.io import write_atomic
from isp_meta.report import write_report


def save(page: Page, path: Path) -> None:
    """A screenshot as JPEG, down to the slider."""
    slider = page.locator(".exposure").bounding_box()
    width = page.viewport_size["width"]
    clip = {"x": 0, "y": 0, "width": width, "height": slider["y"] + slider["height"] + 20}
    with Image.open(BytesIO(page.screenshot(full_page=True, clip=clip))) as shown:
        buffer = BytesIO()
        shown.convert("RGB").save(buffer, "JPEG", quality=82, optimize=True)
    write_atomic(path, buffer.getvalue(), overwrite=True)
    print(f"{path}: {shown.width}x{shown.height}, {buffer.tell():,} bytes")


def main() -> None:
    """Embeds the raw file, writes its page, takes the screenshots."""
    parser = argparse.ArgumentParser(description="Makes the pictures of docs/report.md.")
    parser.add_argument("raw", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        picture, html = Path(folder, "photo.jpg"), Path(folder, "photo.html")
        isp_meta.embed(options.raw, picture)
        write_report(picture, html, options.raw)
        browser = playwright.chromium.launch(executable_path=CHROMIUM.path(), args=["--no-sandbox"])
        for name, width, height, scheme in (
            ("report", 1100, 850, "light"),
            ("report-phone", 360, 1100, "dark"),
        ):
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            page.goto(html.as_uri())
            page.wait_for_selector("#viewer[data-view]", state="attached")
            page.locator("#exposure").fill("-2")
            page.locator("#exposure").blur()
            page.evaluate("scrollTo(0, 0)")
            page.wait_for_timeout(500)
            save(page, options.folder / f"{name}.jpg")
        browser.close()


if __name__ == "__main__":
    main()
