"""`dapt predict OPERATION`: JSON lines in, JSON lines out, computed by the same code as the HTTP API."""

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dapt.core.files import json_line, whole_file
from dapt.corpus.tables import content, decoded
from dapt.serving.engine import Chooser, Encoder, Refused, load
from dapt.serving.operations import ASKED, OPERATIONS
from dapt.serving.requests import Asked, sentence
from dapt.telling.errors import UserError
from dapt.telling.progress import Progress

AT_ONCE = 256  # lines per batch


def request(operation: str, line: str, options: dict[str, Any]) -> Asked:
    """Parse a line as a request of the API: an object with its fields, or a text. A field `id` is ignored."""
    try:
        given = json.loads(line)
    except ValueError as error:
        raise Refused(f"the line is not JSON ({error})") from error
    fields = {"text": given} if isinstance(given, str | list) else given
    if not isinstance(fields, dict):
        raise Refused('the line must be an object, such as {"text": "…"}, or a text')
    fields = {name: value for name, value in fields.items() if name != "id"} | options | {"model": "the folder's"}
    if isinstance(fields.get("text"), str):
        fields["text"] = [fields["text"]]
    try:
        return ASKED[operation].model_validate(fields)
    except ValidationError as error:
        problem = error.errors()[0]
        raise Refused(sentence(problem, problem["loc"])) from error


def answered(
    operation: str, model: Encoder | Chooser, lines: list[tuple[int, str]], options: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """For each numbered line its results, or the reason why there are none."""
    asked: list[Asked | Refused] = []
    for _, line in lines:
        try:
            asked.append(request(operation, line, options))
        except Refused as error:
            asked.append(error)
    results = iter(OPERATIONS[operation](model, [one for one in asked if isinstance(one, Asked)]))
    for (number, _), one in zip(lines, asked, strict=True):
        result = one if isinstance(one, Refused) else next(results)
        yield {"line": number} | ({"error": str(result)} if isinstance(result, Refused) else {"results": result})


def run(operation: str, folder: Path, given: Path | None, out: Path | None, options: dict[str, Any]) -> None:
    """Read `given` or standard input, write to `out` or standard output; a line that cannot be answered gets an `error`."""
    where = str(given or "standard input")
    text = decoded(content(given) if given else sys.stdin.buffer.read(), where)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise UserError(f"{where} is empty; give one text or JSON object per line")
    model, failed = load(folder), 0
    progress = Progress(operation, -(-len(lines) // AT_ONCE), unit="lines")
    with whole_file(out) if out else nullcontext(sys.stdout) as file:
        for start in range(0, len(lines), AT_ONCE):
            some = lines[start : start + AT_ONCE]
            for answer in answered(operation, model, some, options):
                failed += "error" in answer
                file.write(json_line(answer))
            progress.advance(len(some))
    progress.close()
    if failed:
        raise UserError(f"{failed} of {len(lines)} lines could not be answered; see `error` in the output lines")
