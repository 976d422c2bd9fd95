"""Texts of a few words, drawn at random."""

import random

WORDS = (
    "the patient has fever and the bank raised its rate after a long meeting of shareholders in london while "
    "doctors saw clinical signs of infection profits rose by ten percent"
).split()


def sentences(count: int, seed: int = 0, longest: int = 40) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(1, longest))) for _ in range(count)]
