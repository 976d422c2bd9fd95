"""The encoders of these fields in their published layouts: read as transformers reads them, judged as by a plain loop of
transformers, adapted, and read again by transformers alone."""

from pathlib import Path

import pytest
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

from dapt.core import config
from dapt.judging import masked_loss
from dapt.mlm.tokens import encode, encode_tokens, write_tokens
from dapt.model import checkpoint
from dapt.model.tokenizer import load_tokenizer
from dapt.stages import base, train
from dapt.telling.errors import UserError
from dapt.tools.audit import audit
from published import LAYOUTS, SIZES, publish, word_pieces
from references import plain_loop
from repositories import change, committed_files
from sentences import sentences

ROWS = [
    {"text": text, "group": str(number // 3)}
    for number, text in enumerate(sentences(20, seed=5) + [text.title() for text in sentences(10, seed=6)])
]
CASED_BY_ITS_VOCABULARY = ("BioBERT", "ClinicalBERT")


@pytest.fixture()
def workspace(tmp_path, monkeypatch) -> Path:
    """Settings for a training of ten steps."""
    committed_files(tmp_path, "params.yaml", "profiles", "dvc.yaml")
    settings = {
        "train.steps": 10,
        "train.batch": 4,
        "train.window": 32,
        "train.warmup": 2,
        "train.threads": 1,
        "train.precision": "fp32",
        "evaluate.window": 32,
        "evaluate.threads": 1,
        "repair.allow": True,
    }
    change(tmp_path, settings)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAPT_STATE", str(tmp_path / "state"))
    return tmp_path


def held(folder: Path) -> None:
    """The loss of each group is that of transformers alone."""
    settings = config.load().active.evaluate
    masked_lm, tokenizer, special = masked_loss.loaded(folder, settings)
    tokens = encode_tokens(tokenizer, special, (row["text"] for row in ROWS))
    ours = masked_loss.by_group(masked_lm, tokens, ROWS, special, settings)
    for group, (loss, *counts) in plain_loop(folder, ROWS, settings).items():
        assert ours[group].loss == pytest.approx(loss, rel=1e-4)
        assert [ours[group].correct, ours[group].top5, ours[group].masked] == counts


@pytest.mark.parametrize("name", LAYOUTS)
def test_it_is_read_judged_adapted_and_read_again(workspace, name):
    raw = publish(name, workspace / "data/raw/model/base")
    tokenizer, special = load_tokenizer(raw)
    reference = AutoTokenizer.from_pretrained(
        raw, **({"do_lower_case": False} if name in CASED_BY_ITS_VOCABULARY else {})
    )
    texts = [row["text"] for row in ROWS]
    assert list(encode(tokenizer, texts)) == reference(texts, add_special_tokens=False)["input_ids"]
    named = [reference.cls_token_id, reference.sep_token_id, reference.mask_token_id, reference.pad_token_id]
    assert [special.cls, special.sep, special.mask, special.pad] == named
    for domain in ("general", "biomed"):
        for side, chosen in (("train", texts * 3), ("valid", texts)):
            folder = workspace / "data/tokens" / domain
            folder.mkdir(parents=True, exist_ok=True)
            write_tokens(folder, side, encode(tokenizer, chosen), special)
    base.run()
    held(workspace / "models/base")
    train.run("biomed")
    held(workspace / "models/biomed")
    assert ": tiny, pre-trained further on text of biomed" in (workspace / "models/biomed/README.md").read_text()
    again = AutoTokenizer.from_pretrained(workspace / "models/biomed")
    assert again(texts)["input_ids"] == reference(texts)["input_ids"]
    _, info = AutoModelForMaskedLM.from_pretrained(workspace / "models/biomed", output_loading_info=True)
    assert not info["missing_keys"] and all("pooler." in weight for weight in info["unexpected_keys"])
    network, info = AutoModelForSequenceClassification.from_pretrained(
        workspace / "models/biomed", output_loading_info=True
    )
    heads = {weight.split(".")[0] for weight in info["missing_keys"] | info["unexpected_keys"]}
    if "pooler" in str(checkpoint.pooler(raw, network.base_model_prefix)):
        assert network.base_model_prefix not in heads
    else:
        assert all(
            "pooler." in weight for weight in info["missing_keys"] if weight.startswith(network.base_model_prefix)
        )


def test_an_electra_discriminator_is_refused(workspace, tmp_path):
    from transformers import ElectraConfig, ElectraForPreTraining

    folder = tmp_path / "electra"
    folder.mkdir()
    ElectraForPreTraining(ElectraConfig(**SIZES | {"vocab_size": word_pieces(folder)})).save_pretrained(folder)
    with pytest.raises(UserError, match="discriminator.*use the generator"):
        audit(folder)
