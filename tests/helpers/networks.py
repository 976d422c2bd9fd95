"""A configuration of each type of encoder, small enough to be made in milliseconds."""

from functools import partial

from transformers import (
    AlbertConfig,
    BertConfig,
    CamembertConfig,
    ConvBertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    FNetConfig,
    ModernBertConfig,
    MPNetConfig,
    NystromformerConfig,
    RobertaConfig,
    XLMRobertaConfig,
    YosoConfig,
)

SIZES = {
    "vocab_size": 128,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 160,
    "initializer_range": 0.3,
}


deberta = partial(
    DebertaV2Config,
    **SIZES,
    relative_attention=True,
    pos_att_type=["c2p", "p2c"],
    position_buckets=8,
    max_relative_positions=-1,
    norm_rel_ebd="layer_norm",
    share_att_key=True,
)


CONFIGS = {
    "bert": BertConfig(**SIZES),
    "bert untied": BertConfig(**SIZES, tie_word_embeddings=False),
    "distilbert": DistilBertConfig(
        vocab_size=128, dim=32, hidden_dim=64, n_layers=2, n_heads=2, initializer_range=0.3, max_position_embeddings=160
    ),
    "roberta": RobertaConfig(**SIZES, pad_token_id=1),
    "xlm-roberta": XLMRobertaConfig(**SIZES, pad_token_id=1),
    "camembert": CamembertConfig(**SIZES, pad_token_id=1),
    "electra": ElectraConfig(**SIZES, embedding_size=16),
    "deberta-v2": deberta(position_biased_input=False),
    "deberta-v2 new head": deberta(legacy=False, type_vocab_size=2),
    "modernbert": ModernBertConfig(
        **SIZES,
        layer_types=["full_attention", "sliding_attention"],
        local_attention=8,
        pad_token_id=0,
        cls_token_id=2,
        sep_token_id=3,
        bos_token_id=2,
        eos_token_id=3,
    ),
}


NOT_PACKED = {
    "deberta-v2 convolution": deberta(conv_kernel_size=3, conv_act="gelu"),
    "albert": AlbertConfig(**SIZES, embedding_size=16),
    "mpnet": MPNetConfig(**SIZES, pad_token_id=1),
    **{  # these mask padding wrongly
        "convbert": ConvBertConfig(**SIZES, embedding_size=16),
        "fnet": FNetConfig(**SIZES),
        "nystromformer": NystromformerConfig(**SIZES),
        "yoso": YosoConfig(**SIZES),
    },
}
PADDING_MATTERS = ("convbert", "fnet", "nystromformer", "yoso")


ALL = CONFIGS | NOT_PACKED
