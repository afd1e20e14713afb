"""A headless Chromium that is driven as a reader drives it: pointer, keys, windows of any width."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",  # root in a container has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, " ": 32}


class Browser:
    """One page over the DevTools protocol, which needs no more than two named pipes."""

    def __init__(self, folder: Path, *flags: str):
        commands, answers = folder / "commands", folder / "answers"
        for pipe in (commands, answers):
            os.mkfifo(pipe)
        # Chromium reads commands from descriptor 3 and answers on 4.
        launch = ["sh", "-c", 'exec "$0" "$@" 3<"$COMMANDS" 4>"$ANSWERS"', CHROMIUM, *FLAGS, *flags]
        launch += ["--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}", "about:blank"]
        environment = os.environ | {"COMMANDS": str(commands), "ANSWERS": str(answers)}
        with (folder / "stderr").open("wb") as log:
            self.process = subprocess.Popen(launch, env=environment, stdout=log, stderr=log)
        self._commands, self._answers = commands.open("wb", buffering=0), answers.open("rb")
        self._number, self._session, self.events = 0, None, []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def close(self):
        self._session = None
        self.send("Browser.close")
        self.process.wait(timeout=30)
        self._commands.close()
        self._answers.close()

    def _receive(self):
        received = b""
        while not received.endswith(b"\0"):  # which ends every message, and is in none
            part = self._answers.read1(1 << 20)
            if not part:
                raise EOFError("Chromium has gone")
            received += part
        return [json.loads(message) for message in received.split(b"\0") if message]

    def send(self, method, **params):
        """Give a command and return its answer; what happens meanwhile is kept in `events`."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        self._commands.write(json.dumps(command).encode() + b"\0")
        while True:
            answer = None
            for message in self._receive():
                if message.get("id") == self._number:
                    answer = message
                elif "method" in message:
                    self.events.append(message)
            if answer is not None:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, page: Path, width: int = 1280, height: int = 900, *, scripts: bool = True):
        self.events.clear()
        self.send("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.send("Page.navigate", url=page.as_uri())
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def ask(self, expression):
        """Evaluate an expression in the page and return its value."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"]["description"])
        return found["result"].get("value")

    def wait(self, expression):
        for _ in range(200):
            if self.ask(expression):
                return
            time.sleep(0.05)  # not in the page, which may have no scripts
        raise TimeoutError(f"never came true: {expression}")

    def centre(self, selector):
        """Scroll an element into view and return where its middle is in the window."""
        return self.ask(
            f"(() => {{ const it = document.querySelector({json.dumps(selector)});"
            " it.scrollIntoView({block: 'center'}); const box = it.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )

    def point_at(self, x, y):
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector):
        x, y = self.centre(selector)
        self.point_at(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def lasso(self, places, *, shift=False, touch=False):
        """Draw a line through places of the window and let go."""
        for number, (x, y) in enumerate([*places, places[-1]]):
            last = number == len(places)
            if touch:
                kind = "touchEnd" if last else "touchMove" if number else "touchStart"
                self.send("Input.dispatchTouchEvent", type=kind, touchPoints=[] if last else [{"x": x, "y": y}])
                continue
            kind = "mouseReleased" if last else "mouseMoved" if number else "mousePressed"
            held = {"button": "left", "buttons": 1, "clickCount": 1, "modifiers": 8 * shift}
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)

    def download(self, selector, folder: Path) -> Path:
        """Click what downloads a file into an empty folder, and return where it is."""
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.click(selector)
        for _ in range(200):
            found = [file for file in folder.iterdir() if file.suffix not in (".crdownload", ".tmp")]
            if found and found[0].stat().st_size:
                return found[0]
            time.sleep(0.05)
        raise TimeoutError(f"nothing was downloaded into {folder}")

    def press(self, key, *, shift=False):
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = {"windowsVirtualKeyCode": KEYS.get(key) or ord(key), "key": key, "code": key, "modifiers": 8 * shift}
        self.send("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **code)
        self.send("Input.dispatchKeyEvent", type="keyUp", **code)

    def type(self, text):
        self.send("Input.insertText", text=text)

    def focus(self, selector):
        """Go to an element as Tab would: its focus is shown."""
        self.ask(f"document.querySelector({json.dumps(selector)}).focus({{focusVisible: true}})")

    def complaints(self):
        """Return what the browser logged since the page was opened: errors, and breaches of the page's policy."""
        found = [
            event["params"] for event in self.events if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")
        ]
        return [json.dumps(each) for each in found]

    def requests(self):
        """Return the addresses that the page asked for, beside itself."""
        sent = [
            event["params"]["request"]["url"] for event in self.events if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in sent if not url.startswith("data:")]

    def picture(self, file: Path, *, whole: bool = True):
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=whole, format="png")
        file.write_bytes(base64.b64decode(shot["data"]))
