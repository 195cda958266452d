"""A person before the page, in a real browser."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from browser import Browser
from serving import Serving
from waiting import until

PHONE, DESK = 390, 1280
OWN_WORDS = """async (path) => {
  const text = await (await fetch(path)).text();
  const page = new DOMParser().parseFromString(text, "text/html");
  page.querySelectorAll("script, style, code, bdi, [lang=en]").forEach((each) => each.remove());
  const all = [...page.querySelectorAll("*")];
  const texts = all.flatMap((each) => [...each.childNodes])
    .filter((each) => each.nodeType === Node.TEXT_NODE).map((each) => each.data.trim());
  const names = ["alt", "title", "aria-label", "placeholder"];
  const said = all.flatMap((each) => names.map((name) => each.getAttribute(name)));
  return [...texts, ...said].filter(Boolean).join("\\n");
}"""
AXE = files("axe_core_python").joinpath("axe.min.js")


class Person:
    """Opens pages, clicks, types, and looks."""

    def __init__(
        self, window: Browser, serving: Serving, width: int, *, dark: bool = False
    ) -> None:
        self.window, self.serving = window, serving
        self.width, self.dark = width, dark

    def open(self, path: str) -> None:
        self.window.open(self.serving.address + path, self.width, self.dark)

    def sees(self, selector: str, words: str = "", seconds: float = 60) -> str:
        """Wait until an element shows these words; its text."""
        find = f"[...document.querySelectorAll({json.dumps(selector)})]"
        find += f".map(e => e.textContent).filter(t => t.includes({json.dumps(words)}))"
        found = until(
            lambda: self.value(find), seconds, lambda: f"no {selector} {words}: {self.text()}"
        )
        return " ".join(str(found[0]).split())

    def does_not_see(self, selector: str, words: str = "") -> None:
        find = f"[...document.querySelectorAll({json.dumps(selector)})]"
        find += f".every(e => !e.textContent.includes({json.dumps(words)}))"
        until(lambda: self.value(find), 60, lambda: f"still {selector} {words}: {self.text()}")

    def click(self, selector: str, words: str = "") -> None:
        self.sees(selector, words)
        find = f"[...document.querySelectorAll({json.dumps(selector)})]"
        self.value(f"{find}.find(e => e.textContent.includes({json.dumps(words)})).click()")

    def types(self, selector: str, text: str) -> None:
        self.sees(selector)
        self.value(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(text)}")

    def chooses(self, selector: str, *clips: Path) -> None:
        root = self.window.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.window.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.window.ask("DOM.setFileInputFiles", files=[str(clip) for clip in clips], nodeId=node)

    def is_at(self, beginning: str, seconds: float = 60) -> str:
        """Wait for a page whose path begins so; its path."""
        until(
            lambda: (
                self.value("location.pathname").startswith(beginning)
                and self.value("document.readyState") == "complete"
            ),
            seconds,
            lambda: f"at {self.value('location.pathname')}: {self.text()}",
        )
        return str(self.value("location.pathname"))

    def own_words(self, path: str) -> str:
        """All words of a page, also those that are read out; without other people's and code."""
        return str(
            self.window.ask(
                "Runtime.evaluate",
                expression=f"({OWN_WORDS})({json.dumps(path)})",
                awaitPromise=True,
                returnByValue=True,
            )["result"]["value"]
        )

    def text(self) -> str:
        return " ".join(str(self.value("document.body.textContent")).split())

    def value(self, expression: str) -> Any:
        try:
            return self.window.value(expression)
        except AssertionError as failure:
            if "context" in str(failure) or "navigat" in str(failure):  # between two pages
                return ""
            raise

    def faults(self) -> list[str]:
        """What axe-core finds wrong with the page, and what is wider than the window."""
        self.window.ask("Runtime.evaluate", expression=AXE.read_text(encoding="utf-8"))
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
        options = json.dumps({"runOnly": tags})
        answer = self.window.ask(
            "Runtime.evaluate",
            expression=f"axe.run(document, {options}).then(r => JSON.stringify(r.violations))",
            awaitPromise=True,
            returnByValue=True,
        )
        violations = json.loads(answer["result"]["value"])
        found = [
            f"{each['id']}: {node['html'][:120]}" for each in violations for node in each["nodes"]
        ]
        if self.value("document.documentElement.scrollWidth > innerWidth"):
            found.append("the page is wider than the window")
        return found
