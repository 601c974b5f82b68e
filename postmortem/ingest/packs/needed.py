"""The text that a regular expression cannot match without."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\\.|\(\?(?:P?<\w+>|:)|.", re.S)
_UNSURE = re.compile(r"\[\^?\]|\[\[|\(\?[a-z]*x")  # classes with brackets inside, and patterns with free spacing


def needed_text(regex: str) -> str:
    """The longest text that a pattern cannot match without, in lower case; "" when none is certain.

    To look for it costs a thousandth of compiling the pattern, which Polars does anew for most files of a folder: it
    keeps 32 patterns.
    """
    if _UNSURE.search(regex):
        return ""
    runs, depth, closing = [""], 0, ""  # closing: what ends the class or the count that is being passed over
    for token in _TOKEN.finditer(regex):
        text = token.group()
        if closing:
            closing = "" if text == closing else closing
        elif text in "[{(" or text.startswith("("):
            closing = {"[": "]", "{": "}"}.get(text, "")
            depth += text.startswith("(")
            runs[-1:] = [runs[-1][:-1] if text == "{" else runs[-1], ""]
        elif text == "|" and not depth:
            return ""
        elif text in "?*":
            runs[-1:] = [runs[-1][:-1], ""]
        elif text in ")+.^$" or text[1:].isalnum():
            depth -= text == ")"
            runs.append("")
        elif not depth:
            runs[-1] += text[-1]
    return max(runs, key=len).lower()
