"""Export a block's graph as a networkx graph, as GraphML or as node-link JSON."""

from __future__ import annotations

import json
from typing import Any

import networkx as nx
import numpy as np

from grafprint.explore.graphs import NodeGraph


def to_networkx(graph: NodeGraph, shared: np.ndarray | None = None) -> nx.DiGraph:
    """The graph with an edge from each node to each of its k nearest neighbours.

    Nodes have ``mel_bin``, ``frequency_hz``, ``time_s``, ``row``, ``column``, ``degree`` (the
    in-degree), ``cluster`` and ``change``; edges ``distance``, ``rank`` (1 is the nearest) and,
    given ``shared [N, k]`` (from a comparison), ``shared``: whether the other graph has it too.
    """
    result = nx.DiGraph(
        stage=graph.stage + 1,
        block=graph.number + 1,
        rows=graph.grid[0],
        columns=graph.grid[1],
        dilation=graph.dilation,
    )
    degree = graph.degree
    for node in range(graph.nodes):
        result.add_node(
            node,
            mel_bin=float(graph.mel_bin[node]),
            frequency_hz=round(float(graph.frequency_hz[node]), 2),
            time_s=float(graph.time_s[node]),
            row=node // graph.grid[1],
            column=node % graph.grid[1],
            degree=int(degree[node]),
            cluster=int(graph.cluster[node]),
            change=float(graph.change[node]),
        )
    for node, listed in enumerate(graph.neighbours):
        for rank, neighbour in enumerate(listed):
            both = {} if shared is None else {"shared": bool(shared[node, rank])}
            distance = float(graph.distances[node, rank])
            result.add_edge(node, int(neighbour), distance=distance, rank=rank + 1, **both)
    return result


def to_json(graph: nx.DiGraph) -> dict[str, Any]:
    """Node-link data, as ``networkx.node_link_graph(data, edges="edges")`` reads it."""
    return dict(nx.node_link_data(graph, edges="edges"))


def json_text(graph: nx.DiGraph) -> str:
    """Node-link data as JSON text."""
    return json.dumps(to_json(graph))


def graphml_text(graph: nx.DiGraph) -> str:
    """GraphML text, which ``networkx.parse_graphml(text, node_type=int)`` reads."""
    return "\n".join(nx.generate_graphml(graph))
