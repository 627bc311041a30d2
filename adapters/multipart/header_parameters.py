"""Header values of the form `value; name=token; name="quoted text"`."""

from __future__ import annotations

import re

from application.errors import MalformedUpload

# RFC 9110, 5.6.2 and 5.6.6. The possessive quantifiers keep matching linear.
VALUE = re.compile(r"[ \t]*+([^;\s]++)[ \t]*+")
PARAMETER = re.compile(
    r";[ \t]*+(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]++)=(?:\"((?:[^\"\\]|\\.)*+)\"|([^\s;\"]++))[ \t]*+)?+"
)
# Browsers leave a backslash in a quoted file name alone; only these two are ever escaped.
ESCAPED = re.compile(r"\\([\\\"])")


def header_parameters(text: str) -> tuple[str, dict[str, str]]:
    """Return the value and the parameters of a header, the value and names in lower case.

    Raises:
        MalformedUpload: if it is not of that form, or repeats a parameter.
    """
    value = VALUE.match(text)
    if value is None:
        raise MalformedUpload("a header of the upload is malformed")
    parameters: dict[str, str] = {}
    position = value.end()
    while position < len(text):
        found = PARAMETER.match(text, position)
        if found is None:
            raise MalformedUpload("a header of the upload is malformed")
        position = found.end()
        name, quoted, token = found.groups()
        if name is None:
            continue
        name = name.lower()
        if name in parameters:
            raise MalformedUpload("a header of the upload repeats a parameter")
        parameters[name] = token if quoted is None else ESCAPED.sub(r"\1", quoted)
    return value[1].lower(), parameters
