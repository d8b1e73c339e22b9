"""A headless Chromium, driven through the pipe of its own protocol: as a person would, by clicks and keys."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.eventually import eventually

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One page."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        reading, theirs_out = os.pipe()
        theirs_in, writing = os.pipe()
        command = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", command, CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._reader, self._writer = os.fdopen(reading, "rb"), os.fdopen(writing, "wb", buffering=0)
        self._number = 0
        self.errors: list[str] = []
        """What went wrong in the page's scripts, or was written to the console as an error."""
        self._session: str | None = None
        self.refusals: list[str] = []
        """What the page's policy, or the browser, has complained of."""
        target = self._say("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._say("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime"):
            self._say(f"{domain}.enable")

    def _say(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._writer.write(json.dumps(message).encode() + b"\0")
        while True:
            heard = json.loads(self._read())
            if heard.get("method") == "Log.entryAdded":
                self.refusals.append(heard["params"]["entry"]["text"])
            if heard.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(heard["params"]["exceptionDetails"])[:500])
            if heard.get("method") == "Runtime.consoleAPICalled" and heard["params"]["type"] in ("error", "warning"):
                self.errors.append(json.dumps(heard["params"]["args"])[:500])
            if heard.get("id") == self._number:
                assert "error" not in heard, heard
                return heard["result"]

    def _read(self) -> bytes:
        found = bytearray()
        while (byte := self._reader.read(1)) != b"\0":
            assert byte, "the browser has gone"
            found += byte
        return bytes(found)

    def show(self, width: int, height: int, *, dark: bool = False) -> None:
        """Make the window so large, and the person's taste dark or light."""
        self._say(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        taste = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._say("Emulation.setEmulatedMedia", features=[taste])

    def open(self, url: str) -> None:
        self._say("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def forget(self) -> None:
        """Take all cookies away."""
        self._say("Network.clearBrowserCookies")

    def ask(self, expression: str, *, waits: bool = False) -> Any:
        """The value of a JavaScript expression, in the page; `waits`: what its promise comes to."""
        result = self._say("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=waits)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, expression: str) -> None:
        eventually(lambda: self.ask(expression), 20)

    def click(self, selector: str) -> None:
        """Click where a person would, in the middle of it."""
        box = self.ask(
            f"""(() => {{
                const element = document.querySelector({json.dumps(selector)});
                element.scrollIntoView({{block: 'center'}});
                const box = element.getBoundingClientRect();
                return [box.x + box.width / 2, box.y + box.height / 2];
            }})()"""
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._say("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def type(self, selector: str, text: str) -> None:
        self.click(selector)
        self._say("Input.insertText", text=text)

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" and len(key) == 1 else {}
            self._say("Input.dispatchKeyEvent", type=kind, key=key, **text)

    def submit(self, selector: str) -> None:
        """Press Enter in a field."""
        self.ask(f"document.querySelector({json.dumps(selector)}).focus()")
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if kind == "keyDown" else {}
            self._say("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, **text)

    def go_back(self) -> None:
        history = self._say("Page.getNavigationHistory")
        before = history["entries"][history["currentIndex"] - 1]
        self._say("Page.navigateToHistoryEntry", entryId=before["id"])

    def screenshot(self, path: Path) -> None:
        """A picture of the whole page."""
        shot = self._say("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    @property
    def text(self) -> str:
        return self.ask("document.body.innerText")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.close()
        self._writer.close()
