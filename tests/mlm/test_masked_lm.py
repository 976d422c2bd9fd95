"""The head at predicted positions only, on a BERT of random weights."""

import pytest
import torch

from dapt.mlm.batches import TrainingBatches
from dapt.mlm.masked_lm import MaskedLM, restore, state, transplant
from dapt.mlm.windows import text_in_memory
from dapt.model import activations
from dapt.model.checkpoint import load
from dapt.telling.errors import UserError
from references import dense_loss


@pytest.fixture()
def batch(tokens, special):
    return TrainingBatches(text_in_memory(tokens, 32, special), 6, 0.15, 0)(0)


def test_packed_and_predicted_positions_only_equal_each_text_alone(model_folder, batch):
    """Loss and every gradient: attention stays within a text, positions restart, no prediction is lost."""
    network, _ = load(model_folder)
    masked_lm = MaskedLM(network)
    losses = masked_lm(*batch.tensors())
    losses.sum().backward()
    ours = {name: value.grad.clone() for name, value in network.named_parameters()}
    network.zero_grad()
    reference = dense_loss(network.eval(), batch)
    reference.backward()
    assert losses.sum().item() == pytest.approx(reference.item(), rel=1e-5)
    for name, value in network.named_parameters():
        assert torch.allclose(ours[name], value.grad, atol=1e-4, rtol=1e-4), name


@pytest.mark.parametrize("training", [True, False])
def test_logits_in_parts_give_the_same_losses_and_gradients_and_never_take_more_than_they_may(
    model_folder, batch, monkeypatch, training
):
    network, _ = load(model_folder)
    masked_lm = MaskedLM(network).train(training)
    whole = masked_lm(*batch.tensors())
    whole.sum().backward()
    expected = {name: value.grad.clone() for name, value in network.named_parameters()}
    network.zero_grad()

    monkeypatch.setattr(activations, "LOGITS", 10_000)
    monkeypatch.setattr(activations, "encoder_bytes", lambda *_: 8_000)
    sizes: list[int] = []
    network.cls.predictions.decoder.register_forward_hook(lambda _, __, logits: sizes.append(len(logits)))
    losses = masked_lm(*batch.tensors())
    assert sum(sizes) == batch.picks.size and max(sizes) == 7  # of 1,280 bytes each
    assert torch.allclose(losses, whole, atol=1e-6)
    losses.sum().backward()
    assert sum(sizes) == 2 * batch.picks.size  # nothing was kept: they were made again
    for name, value in network.named_parameters():
        largest = max(1.0, float(expected[name].abs().max()))  # sums in another order round by a share of it
        assert torch.allclose(value.grad, expected[name], atol=1e-5 * largest), name


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


def test_a_donor_of_another_width_is_refused(model_folder):
    from transformers import BertConfig, BertForMaskedLM

    network, _ = load(model_folder)
    donor = BertForMaskedLM(
        BertConfig(vocab_size=128, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    )
    with pytest.raises(UserError, match="width"):
        transplant(MaskedLM(network), donor)


def test_state_goes_out_and_in(model_folder):
    network, _ = load(model_folder)
    other, _ = load(model_folder)
    with torch.no_grad():
        for value in other.parameters():
            value.add_(1.0)
    restore(MaskedLM(network), {name: value.clone() for name, value in state(MaskedLM(other)).items()})
    assert all(torch.equal(value, dict(other.named_parameters())[name]) for name, value in network.named_parameters())
