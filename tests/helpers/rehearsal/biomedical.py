"""Stand-ins for BioASQ in SQuAD's layout, the English and German texts, and MedMCQA."""

import json
import re
from collections import Counter

import numpy as np

from rehearsal.stand_in import StandIn, chosen, parquet, scaled, shuffled
from rehearsal.text import Words, rng_of

BIOASQ = "BioASQ-train-factoid-6b-full-annotated.json"
SUBJECTS = {  # with the number of their questions in the real validation set
    name: int(number)
    for name, number in re.findall(
        r"([A-Z][A-Za-z& ]+) (\d+)",
        "Dental 1318, Surgery 369, Pathology 337, Medicine 295, Pharmacology 243, Anatomy 234, Pediatrics 234, "
        "Gynaecology & Obstetrics 224, Biochemistry 171, Physiology 171, Social & Preventive Medicine 129, "
        "Microbiology 122, Radiology 69, Forensic Medicine 67, Ophthalmology 58, ENT 53, Anaesthesia 34, "
        "Orthopaedics 20, Skin 17, Psychiatry 16, Unknown 2",
    )
}
# Rows of each file, and of these: without an explanation and short, without one and long enough, equal to another row, without
# a topic. The validation set's numbers are measured; the others make up what the original project's rule left of all three.
MEDMCQA = {
    "train": {"rows": 182_822, "short": 8_900, "bare": 13_400, "repeated": 2_314, "no_topic": 91_400},
    "validation": {"rows": 4_183, "short": 778, "bare": 1_199, "repeated": 0, "no_topic": 3_760},
    "test": {"rows": 6_150, "short": 2_420, "bare": 3_730, "repeated": 0, "no_topic": 5_500},
}
ANSWER, NEWLINE = 1_090 / 2_206, 629 / 2_206  # of the explanations in the validation set


def bioasq(words: Words, scale: float = 1.0) -> StandIn:
    rng = rng_of("bioasq")
    count = scaled(scale, texts=2_511, repeated=24, short=5)
    texts = words.texts(count["texts"], 218, 31)
    contexts = shuffled(texts + texts[: count["repeated"]] + words.short(count["short"], 30), rng)
    paragraphs = []
    for at, context in enumerate(contexts):
        start = len(context.split(" ", 1)[0]) + 1  # the answer is the second word
        answer = {"text": context[start:].split(" ", 1)[0], "answer_start": start}
        question = {"id": f"{at:024x}_001", "question": "Which word is the second?", "answers": [answer]}
        paragraphs.append({"qas": [question], "context": context})
    content = json.dumps({"version": "BioASQ6b", "data": [{"title": "BioASQ6b", "paragraphs": paragraphs}]})
    record = {"rows": len(contexts), "original": len(texts), "repeated": count["repeated"], "short": count["short"]}
    return StandIn("local", {BIOASQ: content.encode()}, record)


def english_german(words: Words, german: Words, scale: float = 1.0, as_json: bool = False) -> StandIn:
    """`as_json`: the pairs are JSON texts instead of objects; it is not known which the real file has."""
    rng = rng_of("en_de")
    count = scaled(scale, texts=11_145, repeated=15, short=40)
    texts = words.texts(count["texts"], 196, 50)
    rows = shuffled(texts + texts[: count["repeated"]] + words.short(count["short"], 49), rng)
    pairs = [{"en": text, "de": other} for text, other in zip(rows, german.texts(len(rows), 180))]
    column = [json.dumps(pair, ensure_ascii=False) for pair in pairs] if as_json else pairs
    record = {"rows": len(rows), "original": len(texts), "repeated": count["repeated"], "short": count["short"]}
    return StandIn(
        "datasets/Hmehdi515/biomedical_en-de", {"default/train/0000.parquet": parquet({"text": column})}, record
    )


def medmcqa(words: Words, scale: float = 1.0) -> StandIn:
    files, record = {}, Counter()
    for side, counts in MEDMCQA.items():
        rows, found = _questions(words, side, {name: round(number * scale) for name, number in counts.items()})
        files[f"data/{side}-00000-of-00001.parquet"] = parquet({name: [row[name] for row in rows] for name in rows[0]})
        record.update(found | {side: len(rows)})
    return StandIn("datasets/openlifescienceai/medmcqa", files, dict(record))


def _questions(words: Words, side: str, count: dict[str, int]) -> tuple[list[dict], dict[str, int]]:
    """The rows of one file, and what it was built to contain."""
    rng = rng_of(f"medmcqa {side}")
    different = count["rows"] - count["repeated"] - count["short"]
    long = [text[:-1] for text in words.texts(different, 11, 51)]
    questions = long + words.short(count["short"], 45)
    bare = [True] * count["bare"] + [False] * (different - count["bare"]) + [True] * count["short"]
    explained = len(bare) - sum(bare)
    explanations = iter(_explanations(words, rng, explained))
    subjects = rng.choice(len(SUBJECTS), len(questions), p=np.array([*SUBJECTS.values()]) / sum(SUBJECTS.values()))
    subjects[: len(SUBJECTS)] = np.arange(len(SUBJECTS))[: len(subjects)]  # each at least once
    names = list(SUBJECTS)
    options = [text.rstrip(".") for text in words.short(4 * len(questions), 40)]
    right = rng.integers(0, 4, len(questions)).tolist()
    rows = []
    for at, question in enumerate(questions):
        four, subject = options[4 * at : 4 * at + 4], names[subjects[at]]
        if at % 2 and at < different:  # a subject and an answer that a model can learn
            four[right[at]] += " " + question.rsplit(" ", 1)[-1]
            question = f"In {subject.lower()}, {question}"
        rows.append(
            {
                "id": rng.bytes(16).hex(),
                "question": question,
                **dict(zip(("opa", "opb", "opc", "opd"), four)),
                "cop": -1 if side == "test" else right[at],
                "choice_type": "multi" if at % 3 == 0 else "single",
                "exp": None if bare[at] else next(explanations),
                "subject_name": subject,
                "topic_name": f"{subject} in general",
            }
        )
    rows = shuffled(rows + rows[different - count["repeated"] : different], rng)
    for at in rng.permutation(len(rows))[: count["no_topic"]].tolist():
        rows[at] = rows[at] | {"topic_name": None}
    found = {name: count[name] for name in ("rows", "short", "repeated", "no_topic")}
    return rows, found | {
        "original": different,
        "no_explanation": sum(bare),
        "explained": explained + count["repeated"],
    }


def _explanations(words: Words, rng: np.random.Generator, number: int) -> list[str]:
    texts = words.texts(number, 66, 60)
    for at, (answer, newline) in enumerate(zip(chosen(rng, ANSWER, number), chosen(rng, NEWLINE, number))):
        text = f"Ans. is 'a' i.e., {texts[at]}" if answer else texts[at]
        texts[at] = text.replace(". ", ".\n").replace(" ", "\n", 1) if newline else text
    return texts
