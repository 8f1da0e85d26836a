"""Debian's headless Chromium with a given width and colour scheme. It records every request."""

import base64
import contextlib
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients"))

PROGRAMS = [shutil.which("chromium"), shutil.which("chromedriver")]
FLAGS = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync --force-prefers-reduced-motion").split()


class Page:
    """The console in a browser."""

    def __init__(self, driver, origin):
        self.driver, self.origin = driver, origin

    def size(self, width, height):
        # Phones are narrower than the minimum width of headless windows.
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})

    def scheme(self, name):
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def run(self, script, *more):
        return self.driver.execute_script(script, *more)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def table(self, place):
        """The rows of the table in an element, each as a dictionary by column title."""
        return self.run("""
            const all = (kind) => [...document.querySelectorAll(`${arguments[0]} ${kind}`)];
            const titles = all("thead th").map((one) => one.textContent);
            return all("tbody tr").map((row) => Object.fromEntries([...row.children].map((cell, at) =>
                [titles[at], cell.innerText.trim()])));""", place)

    def wait(self, condition, what, seconds=40):
        end = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > end:
                raise AssertionError(f"not there after {seconds} s: {what}")
            time.sleep(0.03)
        return found

    def picture(self, selector=None):
        """A PNG of the window, or from the top of the page to the end of an element."""
        whole = {}
        if selector:
            width, height = self.run("const end = document.querySelector(arguments[0]).getBoundingClientRect().bottom;"
                                     "return [innerWidth, end + scrollY + 12]", selector)
            clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
            whole = {"captureBeyondViewport": True, "clip": clip}
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", **whole})
        return base64.b64decode(taken["data"])

    def complaints(self):
        """New messages in the browser's console."""
        messages = (entry["message"] for entry in self.driver.get_log("browser"))
        # On a busy machine the browser complains about its own new tab page.
        return [message for message in messages if not message.startswith("chrome://")]

    def asked(self):
        """The origins of all new requests."""
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        # The browser's own pages and data URLs send no requests.
        hosts = (urlsplit(url) for url in urls if not url.startswith(("chrome:", "data:", "about:")))
        return {f"{url.scheme}://{url.netloc}" for url in hosts}


@contextlib.contextmanager
def console(admin, width=1280, height=900, scheme="light"):
    """Loads the console of the proxy with this admin port."""
    with tempfile.TemporaryDirectory(prefix="blobfish-browser-", ignore_cleanup_errors=True) as folder:
        options = webdriver.ChromeOptions()
        options.binary_location = PROGRAMS[0]
        for flag in [*FLAGS, f"--user-data-dir={folder}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(PROGRAMS[1]))
        try:
            page = Page(driver, f"http://127.0.0.1:{admin}")
            page.size(width, height)
            page.scheme(scheme)
            driver.get(page.origin + "/")
            page.wait(lambda: page.text("#ready") == "ready" and page.text("#lines td"), "the console")
            yield page
        finally:
            driver.quit()
