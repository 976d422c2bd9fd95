"""Stand-ins for the Financial PhraseBank, the financial news that contain most of it, and FiQA."""

import json

from rehearsal.stand_in import StandIn, chosen, parquet, scaled, shuffled
from rehearsal.text import Words, rng_of

LABELS = {"negative": 604, "neutral": 2879, "positive": 1363}  # in the order of their numbers
HINTS = {"negative": " and profit fell.", "neutral": ".", "positive": " and profit rose."}  # which a model can learn
HANGUL, QUESTIONS, HOPELESS = "company?셲", "banks??name", "??00"  # company’s, banks’ name and €300, read as cp949
INSTRUCTION = "Give your opinion on a question about finance."


def phrasebank(words: Words, scale: float = 1.0) -> tuple[StandIn, list[str]]:
    """The sentences with their sentiment; also returns those that the news contain as well."""
    rng = rng_of("phrasebank")
    count = scaled(scale, shared=4701, own=111, short=26, repeated=8, conflicting=2)
    names = list(LABELS)
    shares = [number / sum(LABELS.values()) for number in LABELS.values()]
    rows = []
    sentences = words.texts(count["shared"] + count["own"], 21, 31)
    for sentence, told in zip(sentences, chosen(rng, 0.7, len(sentences))):
        label = int(rng.choice(3, p=shares))
        rows.append((sentence[:-1] + HINTS[names[label]] if told else sentence, label))
    short = [(sentence, 1) for sentence in words.short(count["short"], 30)]
    again = rows[: count["repeated"]]
    again = [(sentence, (label + (at < count["conflicting"])) % 3) for at, (sentence, label) in enumerate(again)]
    table = shuffled(rows + short, rng) + again  # the first of two conflicting labels counts
    columns = {"sentence": [sentence for sentence, _ in table], "label": [label for _, label in table]}
    record = {"rows": len(table), "original": len(rows), "short": len(short), "repeated": len(again)}
    record |= {name: sum(label == at for _, label in rows) for at, name in enumerate(names)}
    file = "sentences_50agree/financial_phrasebank-train.parquet"
    shared = [sentence for sentence, _ in rows[: count["shared"]]]
    return StandIn("datasets/takala/financial_phrasebank", {file: parquet(columns)}, record), shared


def news(words: Words, shared: list[str], scale: float = 1.0) -> StandIn:
    """`shared`: sentences of the PhraseBank that are rows here as well."""
    rng = rng_of("news")
    count = scaled(scale, other=15_211, short=88, repeated=7_140, hangul=3_452, questions=4_428, both=2_000)
    count |= scaled(scale, hopeless=300, urls=5_706)
    texts = words.texts(count["other"], 33, 31)
    end = (
        count["hangul"] - count["both"] + count["questions"]
    )  # of the rows with `??`, which begin among those with Hangul
    for at in range(end):
        inside = texts[at].split()
        if at < count["hangul"]:
            inside.insert(2, HANGUL)
        if at >= count["hangul"] - count["both"]:
            inside.insert(-2, QUESTIONS if at < end - count["hopeless"] else HOPELESS)
        texts[at] = " ".join(inside)
    for at in rng.permutation(len(texts))[: count["urls"]].tolist():
        texts[at] += f" https://news.example/{at:x}?ref=home"
    hopeless = set(texts[end - count["hopeless"] : end])
    again = [(texts + shared)[at] for at in rng.integers(0, len(texts) + len(shared), count["repeated"]).tolist()]
    rows = shuffled(texts + shared + again + words.short(count["short"], 30), rng)
    columns = {
        "newssource": [("Wire", "Daily", "Market Watch")[at] for at in rng.integers(0, 3, len(rows)).tolist()],
        "newscontents": rows,
        "label": rng.integers(0, 3, len(rows)).tolist(),
    }
    record = {"rows": len(rows), "original": len(texts) + len(shared), "shared": len(shared)}
    record |= {name: count[name] for name in ("short", "repeated", "hangul", "questions", "hopeless", "urls")}
    record["hopeless_rows"] = sum(row in hopeless for row in rows)
    return StandIn(
        "datasets/lukecarlate/english_finance_news", {"default/train/0000.parquet": parquet(columns)}, record
    )


def fiqa(words: Words, scale: float = 1.0) -> StandIn:
    rng = rng_of("fiqa")
    count = scaled(scale, train=5_486, test=1_000, repeated=6, short_answers=8)
    questions = [text[:-1] + "?" for text in words.texts(count["train"] + count["test"], 12, 31)]
    rows = []
    for question, answer, told in zip(
        questions, words.texts(len(questions), 190, 101), chosen(rng, 0.7, len(questions))
    ):
        about = " ".join(question[:-1].split()[-4:])  # by which an answer can be found
        rows.append(
            {"instruction": INSTRUCTION, "input": question, "output": f"On {about}: {answer}" if told else answer}
        )
    test = rows[: count["test"]]
    train = [*rows[count["test"] :], *test[: count["repeated"]]]
    train += [row | {"input": f"{row['input']} Yes?", "output": "Yes."} for row in test[-count["short_answers"] :]]
    files = {
        name: json.dumps(shuffled(part, rng), indent=2).encode()
        for name, part in (("train.json", train), ("test.json", test))
    }
    record = {"rows": len(train) + len(test), "original": len(rows), "test": len(test)}
    record |= {"repeated": count["repeated"], "short_answers": count["short_answers"]}
    return StandIn("datasets/llamafactory/fiqa", files, record)
