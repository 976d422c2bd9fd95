"""`dapt tokenize X`: data/split/X/{train,valid}.jsonl → data/tokens/X, once, in the format of dapt.mlm.tokens."""

from dapt.core import config
from dapt.core.files import made_from, read_lines, whole_folder, write_json
from dapt.core.paths import RAW_MODEL, SPLIT, TOKENS
from dapt.mlm.tokens import encode, write_tokens
from dapt.model.tokenizer import load_tokenizer

SETS = ("train", "valid")


def run(domain: str) -> None:
    config.load()
    tokenizer, special = load_tokenizer(RAW_MODEL / "base")
    with whole_folder(TOKENS / domain) as folder:
        counts = {}
        for name in SETS:
            rows = read_lines(SPLIT / domain / f"{name}.jsonl")
            tokens = write_tokens(folder, name, encode(tokenizer, (row["text"] for row in rows)), special)
            counts[name] = {"documents": len(tokens), "tokens": int(tokens.offsets[-1])}
            print(f"{domain}/{name}: {counts[name]['documents']} documents, {counts[name]['tokens']} tokens")
        write_json(folder / "tokens.json", counts | {"made_from": made_from(SPLIT / domain)})
