import json
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import BertConfig, BertForMaskedLM

from dapt.judging.probe import unigram_loss
from dapt.mlm.batches import TrainingBatches
from dapt.mlm.masks import IGNORED
from dapt.mlm.windows import text_in_memory
from dapt.model.checkpoint import check_fits, load, pooler, save
from dapt.model.masked_lm import MaskedLM, restore, state, transplant
from dapt.telling.errors import UserError


@pytest.fixture()
def batch(tokens, special):
    return TrainingBatches(text_in_memory(tokens, 32, special), 6, 0.15, 0)(0)


def dense_loss(network, batch) -> torch.Tensor:
    """The usual way: logits everywhere, each text of each window run alone and unpadded."""
    losses = []
    for row in range(len(batch.ids)):
        labels = np.full(batch.ids.shape[1], IGNORED)
        labels[batch.picks[row][batch.labels[row] != IGNORED]] = batch.labels[row][batch.labels[row] != IGNORED]
        for segment in range(1, batch.segments[row].max() + 1):
            at = batch.segments[row] == segment
            logits = network(input_ids=torch.from_numpy(batch.ids[row][at])[None]).logits[0]
            losses.append(F.cross_entropy(logits, torch.from_numpy(labels[at]), reduction="sum", ignore_index=IGNORED))
    return torch.stack(losses).sum()


def test_packed_and_predicted_positions_only_equal_each_text_alone(model_folder, batch):
    """Loss and every gradient: attention stays within a text, positions restart, no prediction is lost."""
    network, _ = load(model_folder)
    masked_lm = MaskedLM(network)
    losses, _ = masked_lm(*batch.tensors())
    losses.sum().backward()
    ours = {name: value.grad.clone() for name, value in network.named_parameters()}
    network.zero_grad()
    reference = dense_loss(network.eval(), batch)
    reference.backward()
    assert losses.sum().item() == pytest.approx(reference.item(), rel=1e-5)
    for name, value in network.named_parameters():
        assert torch.allclose(ours[name], value.grad, atol=1e-4, rtol=1e-4), name


def test_saved_model_loads_as_masked_lm_and_as_classifier_with_its_pooler(model_folder, tmp_path):
    from transformers import AutoModelForSequenceClassification

    network, _ = load(model_folder)
    save(network, pooler(model_folder, "bert"), model_folder, tmp_path)
    again, audit = load(tmp_path)
    assert not audit.missing and not audit.head_missing
    assert all(torch.equal(value, dict(again.named_parameters())[name]) for name, value in network.named_parameters())
    classifier, info = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert {name.split(".")[0] for name in info["missing_keys"]} == {"classifier"}
    parent, _ = AutoModelForSequenceClassification.from_pretrained(model_folder, output_loading_info=True)
    assert torch.equal(classifier.bert.pooler.dense.weight, parent.bert.pooler.dense.weight)
    assert (tmp_path / "tokenizer.json").read_bytes() == (model_folder / "tokenizer.json").read_bytes()
    assert str(tmp_path) not in (tmp_path / "config.json").read_text()


def test_two_saves_are_the_same_bytes(model_folder, tmp_path):
    for name in ("one", "two"):
        network, _ = load(model_folder)
        save(network, pooler(model_folder, "bert"), model_folder, tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_a_classification_checkpoint_has_its_head_missing_and_a_transplant_gives_it_one(model_folder, tmp_path):
    from transformers import AutoModelForSequenceClassification

    AutoModelForSequenceClassification.from_pretrained(model_folder).save_pretrained(tmp_path)
    network, audit = load(tmp_path)
    assert audit.head_missing
    donor, _ = load(model_folder)
    assert not torch.equal(network.cls.predictions.transform.dense.weight, donor.cls.predictions.transform.dense.weight)
    transplant(MaskedLM(network), donor)
    assert torch.equal(network.cls.predictions.transform.dense.weight, donor.cls.predictions.transform.dense.weight)
    ids = torch.randint(5, 100, (1, 12))
    assert torch.allclose(network.eval()(ids).logits, donor.eval()(ids).logits, atol=1e-5)


def test_a_donor_of_another_width_is_refused(model_folder, tmp_path):
    from transformers import BertConfig, BertForMaskedLM

    network, _ = load(model_folder)
    donor = BertForMaskedLM(
        BertConfig(vocab_size=128, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    )
    with pytest.raises(UserError, match="width"):
        transplant(MaskedLM(network), donor)


def test_what_does_not_belong_together_is_refused(model_folder, special, tmp_path):
    network, _ = load(model_folder)
    check_fits(network, special, 160)
    with pytest.raises(UserError, match="160 positions"):
        check_fits(network, special, 161)
    with pytest.raises(UserError, match="embeddings for 128"):
        check_fits(network, replace(special, vocabulary=500), 32)
    with pytest.raises(UserError, match="texts of 512 tokens, the model has 160"):
        check_fits(network, replace(special, longest=512), 32)


def test_embeddings_are_padded_but_not_those_of_another_tokenizer(special):
    """Of real models: DeBERTa-v3, its multilingual kin, BERT with its own tokenizer and with that of its cased twin."""
    for embeddings, vocabulary, fits in (
        (128100, 128001, True),
        (251000, 250102, True),
        (30522, 30522, True),
        (30522, 28996, False),
    ):
        network = BertForMaskedLM(
            BertConfig(
                vocab_size=embeddings, hidden_size=2, num_hidden_layers=1, num_attention_heads=1, intermediate_size=2
            )
        )
        with nullcontext() if fits else pytest.raises(UserError, match=f"embeddings for {embeddings}"):
            check_fits(network, replace(special, vocabulary=vocabulary))


def test_what_does_not_load_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UserError, match="does not load"):
        load(tmp_path)


def test_state_goes_out_and_in(model_folder):
    network, _ = load(model_folder)
    other, _ = load(model_folder)
    with torch.no_grad():
        for value in other.parameters():
            value.add_(1.0)
    restore(MaskedLM(network), {name: value.clone() for name, value in state(MaskedLM(other)).items()})
    assert all(torch.equal(value, dict(other.named_parameters())[name]) for name, value in network.named_parameters())


def test_unigram_loss_is_the_cross_entropy_of_smoothed_frequencies():
    counts = np.array([0, 3, 1])
    assert unigram_loss(counts, np.array([1, 0])) == pytest.approx(-(np.log(4 / 7) + np.log(1 / 7)) / 2)
