"""Networks that judge the candidates of a search again, from both recordings' nodes."""

from grafprint.models.rerankers.cross_attention import (
    CrossAttention,
    CrossAttentionConfig,
    Judgement,
)
from grafprint.models.rerankers.files import (
    Reranker,
    load_reranker,
    reranker_for,
    save_reranker,
)
from grafprint.models.rerankers.scoring import song_score

__all__ = [
    "CrossAttention",
    "CrossAttentionConfig",
    "Judgement",
    "Reranker",
    "load_reranker",
    "reranker_for",
    "save_reranker",
    "song_score",
]
