"""A real browser without a network, and what each page must show in it."""

import contextlib
import os
import shutil
from urllib.parse import unquote, urlsplit

import bs4
import pytest

import tests.test_tools as tools

REPOSITORY = tools.load_tool("address").repository()
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Milliseconds for anything to happen; a busy machine is slow, and no test may hang on that.
PATIENCE = 900_000
# Without them Chromium itself asks for updates, and as root it needs the first.
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
WIDER_THAN_THE_PAGE = """() => [...document.querySelectorAll("main *")].filter((element) => {
  if (element.getBoundingClientRect().right <= innerWidth + 1) { return false; }
  for (let box = element.parentElement; box; box = box.parentElement) {
    if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)) { return false; }
  }
  return getComputedStyle(element).overflowX !== "auto" || element.clientWidth > innerWidth;
}).map((element) => element.outerHTML.slice(0, 100))"""
LONGEST_LINE = """() => Math.max(...[...document.querySelectorAll("main p, main li")].map((block) => {
  const lines = {}, range = document.createRange(), walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    for (let i = 0; i < node.length; i++) {
      range.setStart(node, i); range.setEnd(node, i + 1);
      const line = Math.round(range.getBoundingClientRect().bottom / 10);
      lines[line] = (lines[line] || 0) + 1;
    }
  }
  return Math.max(0, ...Object.values(lines));
}))"""


@contextlib.contextmanager
def launched():
    """Start Chromium. Without one a test is skipped, but fails in continuous integration."""
    if not CHROMIUM:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no Chromium; `apt-get install chromium`")
    from playwright import sync_api

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS, timeout=PATIENCE)
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser, path, width=1280, scheme="light"):
    """Open a page that may not ask for anything but itself, nor meet an error, and yield it."""
    page, asked, errors = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme), [], []
    page.set_default_timeout(PATIENCE)

    def on_request(route):
        if route.request.url.startswith("data:") or route.request.url == path.as_uri():
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    page.route("**/*", on_request)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(path.as_uri())
    page.evaluate("document.fonts.ready.then(() => null)")
    yield page
    assert not asked, "a page may not ask for anything"
    assert not errors
    page.close()


def check_layout(browser, path):
    """Whether a page fits a telephone and has lines that can be read on a large screen."""
    with opened(browser, path, width=390) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate(WIDER_THAN_THE_PAGE) == []
        small = "(images) => images.filter((i) => i.width < 0.57 * i.getAttribute('width')).map((i) => i.alt)"
        assert page.eval_on_selector_all("main img", small) == []
    with opened(browser, path, width=1280) as page:
        assert page.evaluate(LONGEST_LINE) <= 90


def check_links(folder):
    """Follow each link and anchor of each page below a folder; return how many lead to another page."""
    soups = {
        path: bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in folder.rglob("*.html")
    }
    ids = {path: [tag["id"] for tag in soup.select("[id]")] for path, soup in soups.items()}
    followed = 0
    for path, soup in soups.items():
        assert len(ids[path]) == len(set(ids[path])), f"{path.name} has an anchor twice"
        for link in (tag["href"] for tag in soup.select("a[href]")):
            parts = urlsplit(link)
            if link.startswith(f"{REPOSITORY}/blob/HEAD/"):
                assert (tools.ROOT / unquote(parts.path).partition("/blob/HEAD/")[2]).exists(), link
            elif parts.scheme:
                assert parts.scheme == "https", link
            else:
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                assert target in soups, f"{path.name} leads to {link}, which is no page"
                assert not parts.fragment or unquote(parts.fragment) in ids[target], f"{path.name}: {link}"
                followed += target != path
    return followed
