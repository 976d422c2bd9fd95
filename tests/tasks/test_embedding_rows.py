import copy

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from dapt.tasks.embedding_rows import put_back, train_only
from dapt.training.optimization.optimizer import optimizer
from networks import CONFIGS

SEEN, PAD = 60, {"roberta": 1, "xlm-roberta": 1, "camembert": 1}


def trained(network, batches) -> list[float]:
    """The losses of a step a batch."""
    adamw = optimizer(network.named_parameters(), weight_decay=0.0)
    adamw.param_groups[0]["lr"] = adamw.param_groups[1]["lr"] = 1e-2
    losses = []
    for ids, mask in batches:
        loss = network(ids, attention_mask=mask, labels=torch.arange(len(ids)) % 2).loss
        loss.backward()
        adamw.step()
        adamw.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "bert untied"])
def test_training_is_that_of_the_whole_embeddings_and_unseen_rows_stay(name):
    torch.manual_seed(1)
    whole = AutoModelForSequenceClassification.from_config(copy.deepcopy(CONFIGS[name]))
    pad, before = PAD.get(name, 0), copy.deepcopy(whole.state_dict())
    some = copy.deepcopy(whole)
    batches = [(torch.randint(2, SEEN, (8, 12)), torch.ones(8, 12, dtype=torch.long)) for _ in range(3)]
    for ids, mask in batches:
        ids[::2, 8:], mask[::2, 8:] = pad, 0
    seen = np.union1d(np.concatenate([ids.flatten().numpy() for ids, _ in batches]), pad)
    for network in (whole.train(), train_only(some, seen).train()):
        for layer in network.modules():
            if isinstance(layer, torch.nn.Dropout):
                layer.p = 0.0
    assert trained(some, batches) == pytest.approx(trained(whole, batches), rel=1e-4)
    unseen = torch.arange(SEEN, 128)[None]
    with torch.no_grad():
        judged = some.eval()(unseen).logits
        assert torch.allclose(judged, whole.eval()(unseen).logits, atol=1e-4)
        assert torch.equal(judged, put_back(some)(unseen).logits)
    after = some.state_dict()
    assert list(after) == list(before)
    for key, value in whole.state_dict().items():
        assert torch.allclose(after[key], value, atol=1e-4), key
    (word,) = (key for key, value in before.items() if "word_emb" in key or "tok_emb" in key)
    assert torch.equal(after[word][SEEN:], before[word][SEEN:]) and not torch.equal(
        after[word][2:SEEN], before[word][2:SEEN]
    )
    assert all(value.requires_grad for value in some.parameters())


def test_what_training_did_not_name_cannot_be_read_in_training():
    network = train_only(
        AutoModelForSequenceClassification.from_config(copy.deepcopy(CONFIGS["bert"])), np.array([0, 2, 3])
    )
    network.eval()(torch.tensor([[2, 5, 3]]))
    with pytest.raises(IndexError):
        network.train()(torch.tensor([[2, 5, 3]]))
