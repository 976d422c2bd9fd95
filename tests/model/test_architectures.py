"""Every known type of model against transformers' own forward, each text alone; and one that is not known."""

import copy

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    NystromformerConfig,
)

from dapt.mlm.batches import TrainingBatches
from dapt.mlm.masked_lm import MaskedLM, transplant
from dapt.mlm.windows import text_in_memory
from dapt.model.architectures import HEADS
from dapt.model.checkpoint import check_fits, load, pooler, save
from dapt.telling.errors import UserError
from networks import ALL, CONFIGS, NOT_PACKED, PADDING_MATTERS, SIZES
from references import dense_loss


def test_every_type_in_the_table_is_tried():
    assert {config.model_type for config in CONFIGS.values()} == set(HEADS)


@pytest.fixture()
def network_of(tmp_path):
    """name → a model with random weights, biases and norms among them, that went through a checkpoint."""

    def make(name: str):
        torch.manual_seed(1)
        network = AutoModelForMaskedLM.from_config(copy.deepcopy(ALL[name]))
        with torch.no_grad():
            for value in network.parameters():
                if value.ndim == 1:
                    value.add_(torch.randn_like(value) * 0.3)
        network.save_pretrained(tmp_path / name)
        return load(tmp_path / name)[0]

    return make


@pytest.fixture()
def batch(tokens, special):
    """Windows with one text and with several; no random token is a pad, from which RoBERTa would not count on."""
    made = TrainingBatches(text_in_memory(tokens, 32, special), 12, 0.15, 0)(0)
    assert {1, 2} <= set(made.segments.max(1).tolist())
    assert not ((made.ids < 2) & (made.segments > 0)).any()
    return made


@pytest.mark.parametrize("name", ALL)
def test_packed_and_predicted_positions_only_equal_each_text_alone(network_of, batch, name):
    """Loss and every gradient; but for what transformers itself leaves unused, every parameter has one."""
    network = network_of(name)
    masked_lm = MaskedLM(network)
    masked_lm.train()
    losses = masked_lm(*batch.tensors())
    losses.sum().backward()
    assert losses.shape == (batch.picks.size,)
    ours = {key: value.grad for key, value in network.named_parameters() if value.grad is not None}
    network.zero_grad()
    reference = dense_loss(network.eval(), batch)
    reference.backward()
    assert losses.sum().item() == pytest.approx(reference.item(), rel=1e-5)
    for key, value in network.named_parameters():
        if value.grad is None:
            assert key not in ours and ("pooler" in key or name == "bert untied" and key == "cls.predictions.bias")
        else:
            assert (ours[key] - value.grad).norm() <= 1e-5 * (1 + value.grad.norm()), key


@pytest.mark.parametrize("name", ALL)
def test_dropout_is_what_is_asked_for_whatever_the_checkpoint_says(network_of, batch, name):
    given = batch.tensors()
    still = MaskedLM(network_of(name), 0.0).train()
    assert torch.equal(still(*given)[0], still(*given)[0])
    shaken = MaskedLM(network_of(name), 0.1).train()
    assert not torch.equal(shaken(*given)[0], shaken(*given)[0])
    shaken.eval()
    assert torch.equal(shaken(*given)[0], still.eval()(*given)[0])


@pytest.mark.parametrize("name", [name for name in CONFIGS if not name.startswith("deberta")])
def test_attention_probabilities_are_dropped_too(network_of, batch, name, monkeypatch):
    """What torch's attention is given, in every layer."""
    rates = []
    attention = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda *args, **more: rates.append(more["dropout_p"]) or attention(*args, **more),
    )
    MaskedLM(network_of(name), 0.25).train()(*batch.tensors())
    assert rates == [0.25, 0.25]


@pytest.mark.parametrize("name", [name for name in CONFIGS if not name.startswith("deberta")])
def test_in_bf16_attention_is_two_products(network_of, batch, name, monkeypatch):
    network = MaskedLM(network_of(name)).eval()
    expected = network(*batch.tensors())
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", None)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(*batch.tensors())
    assert (found - expected).abs().mean() < 0.1  # of losses of 7; rounding makes 0.01 to 0.04


@pytest.mark.parametrize("name", CONFIGS)
def test_eager_attention_is_not_kept(network_of, batch, name):
    """Eager attention adds a boolean mask to the scores instead of masking with it."""
    expected = MaskedLM(network_of(name)).eval()(*batch.tensors())
    network = network_of(name)
    network.set_attn_implementation("eager")
    assert torch.allclose(MaskedLM(network).eval()(*batch.tensors()), expected, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_a_checkpoint_goes_out_and_in(network_of, model_folder, tmp_path, name):
    network = network_of(name)
    save(network, {}, model_folder, tmp_path / "saved")
    again, audit = load(tmp_path / "saved")
    assert type(again) is type(network) and not audit.missing and not audit.unexpected and not audit.head_missing
    ids = torch.randint(5, 100, (2, 12))
    for other in (again, AutoModelForMaskedLM.from_pretrained(tmp_path / "saved")):
        assert torch.equal(other.eval()(ids).logits, network.eval()(ids).logits)


@pytest.mark.parametrize("name", ALL)
def test_the_head_is_what_an_encoder_alone_lacks_and_a_transplant_gives_it(network_of, tmp_path, name):
    """What loading an encoder's own checkpoint as a masked language model draws at random, less the tied decoder."""
    donor = network_of(name)
    donor.base_model.save_pretrained(tmp_path / "encoder")
    network, audit = load(tmp_path / "encoder")
    assert audit.head_missing
    head = MaskedLM(network).head_parameters()
    tied = network.config.tie_word_embeddings
    assert set(head) == set(audit.missing) & set(dict(network.named_parameters()))  # a tied bias is missing twice
    assert any(len(value) == 128 and value.ndim == 2 for value in head.values()) != tied
    assert not any(value.any() for name, value in head.items() if name.endswith("bias"))  # not what the memory held
    ids = torch.randint(5, 100, (2, 12))
    assert not torch.allclose(network.eval()(ids).logits, donor.eval()(ids).logits, atol=1e-2)
    transplant(MaskedLM(network), donor)
    assert torch.allclose(network.eval()(ids).logits, donor.eval()(ids).logits, atol=1e-5)


def test_a_tied_donor_gives_an_untied_model_its_decoder(network_of):
    network, donor = network_of("bert untied"), network_of("bert")
    transplant(MaskedLM(network), donor)
    assert torch.equal(network.cls.predictions.decoder.weight, donor.bert.embeddings.word_embeddings.weight)


def test_an_untied_decoder_that_is_missing_is_a_missing_head(network_of, tmp_path):
    for name in ("bert", "bert untied"):
        network_of(name).save_pretrained(tmp_path)
        weights = load_file(tmp_path / "model.safetensors")
        weights.pop("cls.predictions.decoder.weight", None)
        save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
        assert load(tmp_path)[1].head_missing == (name == "bert untied")


@pytest.mark.parametrize(
    ("parent", "name", "place"),
    [
        (AutoModel, "bert", "bert.pooler"),
        (AutoModelForSequenceClassification, "bert", "bert.pooler"),
        (AutoModel, "roberta", "roberta.pooler"),
        (AutoModelForSequenceClassification, "roberta", None),
        (AutoModel, "deberta-v2", None),
        (AutoModelForSequenceClassification, "deberta-v2", "pooler"),
    ],
)
def test_the_parents_pooler_is_kept_where_a_model_with_a_head_looks_for_it(
    network_of, model_folder, tmp_path, parent, name, place
):
    network = network_of(name)
    source = parent.from_config(copy.deepcopy(network.config))
    source.save_pretrained(tmp_path / "parent")
    found = pooler(tmp_path / "parent", network.base_model_prefix)
    assert set(found) == ({f"{place}.dense.weight", f"{place}.dense.bias"} if place else set())
    save(network, found, model_folder, tmp_path / "saved")
    child = dict(parent.from_pretrained(tmp_path / "saved").named_parameters())
    assert all(torch.equal(child[key], value) for key, value in source.named_parameters() if "pooler." in key)
    assert not load(tmp_path / "saved")[1].missing


@pytest.mark.parametrize("form", ["pickled", "sharded"])
def test_a_pooler_is_found_in_every_form_of_a_checkpoint(network_of, tmp_path, form):
    source = AutoModelForSequenceClassification.from_config(copy.deepcopy(network_of("bert").config))
    source.save_pretrained(tmp_path / "parent", max_shard_size="20KB" if form == "sharded" else "1GB")
    if form == "pickled":
        torch.save(source.state_dict(), tmp_path / "parent/pytorch_model.bin")
        (tmp_path / "parent/model.safetensors").unlink()
    assert bool(list((tmp_path / "parent").glob("model-*"))) == (form == "sharded")
    assert load(tmp_path / "parent")[1].head_missing
    found = pooler(tmp_path / "parent", "bert")
    assert set(found) == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in found.items())


def test_windows_longer_than_the_positions_are_refused(network_of, special):
    for name in ALL:
        network = network_of(name)
        usable = (
            158 if name in ("roberta", "xlm-roberta", "camembert", "mpnet") else 160
        )  # their ids 0 and 1 are no positions
        check_fits(network, special, usable)
        with pytest.raises(UserError, match=f"{usable} positions"):
            check_fits(network, special, usable + 1)


def test_what_is_not_packed_says_so_once_and_in_one_process(network_of, capsys, monkeypatch):
    for name in CONFIGS:
        MaskedLM(network_of(name))
    assert capsys.readouterr().err == ""
    for name in NOT_PACKED:
        MaskedLM(network_of(name))
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and f"type {ALL[name].model_type} are not packed" in said
        assert ("rows of one length at a time" in said) == (name in PADDING_MATTERS)
    monkeypatch.setenv("RANK", "1")
    MaskedLM(network_of("albert"))
    assert capsys.readouterr().err == ""


def test_a_model_that_cannot_read_a_short_text_is_refused():
    """Nyströmformer's landmarks must divide the length of a text."""
    config = NystromformerConfig(**SIZES, num_landmarks=8, segment_means_seq_len=64)
    with pytest.raises(UserError, match="type nystromformer .* cannot read a text of 8 tokens"):
        MaskedLM(AutoModelForMaskedLM.from_config(config))
