"""Checks texts that should be S3 locations."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from reconciler.model.base import Loc, Remark
from reconciler.values import regex

QUOTES = "\"'`“”‘’«»"
RULE = "s3-location"
TEMPLATES = ("{{", "$(", "%(", "{%", "#{", "@{")  # templates of other tools, which have their own message

_ATTEMPT = regex(rf"[\s{QUOTES}<]*s3[an]?\s*([:;.]+\s*)?[/\\]", re.IGNORECASE)
_IN_TEXT = regex(rf"[\s{QUOTES}]*s3[an]?(\s*[:;]+\s*[/\\]|//)", re.IGNORECASE)
_OPTION = regex(r"-{0,2}[\w.-]+=")
_COLON = regex(r"\s*s3[an]?\s*:", re.IGNORECASE)
_PARTS = regex(r"(?P<scheme>\w+)(?P<separator>\s*[:;.]*\s*[/\\]*)(?P<bucket>[^/\\]*)(?P<key>.*)", re.DOTALL)
_BUCKET = regex(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")
_ADDRESS = regex(r"\d{1,3}(\.\d{1,3}){3}")
_HOST = regex(r"([a-z0-9.-]+)\.s3[.-]([a-z0-9-]+\.)?amazonaws\.com(\.cn)?|s3[.-]([a-z0-9-]+\.)?amazonaws\.com(\.cn)?")
_SCHEME = regex(r"(\w{1,10}):/")
_WEB = regex(r"https?://(?P<host>[^/]+)(?P<path>/.*)?", re.IGNORECASE | re.DOTALL)
_TO_FILL_IN = regex(r"<[^<>]*>|\[[A-Za-z][\w -]*\]")
_VARIABLE = regex(r"\$[A-Za-z_]\w*|\$\{[^{}]*\}|(?<![{$#@%])\{[A-Za-z_]\w*\}(?!\})")
SCHEMES = ("s3", "local", "file", "hdfs")
LONGEST_SHOWN = 60


def field_remarks(loc: Loc, text: str, *, file: bool = False, only: bool = True) -> Iterator[Remark]:
    """Yields remarks about the value of a field that AWS reads as an S3 location.

    If `file` is true, the location must be an object, not a folder. If `only` is true, other schemes and names without
    a scheme are errors.
    """
    problem = _field_problem(text, file=file, only=only)
    if problem:
        yield Remark(loc, problem, RULE)


def text_remarks(loc: Loc, text: str) -> Iterator[Remark]:
    """Yields remarks about S3 locations in any other text, such as an argument: ``s3:/b/x``,
    ``--out=s3://<BUCKET>``."""
    # Excludes most texts without a regular expression.
    if "3" not in text:
        return
    option = _OPTION.match(text)
    value = text[option.end() :] if option else text
    if not _IN_TEXT.match(value) or "\n" in value.strip():
        return
    first, *others = value.split(",")
    for part in (first, *map(str.strip, others)):
        if _IN_TEXT.match(part) and (problem := _location_problem(part, any_key=True)):
            yield Remark(loc, problem, RULE)
            return


def _field_problem(text: str, *, file: bool, only: bool) -> str | None:
    if web := _WEB.fullmatch(text.strip()):
        return _web_problem(web["host"].lower(), web["path"] or "", only=only)
    if text.startswith("arn:") and ":s3:::" in text:
        return f"an ARN is not a location: write s3://{_shown(text.rpartition(':::')[2])}"
    if _ATTEMPT.match(text) or _COLON.match(text.lstrip(QUOTES)):
        return _location_problem(text) or (_file_problem(text) if file else None)
    return _other_problem(text, only=only)


def _other_problem(text: str, *, only: bool) -> str | None:
    """Returns the problem of a text that does not start like a location, or `None`."""
    if (only or len(text.split()) == 1) and (match := _TO_FILL_IN.search(text)):  # other texts may be a query
        is_all = match[0] == text  # a template, which has its own message
        return None if is_all else f"{_shown(match[0])} must be filled in: write the location, s3://BUCKET/KEY"
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() not in SCHEMES and get_close_matches(scheme[1].lower(), ["s3"]):
        return f"there is no scheme {scheme[1]}://; did you mean s3://?"
    is_template = any(start in text for start in TEMPLATES) or text.startswith("$")
    return "an S3 location starts with s3://" if only and not is_template else None


def _web_problem(host: str, path: str, *, only: bool) -> str | None:
    if match := _HOST.fullmatch(host):
        location = f"{match[1]}{path}" if match[1] else path.lstrip("/")
        return f"the address of a web page is not a location: write s3://{_shown(location)}"
    if host.endswith("console.aws.amazon.com"):
        return "the address of a page of the console is not a location: write s3://BUCKET/KEY"
    return "an S3 location starts with s3://" if only else None


def _location_problem(text: str, *, any_key: bool = False) -> str | None:
    """Returns why a text that starts like a location cannot be one. If `any_key` is true, several locations, patterns
    and spaces are allowed.
    """
    if problem := _edge_problem(text):
        return problem
    parts = _PARTS.match(text)
    if parts is None:
        return None
    if problem := _scheme_problem(parts["scheme"], parts["separator"], any_key=any_key):
        return problem
    if not parts["bucket"]:
        return None if any_key and not parts["key"] else "the bucket is missing: s3://BUCKET/KEY"
    return _bucket_problem(parts["bucket"]) or _key_problem(parts["key"], any_key=any_key)


def _edge_problem(text: str) -> str | None:
    if text[:1] in QUOTES or text[-1:] in QUOTES:
        return "the quotes are a part of the value: remove them"
    if text.endswith("\n"):
        return "ends with a line break, which is a part of the value: write it on one line, or with >-"
    if text != text.strip():
        return "the space at its start or end is a part of the value: remove it"
    if text[:1] == "<" or (text[-1:] == ">" and "<" not in text):
        return "angle brackets are not a part of a location: remove them"
    return None


def _scheme_problem(scheme: str, separator: str, *, any_key: bool) -> str | None:
    if separator != "://":
        if separator == ":///":
            return "s3:/// has no bucket: s3:// has two slashes, and then the bucket"
        return f"s3:// has two slashes, after a colon, not {scheme}{separator.strip()}"
    if scheme != scheme.lower():
        return f"the scheme is s3://, in lower case, not {scheme}://"
    if scheme == "s3n":
        return "s3n:// no longer exists: write s3://"
    if scheme == "s3a" and not any_key:
        return "the service reads this location itself, and accepts s3://, not s3a://"
    return None


def _bucket_problem(bucket: str) -> str | None:
    if bucket.startswith("arn:") or any(start in bucket for start in TEMPLATES):
        return None  # an access point, or a template
    if match := _TO_FILL_IN.search(bucket):
        return f"{_shown(match[0])} must be filled in: write the bucket, or a variable such as ${{var.bucket}}"
    if match := _VARIABLE.search(bucket):
        return f"{_shown(match[0])} is not replaced here: write ${{var.NAME}}, with NAME in spec.vars"
    if match := _HOST.fullmatch(bucket):
        name = f"s3://{match[1]}/…" if match[1] else "s3://BUCKET/KEY"
        return f"the host name of S3 is not a part of a location: write {_shown(name)}"
    return None if _is_bucket(bucket) else _bucket_name_problem(bucket)


def _is_bucket(bucket: str) -> bool:
    return bool(_BUCKET.fullmatch(bucket)) and ".." not in bucket and not _ADDRESS.fullmatch(bucket)


def _bucket_name_problem(bucket: str) -> str:
    odd = next((char for char in bucket if not re.match("[a-z0-9.-]", char)), None)
    if odd is None:
        return "not the name of a bucket: 3 to 63 lower-case letters, digits, '-' and '.', no IP address"
    if odd.isupper() and re.fullmatch(r"[\w.-]+", bucket, re.ASCII):
        return f"bucket names have no upper-case letters: {_shown(bucket)} is misspelt, or must be filled in"
    what = "spaces" if odd.isspace() else odd
    return f"bucket names are lower-case letters, digits, '-' and '.', without {what}"


def _key_problem(key: str, *, any_key: bool) -> str | None:
    if any(start in key for start in TEMPLATES):
        return None
    if match := re.search("<[A-Za-z][^<>]*>", key) if any_key else _TO_FILL_IN.search(key):
        return f"{_shown(match[0])} must be filled in: write the key, or a variable such as ${{var.NAME}}"
    return None if any_key else _one_key_problem(key)


def _one_key_problem(key: str) -> str | None:
    """Returns the problem with the key of a field that requires a single location, or `None`."""
    if re.search(r",\s*s3[an]?:", key):
        return "one location is needed here, not a list of them"
    if match := _VARIABLE.search(key):
        return f"{_shown(match[0])} is not replaced here: write ${{var.NAME}}, with NAME in spec.vars"
    if "\\" in key:
        return "a location has slashes, no backslashes"
    if any(char.isspace() for char in key):
        return "contains a space, which is a part of the key: remove it, unless the object really has this name"
    return None


def _file_problem(text: str) -> str | None:
    key = text.removeprefix("s3://").partition("/")[2]
    if not key:
        return "names a bucket, but a file is needed: s3://BUCKET/KEY"
    return "names a folder, but a file is needed" if key.endswith("/") else None


def _shown(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
