// The tab Graph: selection, texts and events. graph_draw.js, which precedes it, draws.
const part = (name) => element.querySelector(`[data-part="${name}"]`);
const root = part('root');
const canvases = [part('canvas0'), part('canvas1')];
let first = true;
const state = { block: 0, colour: 'degree', edges: 'node', node: null, hover: null };
state.view = { left: 0, bottom: 0, zoom: 1 }; // graph_view.js changes it
let data = null;
let pictures = [];

const hertz = (f) => (f < 1000 ? `${Math.round(f)} Hz` : `${(f / 1000).toFixed(1)} kHz`);
const percent = (share) => `${Math.round(100 * share)} %`;
const plural = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;

const middle = ({ rows, columns }) => Math.floor(rows / 2) * columns + Math.floor(columns / 2);

const describe = (block, side, node) => {
  const [row, column] = [Math.floor(node / block.columns), node % block.columns];
  const distances = edgesOf(data, side, node).map((edge) => edge.distance.toFixed(2)).join(', ');
  const incoming = side.degree[node];
  return `node at ${hertz(block.hz[row])}, ${block.seconds[column].toFixed(2)} s: edges to ` +
    `${plural(data.k, 'node')} at distances ${distances}; ${plural(incoming, 'node')} ` +
    `${incoming === 1 ? 'has' : 'have'} an edge to it (cluster ${side.cluster[node] + 1}, ` +
    `changed by ${percent(side.change[node])})`;
};

const showNode = () => {
  const block = data.blocks[state.block];
  const node = state.hover ?? state.node;
  if (node === null) {
    part('node').textContent = 'Click a node, or use the arrow keys, to see its neighbours.';
    return;
  }
  const kept = edgesOf(data, block.sides[0], node).filter((edge) => edge.shared).length;
  part('node').textContent = `Clean: ${describe(block, block.sides[0], node)}. Degraded: ` +
    `${describe(block, block.sides[1], node).replace(/^node at [^:]*: /, '')}. ` +
    `${kept} of its ${data.k} edges survived.`;
};

const redraw = () => {
  if (!data) return;
  const block = data.blocks[state.block];
  canvases.forEach((c, i) => drawSide(c, data, block, i, pictures[i], state));
  showNode();
  // A picture is saved whole, and without what the pointer hovers over.
  const { hover, view, ...chosen } = state;
  root.dataset.choice = JSON.stringify(chosen);
  root.dataset.zoom = view.zoom.toFixed(2);
  for (const button of element.querySelectorAll('[data-hear=patch]')) button.disabled = state.node === null;
};

const showScale = () => {
  const block = data.blocks[state.block];
  const scale = part('scale');
  if (state.colour === 'cluster') {
    scale.innerHTML = data.colours.clusters.slice(0, block.clusters)
      .map((colour, i) => `<i style="background:${colour}"></i>${i + 1}`).join(' ');
    scale.append(' from low to high frequency');
    return;
  }
  const [low, high] = spanOf(block, state.colour);
  const text = state.colour === 'change' ? percent : String;
  const stops = data.colours.scale.map((c) => `rgb(${c.join(',')})`).join(',');
  scale.innerHTML = `${text(low)} <b style="background:linear-gradient(90deg,${stops})"></b> ` +
    `${text(high)}`;
};

const showBlock = () => {
  const block = data.blocks[state.block];
  const [clean, degraded] = block.sides;
  part('block').value = state.block;
  part('block').setAttribute('aria-valuetext', block.title);
  part('title').textContent = block.title;
  part('share').textContent = `${percent(block.share)} of this block's ${clean.to.length} edges ` +
    `survived: ${block.survived} are in both, ${block.vanished} vanished, ${block.appeared} ` +
    `appeared. With randomly drawn neighbours, ${percent(block.chance)} would survive.`;
  const reach = (side) => `${side.reach_s.toFixed(2)} s and ${side.reach_mel.toFixed(1)} mel ` +
    `bins (${side.reach_octaves.toFixed(1)} octaves)`;
  part('reach').textContent = `Average length of an edge: ${reach(clean)}; degraded: ` +
    `${reach(degraded)}. Bars: share of the edges, clean (teal) beside degraded (amber).`;
  const both = (key) => block.sides.map((side) => side[key]);
  part('time').innerHTML = bars(both('time'), data.colours.sides,
    [[0, '0'], [0.25, '0.25'], [0.5, '0.5'], [0.75, '0.75'], [1, '1']], 's',
    `Reach in time: on average ${clean.reach_s.toFixed(2)} s, degraded ${degraded.reach_s.toFixed(2)} s`);
  part('mel').innerHTML = bars(both('mel'), data.colours.sides,
    [0, 0.25, 0.5, 0.75, 1].map((v) => [v, String(v * data.mels)]), 'mel bins',
    `Reach in frequency: on average ${clean.reach_mel.toFixed(1)} mel bins, degraded ` +
    `${degraded.reach_mel.toFixed(1)}`);
  const means = (key) => [0, 1].map((i) => data.blocks.map((b) => b.sides[i][key]));
  part('time-depth').innerHTML = depths(means('reach_s'), data.colours.sides, state.block, 's',
    'Mean reach in time of every block');
  part('mel-depth').innerHTML = depths(means('reach_mel'), data.colours.sides, state.block,
    'mel bins', 'Mean reach in frequency of every block');
  showScale();
  redraw();
};

// The selected node keeps its place on the spectrogram when the grid becomes coarser or finer.
const chooseBlock = (number) => {
  const old = data.blocks[state.block];
  const block = data.blocks[number];
  if (state.node !== null) {
    const row = Math.floor(((Math.floor(state.node / old.columns) + 0.5) / old.rows) * block.rows);
    const column = Math.floor((((state.node % old.columns) + 0.5) / old.columns) * block.columns);
    state.node = row * block.columns + column;
  }
  state.hover = null;
  state.block = number;
  showBlock();
};

const load = () => {
  data = props.value ? JSON.parse(props.value) : null;
  root.classList.toggle('empty', !data || !data.blocks);
  part('note').textContent = data ? data.note : '';
  if (!data || !data.blocks) { data = null; return; }
  part('block').max = data.blocks.length - 1;
  state.block = Math.min(state.block, data.blocks.length - 1);
  if (first) state.node = middle(data.blocks[state.block]); // shows some edges from the start
  first = false;
  canvases.forEach((canvas, i) => {
    part(`name${i}`).textContent = part(`name${i}`).title = data.names[i];
    canvas.setAttribute('aria-label', `Graph of the ${i ? 'degraded' : 'clean'} segment. The ` +
      'arrow keys move from node to node, Enter plays the patch of the node, plus and minus ' +
      'zoom, 0 shows the whole, Escape clears the selection.');
  });
  pictures = data.pictures.map((source) => {
    const picture = new Image();
    picture.onload = redraw;
    picture.src = source;
    return picture;
  });
  showBlock();
};

const under = (canvas, event) => {
  const box = canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  return nodeAt(canvas, state.view, data.blocks[state.block], x, y);
};

const ARROWS = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const press = (event) => {
  if (!data || (event.key !== 'Escape' && !(event.key in ARROWS))) return;
  event.preventDefault();
  const { rows, columns } = data.blocks[state.block];
  state.hover = null;
  if (event.key === 'Escape') {
    state.node = null;
  } else if (state.node === null) {
    state.node = middle({ rows, columns });
  } else {
    const [up, right] = ARROWS[event.key];
    const row = Math.max(0, Math.min(rows - 1, Math.floor(state.node / columns) + up));
    const column = Math.max(0, Math.min(columns - 1, (state.node % columns) + right));
    state.node = row * columns + column;
  }
  showSelected();
};

canvases.forEach((canvas) => {
  canvas.addEventListener('click', (event) => {
    if (!data || dragged()) return;
    const node = under(canvas, event);
    state.hover = null;
    state.node = node === state.node ? null : node; // a second click clears the selection
    redraw();
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!data || event.pointerType === 'touch') return;
    const node = under(canvas, event);
    if (node === state.hover) return;
    state.hover = node;
    redraw();
  });
  canvas.addEventListener('pointerleave', () => {
    if (state.hover === null) return;
    state.hover = null;
    redraw();
  });
  canvas.addEventListener('keydown', press);
});
part('block').addEventListener('input', (event) => data && chooseBlock(Number(event.target.value)));
root.addEventListener('change', (event) => {
  if (event.target.type !== 'radio' || !data) return;
  state[event.target.name.replace('gp-', '')] = event.target.value;
  showScale();
  redraw();
});
new ResizeObserver(redraw).observe(root);
watch('value', load);
load();
