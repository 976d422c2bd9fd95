"""`dapt fetch --pin [X]`: commit and sha256 of what the profile takes from the hub or from data/local → params.yaml.

A dump of the parsed file would fold its lines anew, so the values are written into the text where the parser found
their places; every other character stays.
"""

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node

from dapt.core import config
from dapt.core.config import Origin, Params
from dapt.core.files import sha256, whole_file
from dapt.core.paths import PARAMS
from dapt.sources.origins import named_files, on_disk
from dapt.telling.errors import UserError

Values = dict[str, str | list[str]]  # of the settings `revision` and `sha256`


def pins(origin: Origin) -> Values:
    """What pins an origin: its files' sha256 and, on the hub, the commit at which they were downloaded. Files that are
    `auto` are held against the hub's own hashes at that commit."""
    files = named_files(origin)
    if origin.local:
        return {"sha256": [sha256(path) for path in on_disk(origin, files)]} if origin.files != "auto" else {}
    from dapt.sources.hub import commit

    assert origin.hub is not None  # an origin has one of package, hub and local
    revision = commit(origin.hub, files[0])
    pinned = origin.model_copy(update={"hub": origin.hub.model_copy(update={"revision": revision})})
    hashes = [sha256(path) for path in on_disk(pinned, files)]
    return {"revision": revision} | ({"sha256": hashes} if origin.files != "auto" else {})


def place(params: Params, name: str, part: str) -> list[str | int]:
    """The keys and numbers that lead to an origin's hub or local in params.yaml."""
    parts = params.origins(name)
    above: list[str | int] = (
        ["bases", getattr(params.active.model, part)]
        if name == "model"
        else ["profiles", params.profile, "corpora", name, list(parts).index(part)]
    )
    return [*above, "hub" if parts[part].hub else "local"]


def written_there(params: Params, name: str, part: str, values: Values) -> Values:
    """What params.yaml says of the settings that `values` has."""
    origin = params.origins(name)[part]
    where = origin.hub or origin.local
    assert where is not None  # a package is pinned already
    return where.model_dump(include=set(values))


def rewritten(text: str, steps: list[str | int], values: Values) -> str:
    """YAML text with `values` in the mapping at the end of `steps`; a new one stands last.

    >>> rewritten("x: {repo: a/b, revision: main}  # why\\n", ["x"], {"revision": "c0ffee", "sha256": ["ab"]})
    'x: {repo: a/b, revision: c0ffee,\\n    sha256: [ab]}  # why\\n'
    """
    at = ".".join(map(str, steps))
    mapping = YAML(pure=True).compose(text)
    for step in steps:
        mapping = mapping.value[step] if isinstance(step, int) else _entries(mapping).get(step)
        if mapping is None:
            raise UserError(f"{PARAMS}: {step} of {at} is not written out; pin it by hand")
    entries = _entries(mapping)
    indent = "\n" + " " * mapping.value[0][0].start_mark.column
    edits = []
    for name, value in values.items():
        written = value if isinstance(value, str) else f"[{f',{indent}         '.join(value)}]"
        if name in entries:
            start, end = entries[name].start_mark.index, entries[name].end_mark.index
            if start == end:
                raise UserError(f"{PARAMS}: {at}.{name} is empty; write main there, then pin again")
            edits.append((start, end, written))
        else:
            end = mapping.value[-1][1].end_mark.index
            if not mapping.flow_style:
                line_end = text.find("\n", end)  # a comment stays on its line
                end = len(text) if line_end < 0 else line_end
            edits.append((end, end, f"{',' if mapping.flow_style else ''}{indent}{name}: {written}"))
    for start, end, written in sorted(edits, reverse=True):
        text = text[:start] + written + text[end:]
    return text


def _entries(mapping: MappingNode) -> dict[str, Node]:
    return {key.value: value for key, value in mapping.value}


def run(name: str | None) -> None:
    params, text = config.load(), PARAMS.read_bytes().decode()
    found = {
        (corpus, part): pins(origin)
        for corpus in ([name] if name else [*params.corpora, "model"])
        for part, origin in params.origins(corpus).items()
        if not origin.package
    }
    for (corpus, part), values in found.items():
        before = written_there(params, corpus, part, values)
        if new := {setting: value for setting, value in values.items() if before[setting] != value}:
            text = rewritten(text, place(params, corpus, part), new)
    after = config.parse(text)
    for (corpus, part), values in found.items():
        if written_there(after, corpus, part, values) != values:
            raise UserError(
                f"{PARAMS}: {corpus}/{part} shares its entry with a source that takes other files; "
                "write it out for each, then pin again"
            )
    with whole_file(PARAMS, "wb") as file:
        file.write(text.encode())
    for (corpus, part), values in found.items():
        said = [f"at {values['revision']}"] if "revision" in values else []
        said += [f"sha256 {', '.join(values['sha256'])}"] if "sha256" in values else []
        print(f"pinned {corpus}/{part} {', '.join(said) or 'by nothing: write its files out in place of auto'}")
    if not found:
        print("nothing to pin: packages are pinned already, and what is not enabled is not fetched")
