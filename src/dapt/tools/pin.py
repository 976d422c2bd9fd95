"""`dapt fetch --pin [X]`: writes commit and sha256 of sources on the hub or in data/local into the settings: params.yaml for a
base, the profile for a corpus.

Dumping the parsed file would re-wrap its lines, so the values are inserted into the text at the positions from the parser;
nothing else changes.
"""

from pathlib import Path

from ruamel.yaml.nodes import SequenceNode

from dapt.core import config
from dapt.core.config import Origin, Params
from dapt.core.files import sha256, whole_file
from dapt.core.paths import PARAMS, profile_path
from dapt.sources.origins import named_files, on_disk
from dapt.telling.errors import UserError
from dapt.tools.yaml_text import Steps, dotted, end_of, entries, node_at, with_entry

Values = dict[str, str | list[str]]  # values of the settings `revision` and `sha256`


def pins(origin: Origin) -> Values:
    """What pins an origin: its files' sha256 and, on the hub, the commit at which they were downloaded. The sha256 in the
    settings are ignored, since they may be those of older files. If files is `auto`, the files are checked against the hub's
    own hashes at that commit."""
    files = named_files(origin)
    if origin.local:
        anew = origin.model_copy(update={"local": origin.local.model_copy(update={"sha256": []})})
        return {"sha256": [sha256(path) for path in on_disk(anew, files)]} if origin.files != "auto" else {}
    from dapt.sources.hub import commit

    assert origin.hub is not None  # an origin has exactly one of package, hub and local
    revision = commit(origin.hub, files[0])
    pinned = origin.model_copy(update={"hub": origin.hub.model_copy(update={"revision": revision, "sha256": []})})
    hashes = [sha256(path) for path in on_disk(pinned, files)]
    return {"revision": revision} | ({"sha256": hashes} if origin.files != "auto" else {})


def place(params: Params, name: str, part: str) -> tuple[Path, Steps]:
    """The settings file, and the keys and indices in it that lead to an origin's hub or local."""
    path, steps = params.place(name, part)
    return path, [*steps, "hub" if params.origins(name)[part].hub else "local"]


def written_there(params: Params, name: str, part: str, values: Values) -> Values:
    """The current settings of the names in `values`."""
    origin = params.origins(name)[part]
    where = origin.hub or origin.local
    assert where is not None  # a package is already pinned
    return where.model_dump(include=set(values))


def rewritten(text: str, where: Path, steps: Steps, values: Values) -> str:
    """YAML text with `values` set in the mapping at the end of `steps`; new keys are appended.

    >>> rewritten("x:\\n  revision: main  # why\\n", PARAMS, ["x"], {"revision": "c0ffee", "sha256": ["ab"]})
    'x:\\n  revision: c0ffee  # why\\n  sha256:\\n  - ab\\n'
    """
    mapping = node_at(text, where, steps)
    there = entries(mapping)
    indent = "\n" + " " * mapping.value[0][0].start_mark.column
    edits = []
    for name, value in values.items():
        node = there.get(name)
        flow = (node if isinstance(node, SequenceNode) else mapping).flow_style
        if node:
            start = node.start_mark.index
            end = end_of(node)
            if start == end:
                raise UserError(f"{where}: {dotted(steps)}.{name} is empty; write main there, then pin again")
            edits.append((start, end, _yaml(value, indent, flow)))
        elif flow:
            end = end_of(mapping.value[-1][1])
            edits.append((end, end, f",{indent}{name}: {_yaml(value, indent, flow)}"))
    for start, end, written in sorted(edits, reverse=True):
        text = text[:start] + written + text[end:]
    for name, value in values.items():
        if name not in there and not mapping.flow_style:
            text = with_entry(text, where, steps, name, value)
    return text


def _yaml(value: str | list[str], indent: str, flow: bool) -> str:
    if isinstance(value, str):
        return value
    return f"[{f',{indent}         '.join(value)}]" if flow else indent.join(f"- {each}" for each in value)


def run(name: str | None) -> None:
    params = config.load()
    found = {
        (corpus, part): pins(origin)
        for corpus in ([name] if name else [*params.corpora, "model"])
        for part, origin in params.origins(corpus).items()
        if not origin.package
    }
    texts = {path: path.read_bytes().decode() for path in (PARAMS, *map(profile_path, params.profiles))}
    for (corpus, part), values in found.items():
        before = written_there(params, corpus, part, values)
        if new := {setting: value for setting, value in values.items() if before[setting] != value}:
            path, steps = place(params, corpus, part)
            texts[path] = rewritten(texts[path], path, steps, new)
    after = config.parse_params(texts[PARAMS], {name: texts[profile_path(name)] for name in params.profiles})
    for (corpus, part), values in found.items():
        if written_there(after, corpus, part, values) != values:
            raise UserError(
                f"{place(params, corpus, part)[0]}: {corpus}/{part} shares its entry (a YAML alias) with a source that has "
                "other files; write the entry out for each of them, then pin again"
            )
    for path, text in texts.items():
        with whole_file(path, "wb") as file:
            file.write(text.encode())
    for (corpus, part), values in found.items():
        said = [f"at {values['revision']}"] if "revision" in values else []
        said += [f"sha256 {', '.join(values['sha256'])}"] if "sha256" in values else []
        print(f"pinned {corpus}/{part} {', '.join(said) or 'by nothing: list its files instead of auto'}")
    if not found:
        print("nothing to pin: packages are already pinned, and disabled corpora are not fetched")
