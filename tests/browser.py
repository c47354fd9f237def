"""A real Chromium without a window, driven over its DevTools protocol: pages at a size, clicks, pictures.

Keeps all that its console said, and every address that it asked for.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 60.0


def path() -> str | None:
    """The browser of this machine, if there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """A browser with one page. `complaints` are errors and warnings of its console, `asked` the addresses."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self._open = ExitStack()
        self._loads = 0
        self._number = 0

    def __enter__(self) -> Browser:
        executable = path()
        assert executable, "chromium is not installed"
        self._folder = Path(tempfile.mkdtemp(prefix="gemx-browser-"))
        options = [
            *("--headless=new", "--remote-debugging-port=0", f"--user-data-dir={self._folder}", "--no-first-run"),
            *("--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--hide-scrollbars"),
            # It refuses to be root in its sandbox, and what it is shown here is gemx's own.
            *(("--no-sandbox",) if os.geteuid() == 0 else ()),
        ]
        self._process = subprocess.Popen(
            [executable, *options, "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(self._folder)},
            start_new_session=True,
        )
        try:
            self._connect()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and every process of it."""
        self._open.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for _ in range(20):
            shutil.rmtree(self._folder, ignore_errors=True)
            if not self._folder.exists():
                return
            time.sleep(0.05)

    def open(self, page: Path, width: int, height: int, *, scale: float = 1, **media: str) -> None:
        """Load a page of the disk at a size, in CSS pixels; `media` such as prefers_color_scheme="dark"."""
        self.size(width, height, scale=scale)
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        self.send("Emulation.setEmulatedMedia", media="", features=features)
        before = self._loads
        self.send("Page.navigate", url=page.as_uri())
        deadline = time.monotonic() + _SECONDS
        while self._loads == before:
            self._take(deadline)

    def size(self, width: int, height: int, *, scale: float = 1) -> None:
        """Give the page another size."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )

    def value(self, expression: str) -> Any:
        """What an expression gives in the page; a promise is waited for."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, f"{expression}: {found['exceptionDetails']}"
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key, such as Tab or ArrowLeft."""
        code = {"Tab": 9, "ArrowLeft": 37, "ArrowRight": 39}[key]
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def point(self, x: float, y: float) -> None:
        """Move the mouse to a place of the window."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def picture(self, *, whole: bool = False) -> bytes:
        """The window, or the whole page, as PNG."""
        found = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(found["data"])

    def send(self, method: str, **parameters: Any) -> Any:
        """Ask the page for something, and wait for it."""
        self._number += 1
        number = self._number
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        deadline = time.monotonic() + _SECONDS
        while True:
            message = self._take(deadline)
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]

    def _connect(self) -> None:
        port_file = self._folder / "DevToolsActivePort"
        deadline = time.monotonic() + _SECONDS
        while not (port_file.exists() and port_file.read_text().count("\n")):
            assert self._process.poll() is None, "the browser ended"
            assert time.monotonic() < deadline, "the browser does not start"
            time.sleep(0.02)
        port, root = port_file.read_text().split("\n")[:2]
        with _connected(port, root) as self._socket:
            targets = self.send("Target.getTargets")["targetInfos"]
        page = next(each["targetId"] for each in targets if each["type"] == "page")
        self._socket = self._open.enter_context(_connected(port, f"/devtools/page/{page}"))
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def _take(self, deadline: float) -> dict[str, Any]:
        message = json.loads(self._socket.recv(timeout=max(deadline - time.monotonic(), 0.01)))
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, told: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loads += 1
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(told["args"]))
        elif event == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif event == "Network.requestWillBeSent":
            self.asked.append(told["request"]["url"])


def _connected(port: str, what: str) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{port}{what}", max_size=None, proxy=None)
