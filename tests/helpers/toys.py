"""Toy tasks that a model of 2 layers of 32 can learn, in a repository of their own."""

import random
import shutil
from pathlib import Path

from dapt.core.files import write_lines
from repositories import change, committed_files
from sentences import WORDS

SHORT = {
    "train.threads": 1,
    "train.precision": "fp32",
    "finetune.valid": 40,
    "finetune.seeds": [0, 1],
    "finetune.batch": 16,
    "finetune.dropout": 0.0,
}
DOMAINS = ("biomed", "finance", "biomed_finance", "general")
PLAIN = [word for word in WORDS if word not in ("fever", "bank")]


def topics(count: int, seed: int) -> list[dict]:
    """Texts with `fever` or `bank` somewhere in them, which is the label; two rows to a group."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        label = chance.choice(["fever", "bank"])
        words = chance.choices(PLAIN, k=chance.randint(1, 6))
        words.insert(chance.randrange(len(words) + 1), label)
        rows.append(
            {"id": f"{seed}-{number}", "group": f"g{seed}-{number // 2}", "text": " ".join(words), "label": label}
        )
    return rows


def choices(count: int, seed: int) -> list[dict]:
    """Which of four options is `fever`; the explanation says so."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        options, answer = chance.choices(PLAIN, k=4), chance.randrange(4)
        options[answer] = "fever"
        question = " ".join(chance.choices(PLAIN, k=4))
        rows.append(
            {
                "id": f"{seed}-{number}",
                "group": f"g{seed}-{number}",
                "text": question,
                "question": question,
                "options": options,
                "answer": answer,
                "explanation": f"It is option {answer}.",
            }
        )
    return rows


def answers(count: int, seed: int) -> list[dict]:
    """A question and an answer that share their words."""
    chance = random.Random(seed)
    return [
        {
            "id": f"{seed}-{number}",
            "group": f"g{seed}-{number}",
            "question": " ".join(words),
            "text": " ".join(words),
            "answer": " ".join(reversed(words)),
        }
        for number, words in enumerate(chance.choices(PLAIN, k=5) for _ in range(count))
    ]


def repository_with(folder: Path, model_folder: Path, task: str, rows, settings: dict) -> Path:
    """models/base, the three sides of a task, made by rows(count, seed), and pre-training sets without a text."""
    committed_files(folder, "params.yaml", "profiles", "dvc.yaml")
    change(
        folder,
        SHORT | {f"tasks.{task}.{name}" if "." not in name else name: value for name, value in settings.items()},
    )
    shutil.copytree(model_folder, folder / "models/base")
    for seed, (side, count) in enumerate({"train": 200, "valid": 10, "test": 60}.items()):
        write_lines(folder / f"data/split/tasks/{task}/{side}.jsonl", rows(count, seed))
    for path in (folder / "data/split" / domain / f"{side}.jsonl" for domain in DOMAINS for side in ("train", "valid")):
        write_lines(path, [])
    return folder
