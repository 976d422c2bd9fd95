"""`dapt tokenize X`: data/split/X/{train,valid}.jsonl → data/tokens/X, once, in the format of dapt.mlm.tokens.

Text of which the base's tokenizer does not know a large part is refused here, before anything is trained on it.
"""

from dapt.core import config
from dapt.core.files import made_from, read_lines, whole_folder, write_json
from dapt.core.paths import RAW_MODEL, SPLIT, TOKENS
from dapt.mlm.tokens import encode, unknown_share, write_tokens
from dapt.model.tokenizer import load_tokenizer
from dapt.telling.errors import UserError

SETS = ("train", "valid")


def run(domain: str) -> None:
    allow = config.load().active.evaluate.unknown == "allow"
    tokenizer, special = load_tokenizer(RAW_MODEL / "base")
    with whole_folder(TOKENS / domain) as folder:
        counts = {}
        for name in SETS:
            rows = read_lines(SPLIT / domain / f"{name}.jsonl")
            tokens = write_tokens(folder, name, encode(tokenizer, (row["text"] for row in rows)), special)
            share = unknown_share(tokens.ids, special, f"{domain}/{name}", allow)
            if share == 1:
                raise UserError(f"{domain}/{name}: all of its tokens are unknown to the tokenizer; use another base")
            counts[name] = {"documents": len(tokens), "tokens": int(tokens.offsets[-1]), "unknown": share}
            print(f"{domain}/{name}: {counts[name]['documents']:,} documents, {counts[name]['tokens']:,} tokens")
        write_json(folder / "tokens.json", counts | {"made_from": made_from(SPLIT / domain)})
