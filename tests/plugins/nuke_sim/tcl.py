"""As much TCL as scripts and paths need: words, quoting, a few commands."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable


def quote(text: str) -> str:
    """A word that reads back as ``text``."""
    if text and all(c.isalnum() or c in "_./:-+#%@*" for c in text):
        return text
    for mark in ("\\", '"', "[", "]", "$", "{", "}"):
        text = text.replace(mark, "\\" + mark)
    return '"' + text.replace("\n", "\\n") + '"'


def words(text: str) -> list[str]:
    """Split into words; braces and quotes are taken off, once."""
    found, at = [], 0
    while at < len(text):
        if text[at] in " \t\n":
            at += 1
            continue
        word, at = _word(text, at)
        found.append(word)
    return found


def _word(text: str, at: int) -> tuple[str, int]:
    if text[at] == "{":
        depth, start = 0, at + 1
        while True:
            if text[at] == "\\":
                at += 1
            elif text[at] == "{":
                depth += 1
            elif text[at] == "}":
                depth -= 1
                if depth == 0:
                    return text[start:at], at + 1
            at += 1
    quoted = text[at] == '"'
    at += quoted
    out = []
    while at < len(text) and (text[at] != '"' if quoted else text[at] not in " \t\n"):
        if text[at] == "\\":
            at += 1
            out.append("\n" if text[at] == "n" else text[at])
        else:
            out.append(text[at])
        at += 1
    return "".join(out), at + quoted


def substitute(text: str, value: Callable[[str], str]) -> str:
    """Replace ``[command ...]`` by its result.

    Raises:
        RuntimeError: The command is not known here.
    """
    out, at = "", 0
    while at < len(text):
        if text[at] != "[":
            out += text[at]
            at += 1
            continue
        end = _closing(text, at)
        parts = [substitute(word, value) for word in _command_words(text[at + 1 : end])]
        out += _command(parts, value)
        at = end + 1
    return out


def _closing(text: str, at: int) -> int:
    depth = 0
    for place in range(at, len(text)):
        depth += (text[place] == "[") - (text[place] == "]")
        if depth == 0:
            return place
    raise RuntimeError(f"missing close-bracket in {text}")


def _command_words(text: str) -> list[str]:
    """Words of a command; what a nested command gives stays one word, spaces and all."""
    found, word, depth = [], "", 0
    for char in text + " ":
        depth += (char == "[") - (char == "]")
        if char == " " and depth == 0:
            if word:
                found.append(word)
            word = ""
        else:
            word += char
    return found


def _command(parts: list[str], value: Callable[[str], str]) -> str:
    if parts[0] in ("value", "knob") and len(parts) == 2:
        return value(parts[1])
    if parts[0] == "getenv" and len(parts) == 2:
        if parts[1] not in os.environ:
            raise RuntimeError(f"no environment variable {parts[1]}")
        return os.environ[parts[1]]
    if parts[:2] == ["file", "dirname"] and len(parts) == 3:
        return posixpath.dirname(parts[2])
    raise RuntimeError(f'invalid command name "{parts[0]}"')
