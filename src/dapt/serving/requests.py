"""Requests and answers; their fields are those of the API and of `dapt predict`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, WithJsonSchema

MOST_TEXTS = 256  # per request
MOST_CHARACTERS = 20_000  # per text
MOST_MASKS = 10  # per text

TEXTS = ["The patient was given [MASK] for the infection."]


def readable(text: str) -> str:
    """Refuse a text that no tokenizer can read."""
    if "\0" in text:
        raise ValueError("contains a NUL character; remove it")
    return text


def whole(value: object) -> object:
    """JSON has only one type of number, so 5.0 is accepted as an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def listed(value: object) -> object:
    """Accept a single text instead of a list."""
    return [value] if isinstance(value, str) else value


Count = Annotated[int, Field(ge=1), BeforeValidator(whole)]

# The pattern describes the check of `readable` in the API's description.
Text = Annotated[
    str,
    Field(min_length=1, max_length=MOST_CHARACTERS, json_schema_extra={"pattern": r"^[^\x00]+$"}),
    AfterValidator(readable),
]
Texts = Annotated[list[Text], Field(min_length=1, max_length=MOST_TEXTS)]
TEXT_OR_TEXTS = TypeAdapter(Text | Texts).json_schema() | {"examples": [["An irregular heartbeat."]]}
Name = Annotated[str, Field(min_length=1, max_length=200, examples=["biomed"])]


def sentence(problem: Mapping[str, Any], place: Sequence[object]) -> str:
    """The message for one of pydantic's errors, without quoting the request's text."""
    message = problem["msg"].removeprefix("Value error, ")
    return f"{'.'.join(map(str, place))}: {message}" if place else message


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    model: Name

    def texts(self) -> list[str]:
        """All texts of the request, for the limits of the queue."""
        raise NotImplementedError


class OfTexts(Asked):
    text: Texts

    def texts(self) -> list[str]:
        return self.text


class FillMask(OfTexts):
    text: Annotated[Texts, Field(examples=[TEXTS], description="each with [MASK], at most ten times")]
    top_k: Annotated[int, Field(ge=1, le=100), BeforeValidator(whole)] = 5


class Score(OfTexts):
    text: Annotated[Texts, Field(examples=[["The patient was given penicillin for the infection."]])]
    pseudo: Annotated[
        bool,
        Field(description="mask one token at a time (pseudo-perplexity); otherwise a seventh of the tokens at a time"),
    ] = False
    tokens: Annotated[bool, Field(description="also return the loss of each token")] = False

    def texts(self) -> list[str]:
        return self.text * (20 if self.pseudo else 7)  # each text is read about so many times


class Embed(OfTexts):
    text: Annotated[Texts, Field(examples=[["An irregular heartbeat."]])]


class Classify(OfTexts):
    model: Annotated[str, Field(max_length=200, examples=["finance_classification/finance"])]
    text: Annotated[Texts, Field(examples=[["Crude oil prices rose after OPEC cut its output."]])]
    top_k: Annotated[Count | None, Field(description="default: all classes")] = None


class Rank(Asked):
    model: Annotated[str, Field(max_length=200, examples=["answer_ranking/finance"])]
    query: Annotated[Text, Field(examples=["Central bank lifts interest rates"])]
    documents: Annotated[
        Texts,
        Field(examples=[["The bank raised its key rate.", "The striker scored twice."]], description="or options"),
    ]
    top_n: Annotated[Count | None, Field(description="default: all documents")] = None

    def texts(self) -> list[str]:
        return [self.query, *self.documents]


class OpenAIEmbeddings(BaseModel):
    """The request of OpenAI's clients, which may have additional fields."""

    model: Name
    input: Annotated[Texts, BeforeValidator(listed), WithJsonSchema(TEXT_OR_TEXTS)]
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: Annotated[Count | None, Field(description="if given, must be the size of the model's vectors")] = None
    user: str | None = None


class Answer(BaseModel):
    """`results` has one entry per text, in the order of the request."""

    model: str
    results: list[Any]
