"""Reads udev's rules, as far as ours go: matches, GOTO, and what is assigned."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

_TERM = re.compile(r'\s*([A-Z_]+(?:\{[\w./]+\})?)\s*(==|!=|\+=|=)\s*"([^"]*)"\s*(?:,|$)')

Term = tuple[str, str, str]
Facts = dict[str, str]


def parse(path: Path) -> list[list[Term]]:
    """The rules, each as its terms. ValueError where a line is not one."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return [_terms(line) for line in lines if line and not line.startswith("#")]


def _terms(line: str) -> list[Term]:
    terms, at = [], 0
    while at < len(line):
        found = _TERM.match(line, at)
        if not found:
            raise ValueError(f"not a rule: {line[at:]}")
        key, operator, value = found.groups()
        terms.append((key, operator, value))
        at = found.end()
    return terms


def apply(rules: list[list[Term]], facts: Facts) -> Facts:
    """What the rules assign to a device with these facts, such as `ENV{ID_BUS}`."""
    given, goto = dict[str, str](), ""
    for terms in rules:
        labels = [value for key, _, value in terms if key == "LABEL"]
        if goto and goto not in labels:
            continue
        goto = ""
        if all(_holds(term, facts) for term in terms if term[1] in ("==", "!=")):
            for key, operator, value in terms:
                if key == "GOTO":
                    goto = value
                elif operator in ("=", "+=") and key != "LABEL":
                    given[key] = value
    if goto:
        raise ValueError(f"there is no {goto}")
    return given


def _holds(term: Term, facts: Facts) -> bool:
    key, operator, patterns = term
    matched = any(fnmatchcase(facts.get(key, ""), pattern) for pattern in patterns.split("|"))
    return matched == (operator == "==")
