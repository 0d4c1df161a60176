"""Networks that judge the candidates of a search again, from both recordings' nodes."""

from grafprint.models.rerankers.cross_attention import (
    CrossAttention,
    CrossAttentionConfig,
    Judgement,
)
from grafprint.models.rerankers.files import (
    Reranker,
    bundled_reranker,
    load_reranker,
    save_reranker,
)
from grafprint.models.rerankers.scoring import song_score

__all__ = [
    "CrossAttention",
    "CrossAttentionConfig",
    "Judgement",
    "Reranker",
    "bundled_reranker",
    "load_reranker",
    "save_reranker",
    "song_score",
]
