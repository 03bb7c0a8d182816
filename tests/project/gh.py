"""Simulates GitHub's `gh api`: pull requests with comments, artifacts and environments in one JSON file.

Run as a program: `gh.py WORLD api …`. The folder WORLD contains `state.json` with the whole state, and `calls.jsonl`
with every call.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

BOT = "github-actions[bot]"
LONGEST_COMMENT = 65_536


def initial() -> dict[str, Any]:
    """Returns the state of a new repository."""
    return {"comments": {}, "pulls": {}, "artifacts": [], "environments": {}}


def load(world: Path) -> dict[str, Any]:
    """Reads the state."""
    file = world / "state.json"
    state: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else initial()
    return state


def save(world: Path, state: dict[str, Any]) -> None:
    """Writes the state."""
    (world / "state.json").write_text(json.dumps(state), "utf-8")


def answer(world: Path, arguments: list[str]) -> bytes:
    """Answers one call. Raises `LookupError` for a path that does not exist."""
    url = next(part for part in arguments if part.startswith("repos/"))
    path = "/".join(url.partition("?")[0].split("/")[3:])
    method = arguments[arguments.index("--method") + 1] if "--method" in arguments else "GET"
    state = load(world)
    if method != "GET":
        field = arguments[arguments.index("-F") + 1]
        text = Path(field.removeprefix("body=@")).read_text("utf-8")
        assert field.startswith("body=@"), field
        assert len(text) <= LONGEST_COMMENT, "GitHub refuses longer comments"
        _write(state, method, path, text)
        save(world, state)
        return b"{}"
    return _read(world, state, path, url)


def _write(state: dict[str, Any], method: str, path: str, text: str) -> None:
    if method == "POST" and (match := re.fullmatch(r"issues/(\d+)/comments", path)):
        every = [comment["id"] for comments in state["comments"].values() for comment in comments]
        new = {"id": max([1000, *every]) + 1, "user": {"login": BOT, "type": "Bot"}, "body": text}
        state["comments"].setdefault(match[1], []).append(new)
    elif method == "PATCH" and (match := re.fullmatch(r"issues/comments/(\d+)", path)):
        comments = [comment for each in state["comments"].values() for comment in each]
        next(comment for comment in comments if comment["id"] == int(match[1]))["body"] = text
    else:
        raise LookupError(f"{method} {path}")


def _read(world: Path, state: dict[str, Any], path: str, url: str) -> bytes:
    if match := re.fullmatch(r"issues/(\d+)/comments", path):
        comments = state["comments"].get(match[1], [])
        return json.dumps([comments[:1], comments[1:]]).encode()  # two pages, because the comment may be on the second
    if match := re.fullmatch(r"commits/([0-9a-f]+)/pulls", path):
        return json.dumps(state["pulls"].get(match[1], [])).encode()
    if match := re.fullmatch(r"environments/([\w-]+)", path):
        if match[1] not in state["environments"]:
            raise LookupError("gh: Not Found (HTTP 404)")
        rules = [{"type": rule} for rule in state["environments"][match[1]]]
        return json.dumps({"name": match[1], "protection_rules": rules}).encode()
    if match := re.fullmatch(r"actions/artifacts/(\d+)/zip", path):
        return _zipped(world / "artifacts" / match[1])
    if path == "actions/artifacts":
        name = url.partition("name=")[2].partition("&")[0]
        return json.dumps({"artifacts": [each for each in state["artifacts"] if each["name"] == name]}).encode()
    if match := re.fullmatch(r"actions/runs/(\d+)/artifacts", path):
        listed = [each for each in state["artifacts"] if each["workflow_run"]["id"] == int(match[1])]
        return json.dumps({"artifacts": listed}).encode()
    raise LookupError(f"GET {path}")


def _zipped(file: Path) -> bytes:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("file", file.read_bytes())
    return archive.getvalue()


def main(world: Path, arguments: list[str]) -> int:
    """Runs one call as `gh` does."""
    with (world / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    assert arguments[0] == "api", arguments
    try:
        sys.stdout.buffer.write(answer(world, arguments[1:]))
    except LookupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2:]))
