"""Fine-tuning on toy tasks: batches, scores, seeds side by side, adapters."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from dapt.core.config import Finetune, Lora, Task
from dapt.model.tokenizer import load_tokenizer
from dapt.tasks import finetuning, scoring
from dapt.tasks.finetuning import FineTuning, Tuner, batches_of_epoch, encode, load, padded
from dapt.tasks.kinds import kind, multiple_choice
from dapt.tasks.seed_state import Seeds
from dapt.telling.errors import UserError
from dapt.training.optimization.divergence import Diverged
from dapt.training.optimization.schedule import Schedule
from small_models import with_scaler
from toys import answers, choices, topics

TASK = Task(corpus="x", fields=["text"], kind="classification", length=32, epochs=3, lr=3e-3)


SETTINGS = Finetune(
    seeds=[0, 1], batch=16, threads=1, warmup=0.1, weight_decay=0.01, clip=1.0, dropout=0.0, valid=40, patience=3
)


def tuned(folder: Path, state: Path, task: Task = TASK, settings: Finetune = SETTINGS) -> FineTuning:
    """A fine-tuning of the model in this folder, on this processor."""
    return FineTuning("toy", folder, task, settings, Accelerator(cpu=True), Seeds(state, lambda event, **facts: None))


@pytest.fixture(autouse=True)
def one_thread():
    """What `dapt finetune` sets before anything is computed: a fork takes no threads along."""
    torch.set_num_threads(SETTINGS.threads)


def test_every_row_once_an_epoch_in_batches_of_like_lengths():
    lengths = np.random.default_rng(0).integers(3, 128, 1000)
    batches = batches_of_epoch(lengths, 32, seed=1, epoch=2)
    assert sorted(np.concatenate(batches)) == list(range(1000))
    assert all(len(batch) <= 32 for batch in batches)
    slots = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert slots < 1.1 * lengths.sum()  # padding: batches drawn at random have 1.9 times as many slots as tokens
    again, other = batches_of_epoch(lengths, 32, 1, 2), batches_of_epoch(lengths, 32, 1, 3)
    assert all(map(np.array_equal, batches, again)) and not all(map(np.array_equal, batches, other))


@pytest.mark.parametrize(
    "name, rows, auto",
    [
        ("classification", topics, "AutoModelForSequenceClassification"),
        ("multiple_choice", choices, "AutoModelForMultipleChoice"),
    ],
)
def test_scores_are_those_of_plain_transformers_one_row_at_a_time(model_folder, name, rows, auto):
    import transformers

    of, test = kind(name), rows(20, 3)
    tokenizer, special = load_tokenizer(model_folder)
    classes = of.classes(test)
    encoded = encode(tokenizer, of, test, classes, TASK)
    ours = Tuner(of, load(of, model_folder, classes, 0.0, seed=5), Accelerator(cpu=True), special.pad, SETTINGS).scores(
        encoded
    )
    torch.manual_seed(5)
    network = getattr(transformers, auto).from_pretrained(model_folder, **({"num_labels": 2} if classes else {})).eval()
    shape = (1, encoded.count, -1) if name == "multiple_choice" else (1, -1)
    for number, row in enumerate(test):
        batch = padded(encoded, np.array([number]), special.pad, torch.device("cpu"), True)
        with torch.no_grad():
            logits = network(**{key: value.view(shape) for key, value in batch.items()}).logits[0]
        assert ours[number] == pytest.approx(logits.double().numpy(), abs=2e-4)


def test_ranking_scores_are_cosines_of_mean_vectors_of_texts_read_alone(model_folder):
    from transformers import AutoModel

    of, test = kind("ranking"), answers(20, 3)
    tokenizer, special = load_tokenizer(model_folder)
    encoded = encode(tokenizer, of, test, [], TASK)
    ours = Tuner(of, load(of, model_folder, [], 0.0, seed=5), Accelerator(cpu=True), special.pad, SETTINGS).scores(
        encoded
    )
    network = AutoModel.from_pretrained(model_folder).eval()
    with torch.no_grad():
        vectors = torch.cat([network(torch.tensor([ids])).last_hidden_state.mean(1) for ids in encoded.ids])
    pool = list(dict.fromkeys(row["answer"] for row in test))
    places = [2 * [row["answer"] for row in test].index(answer) + 1 for answer in pool]
    cosines = torch.cosine_similarity(vectors[::2, None], vectors[places][None], dim=-1)
    assert ours / of.SHARPNESS == pytest.approx(cosines.double().numpy(), abs=1e-5)


def test_sentence_transformers_makes_the_vectors_of_a_saved_ranking_model(fine_tuned):
    """By what was written beside it: pooling, unit length, and where a long text is cut."""
    from sentence_transformers import SentenceTransformer

    folder, of = fine_tuned / "models/tasks/answer_ranking/base", kind("ranking")
    texts = ["fever", "the bank was long", " ".join(["fever and bank"] * 20)]
    rows = [{"question": text, "answer": text} for text in texts]
    tokenizer, special = load_tokenizer(folder)
    encoded = encode(tokenizer, of, rows, [], TASK.model_copy(update={"kind": "ranking", "length": 24}))
    batch = padded(encoded, np.arange(len(rows)), special.pad, torch.device("cpu"), True)
    with torch.no_grad():
        ours = of.outputs(load(of, folder, [], 0.0, 0).eval(), batch, 2)[:, 0].numpy()
    theirs = SentenceTransformer(str(folder)).encode(texts)
    assert encoded.lengths()[2] == 24 < 3 * 20 and theirs == pytest.approx(ours, abs=1e-5)


def test_fp16s_skipped_steps_are_counted_and_one_that_it_cannot_hold_is_stopped(model_folder, monkeypatch):
    of, rows = kind("classification"), topics(200, 0)
    tokenizer, special = load_tokenizer(model_folder)
    encoded = encode(tokenizer, of, rows, of.classes(rows), TASK)
    batches = batches_of_epoch(encoded.lengths(), 16, 0, 0)
    schedule = Schedule(40, 1e-3, 0, 0.0, 1.0)
    network = load(of, model_folder, of.classes(rows), 0.0, seed=5)
    tuner = Tuner(of, network, with_scaler(monkeypatch, 2.0**127), special.pad, SETTINGS)
    assert math.isfinite(tuner.epoch(encoded, batches, schedule, 0)) and 0 < tuner.skips.total < len(batches)
    tuner.epoch(encoded, batches, schedule, len(batches))
    assert tuner.accelerator.scaler.get_scale() == 2.0 ** (127 - tuner.skips.total)  # each of them halves it
    tuner = Tuner(of, network, with_scaler(monkeypatch, 1.0), special.pad, SETTINGS)
    with torch.no_grad():
        network.classifier.bias.fill_(math.nan)
    with pytest.raises(Diverged, match="gradients of 3 steps in a row are not finite in fp16.* in step 27;"):
        tuner.epoch(encoded, batches, schedule, 2 * len(batches))


def uneven(count: int, seed: int) -> list[dict]:
    """Questions of three, four and five options, in turn."""
    rows = choices(count, seed)
    for number, row in enumerate(rows):
        row["options"] = [*row["options"], "of"][: 3 + number % 3]
        row["answer"] = row["answer"] % len(row["options"])
    return rows


def test_rows_with_fewer_options_are_scored_as_if_they_stood_alone(model_folder):
    """Against batches of one row, where nothing is filled up; an option that is not there can't be chosen, and adds nothing
    to the loss."""
    of, test = kind("multiple_choice"), uneven(12, 3)
    tokenizer, special = load_tokenizer(model_folder)
    tuner = Tuner(of, load(of, model_folder, [], 0.0, seed=5), Accelerator(cpu=True), special.pad, SETTINGS)
    encoded = encode(tokenizer, of, test, [], TASK)
    together = tuner.scores(encoded)
    loss = of.loss(tuner.outputs(encoded, np.arange(12)), torch.from_numpy(encoded.right))
    alone = [encode(tokenizer, of, [row], [], TASK) for row in test]
    losses = []
    for scores, one, row in zip(together, alone, test):
        count = len(row["options"])
        assert scores[:count] == pytest.approx(tuner.scores(one)[0], abs=2e-4)
        assert np.isneginf(scores[count:]).all()
        losses.append(of.loss(tuner.outputs(one, np.arange(1)), torch.from_numpy(one.right)).item())
    assert loss.item() == pytest.approx(np.mean(losses), abs=1e-4)


def test_a_task_of_uneven_options_is_learned_and_its_baselines_choose_only_what_is_there(model_folder, tmp_path):
    found = scoring.Sides(*[uneven(count, seed) for seed, count in ((0, 60), (0, 60), (1, 20), (2, 30))])
    task = TASK.model_copy(update={"kind": "multiple_choice", "epochs": 1})
    [scores, *_], courses = tuned(model_folder, tmp_path / "state", task).all_seeds(found, tmp_path / "out")
    assert scores.shape == (30, 5) and np.isfinite(courses).all()
    for baseline in multiple_choice.BASELINES.values():
        free = baseline(found.train, found.valid, found.test, task)
        assert free.shape == (30, 5)
        assert all(row.argmax() < len(of["options"]) for row, of in zip(free, found.test))
    lines = scoring.predictions(
        multiple_choice, [scores], multiple_choice.right(found.test, []), found.test, list("abcde")
    )
    assert all(0 < line["confidence"][0] <= 1 for line in lines)


def test_the_pooler_of_the_checkpoint_is_the_fine_tuned_models(model_folder):
    network = load(kind("classification"), model_folder, ["a", "b"], 0.0, seed=0)
    assert torch.equal(
        network.bert.pooler.dense.weight, load_file(model_folder / "model.safetensors")["bert.pooler.dense.weight"]
    )


def test_seeds_trained_side_by_side_end_in_the_bits_of_one_after_the_other(model_folder, tmp_path, monkeypatch):
    rows = [topics(count, seed) for seed, count in enumerate((120, 40, 20))]
    found = scoring.Sides(rows[0], *rows)
    made = {}
    for name in ("side by side", "in turn"):
        if name == "in turn":
            monkeypatch.setattr(
                finetuning, "side_by_side", lambda work, seeds, processes: [work(seed) for seed in seeds]
            )
        scores, courses = tuned(model_folder, tmp_path / f"state {name}").all_seeds(found, tmp_path / name)
        made[name] = [
            *(array.tobytes() for array in scores),
            courses,
            (tmp_path / name / "model.safetensors").read_bytes(),
        ]
    assert made["side by side"] == made["in turn"] and made["side by side"][0] != made["side by side"][1]


def test_a_training_that_diverges_side_by_side_says_in_which_step(model_folder, tmp_path):
    rows = [topics(count, seed) for seed, count in enumerate((120, 40, 20))]
    with pytest.raises(UserError, match="the loss is not finite in step 2; lower the learning rate"):
        tuned(model_folder, tmp_path, TASK.model_copy(update={"lr": 1e30})).all_seeds(
            scoring.Sides(rows[0], *rows), tmp_path / "out"
        )


def test_stops_early_and_keeps_the_best_epoch(model_folder, tmp_path):
    of = kind("classification")
    tokenizer, special = load_tokenizer(model_folder)
    train, valid = topics(100, 0), topics(40, 1)
    sides = [encode(tokenizer, of, rows, ["bank", "fever"], TASK) for rows in (train, valid)]
    tuner = Tuner(
        of,
        load(of, model_folder, ["bank", "fever"], 0.0, 0),
        Accelerator(cpu=True),
        special.pad,
        SETTINGS.model_copy(update={"patience": 2}),
    )
    state = Seeds(tmp_path, lambda event, **facts: None).of(0)
    course = finetuning.train(tuner, sides, TASK.model_copy(update={"epochs": 40}), 0, "toy", state)
    last_best = max(range(len(course)), key=lambda epoch: (course[epoch], epoch))  # of equal ones the loss chooses
    assert len(course) < 40 and len(course) - 1 - last_best <= 2
    assert of.values(tuner.scores(sides[1]), sides[1].right).mean() == pytest.approx(max(course))


def test_lora_changes_every_linear_layer_by_its_rank_and_nothing_else_of_the_encoder(
    model_folder, tmp_path, monkeypatch
):
    settings = SETTINGS.model_copy(update={"lora": Lora(rank=2, alpha=4)})
    rows = [topics(count, seed) for seed, count in enumerate((120, 40, 20))]
    found = scoring.Sides(rows[0], *rows)
    tuned(model_folder, tmp_path / "state", settings=settings).all_seeds(found, tmp_path / "out")
    before, after = (load_file(folder / "model.safetensors") for folder in (model_folder, tmp_path / "out"))
    changed = 0
    for name, value in after.items():
        if name in before and "pooler" not in name:
            difference = (value - before[name]).numpy()
            if ".layer." in name and "LayerNorm" not in name and value.ndim == 2:
                assert np.linalg.matrix_rank(difference, tol=1e-5) == 2, name
                changed += 1
            else:
                assert not difference.any(), name
    assert changed == 2 * 6


@pytest.mark.parametrize("name, rows", [("multiple_choice", choices), ("ranking", answers)])
def test_lora_trains_the_other_kinds_and_is_merged_into_what_is_saved(model_folder, tmp_path, name, rows):
    """The saved checkpoint, loaded without adapters, scores as the network did that had them."""
    settings = SETTINGS.model_copy(update={"lora": Lora(rank=2, alpha=4)})
    task, of = TASK.model_copy(update={"kind": name, "lr": 1e-2}), kind(name)
    sides = [rows(count, seed) for seed, count in enumerate((120, 40, 20))]
    found, accelerator = scoring.Sides(sides[0], *sides), Accelerator(cpu=True)
    scores, _ = tuned(model_folder, tmp_path / "state", task, settings).all_seeds(found, tmp_path / "out")
    tokenizer, special = load_tokenizer(model_folder)
    test = encode(tokenizer, of, found.test, [], task)

    def scored(folder):
        return Tuner(of, load(of, folder, [], 0.0, 0), accelerator, special.pad, SETTINGS).scores(test)

    assert scored(tmp_path / "out") == pytest.approx(scores[0], abs=1e-4)
    assert not scored(model_folder) == pytest.approx(scores[0], abs=1e-2)
