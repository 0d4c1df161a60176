// Drawing for the tab Graph: a spectrogram with nodes and edges on a canvas.
// A view is {left, bottom, zoom}: the corner of what is shown, in shares of the whole, and the zoom.
const INK = { left: 46, bottom: 34, top: 4, right: 4 };

// The mapping from frames and mel bins, and from shares of the whole, to pixels of a canvas.
const frame = (canvas, data, view) => {
  const width = canvas.clientWidth - INK.left - INK.right;
  const height = canvas.clientHeight - INK.top - INK.bottom;
  const across = (share) => INK.left + (share - view.left) * view.zoom * width;
  const up = (share) => INK.top + height - (share - view.bottom) * view.zoom * height;
  return {
    width, height, across, up, zoom: view.zoom,
    x: (t) => across((t + 0.5) / data.frames),
    y: (m) => up((m + 0.5) / data.mels),
  };
};

// The shares of the whole at a point of the canvas: time, frequency.
const sharesAt = (canvas, view, px, py) => [
  view.left + (px - INK.left) / (canvas.clientWidth - INK.left - INK.right) / view.zoom,
  view.bottom + (1 - (py - INK.top) / (canvas.clientHeight - INK.top - INK.bottom)) / view.zoom,
];

const placeOf = (block, node) => [
  block.frame[node % block.columns], block.mel[Math.floor(node / block.columns)],
];

// The node under a point of the canvas, or null outside the spectrogram.
const nodeAt = (canvas, view, block, px, py) => {
  if (px < INK.left || py < INK.top || px > canvas.clientWidth - INK.right
    || py > canvas.clientHeight - INK.bottom) return null;
  const [across, up] = sharesAt(canvas, view, px, py);
  const column = Math.floor(across * block.columns);
  const row = Math.floor(up * block.rows);
  const inside = column >= 0 && column < block.columns && row >= 0 && row < block.rows;
  return inside ? row * block.columns + column : null;
};

const mixed = (stops, share) => {
  const place = Math.max(0, Math.min(1, share)) * (stops.length - 1);
  const first = Math.min(Math.floor(place), stops.length - 2);
  const part = stops[first].map((v, i) => v + (stops[first + 1][i] - v) * (place - first));
  return `rgb(${part.map(Math.round).join(',')})`;
};

// Lowest and highest value of both sides, so that a colour means the same in both.
const spanOf = (block, colour) => {
  const values = block.sides.flatMap((side) => side[colour]);
  return [Math.min(...values), Math.max(...values)];
};

const colourOf = (data, side, colour, span, node) => (colour === 'cluster'
  ? data.colours.clusters[side.cluster[node]]
  : mixed(data.colours.scale, (side[colour][node] - span[0]) / (span[1] - span[0] || 1)));

// Labels of an axis where they do not cover others; the fine ones only when zoomed in.
const ticksOf = (ticks, coarse, zoom, place, low, high, apart) => {
  const shown = [];
  for (const [value, name] of zoom < 2 ? ticks.slice(0, coarse) : ticks) {
    const at = place(value);
    if (at < low || at > high || shown.some(([other]) => Math.abs(other - at) < apart)) continue;
    shown.push([at, name]);
  }
  return shown;
};

const drawAxes = (pen, canvas, data, at) => {
  const [right, base] = [INK.left + at.width, INK.top + at.height];
  pen.fillStyle = getComputedStyle(canvas).color;
  pen.font = '11px system-ui, sans-serif';
  pen.textAlign = 'right';
  pen.textBaseline = 'middle';
  for (const [y, name] of ticksOf(data.hertz, data.coarse.hertz, at.zoom, at.y, INK.top + 3, base, 12))
    pen.fillText(name, INK.left - 5, y);
  pen.textAlign = 'center';
  pen.textBaseline = 'top';
  for (const [x, name] of ticksOf(data.seconds, data.coarse.seconds, at.zoom, at.x, INK.left, right, 30))
    pen.fillText(name, x, base + 5);
  pen.fillText('time in the segment (s)', INK.left + at.width / 2, base + 19);
};

const drawGround = (pen, data, block, at, picture) => {
  pen.fillStyle = '#000';
  pen.fillRect(INK.left, INK.top, at.width, at.height);
  pen.imageSmoothingEnabled = false;
  if (picture.complete) pen.drawImage(picture, at.across(0), at.up(1), at.zoom * at.width, at.zoom * at.height);
  // The outlines of small cells are faint.
  pen.strokeStyle = `rgba(255,255,255,${block.columns > 8 ? 0.07 : 0.3})`;
  pen.lineWidth = 1;
  pen.beginPath();
  for (let c = 1; c < block.columns; c += 1) {
    pen.moveTo(at.across(c / block.columns), at.up(0));
    pen.lineTo(at.across(c / block.columns), at.up(1));
  }
  for (let r = 1; r < block.rows; r += 1) {
    pen.moveTo(at.across(0), at.up(r / block.rows));
    pen.lineTo(at.across(1), at.up(r / block.rows));
  }
  pen.stroke();
};

// Edges bend to the right as seen from their start, so that edges along one row or column, and
// the two edges between a pair of nodes, do not cover each other. A curve stays within the points
// that define it, so these are kept inside the axes.
const bow = (pen, at, from, to) => {
  const [x0, y0, x1, y1] = [at.x(from[0]), at.y(from[1]), at.x(to[0]), at.y(to[1])];
  const [left, right, top, bottom] = [at.across(0), at.across(1), at.up(1), at.up(0)];
  const x = Math.max(left + 2, Math.min(right - 2, (x0 + x1) / 2 - 0.15 * (y1 - y0)));
  const y = Math.max(top + 2, Math.min(bottom - 2, (y0 + y1) / 2 + 0.15 * (x1 - x0)));
  pen.moveTo(x0, y0);
  pen.quadraticCurveTo(x, y, x1, y1);
};

// Edges of one kind: pairs of nodes, [from, to].
const drawEdges = (pen, at, block, pairs, colour, width, dashes) => {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.setLineDash(dashes);
  pen.beginPath();
  for (const [a, b] of pairs) bow(pen, at, placeOf(block, a), placeOf(block, b));
  pen.stroke();
  pen.setLineDash([]);
};

const edgesOf = (data, side, node) => {
  const first = node * data.k;
  return Array.from({ length: data.k }, (_, i) => ({
    to: side.to[first + i], distance: side.distance[first + i], shared: side.shared[first + i],
  }));
};

// Writes each distance beside its neighbour, on the side away from the node; labels that would
// cover each other are moved apart.
const writeDistances = (pen, at, block, node, edges, radius) => {
  pen.font = '600 12px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  pen.strokeStyle = '#000';
  pen.fillStyle = '#fff';
  pen.lineWidth = 3;
  const written = [];
  const labels = edges.map((edge) => {
    const [t, m] = placeOf(block, edge.to);
    return { text: edge.distance.toFixed(2), x: at.x(t), y: at.y(m) };
  }).filter(({ x, y }) => x > INK.left && x < INK.left + at.width && y > INK.top && y < INK.top + at.height).sort((a, b) => a.y - b.y);
  for (const label of labels) {
    const end = INK.left + at.width - 50;
    const left = label.x > end || (label.x < at.x(placeOf(block, node)[0]) && label.x > INK.left + 50);
    const x = label.x + (left ? -1 : 1) * (radius + 6);
    const above = written.filter((other) => Math.abs(other.x - x) < 34);
    const y = Math.max(label.y, ...above.map((other) => other.y + 13));
    pen.textAlign = left ? 'right' : 'left';
    pen.strokeText(label.text, x, y);
    pen.fillText(label.text, x, y);
    written.push({ x, y });
  }
};

const drawSide = (canvas, data, block, number, picture, state) => {
  const ratio = window.devicePixelRatio || 1;
  const [wide, high] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio].map(Math.round);
  if (!wide || !high) return;
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const pen = canvas.getContext('2d');
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  const at = frame(canvas, data, state.view);
  drawAxes(pen, canvas, data, at);
  pen.save();
  pen.beginPath();
  pen.rect(INK.left, INK.top, at.width, at.height);
  pen.clip(); // what is drawn from here on stays inside the axes
  drawGround(pen, data, block, at, picture);
  drawNodes(pen, data, block, number, at, state);
  pen.restore();
};

// The nodes and edges of one side; `shown` are those of the node that is pointed at or selected.
const drawNodes = (pen, data, block, number, at, state) => {
  const side = block.sides[number];
  const other = number ? 'appeared' : 'vanished';
  const dashes = number ? [2, 3] : [6, 4];
  const shown = state.hover ?? state.node;
  if (state.edges === 'all') {
    const kinds = [[], []];
    side.to.forEach((to, i) => kinds[side.shared[i]].push([Math.floor(i / data.k), to]));
    pen.globalAlpha = shown === null ? 0.9 : 0.65;
    drawEdges(pen, at, block, kinds[0], data.colours[other], 1.2, dashes);
    drawEdges(pen, at, block, kinds[1], data.colours.survived, 1.2, []);
    pen.globalAlpha = 1;
  }
  const cell = [at.width / block.columns, at.height / block.rows].map((v) => 0.3 * v * at.zoom);
  const radius = Math.max(2.5, Math.min(10, ...cell));
  const span = spanOf(block, state.colour);
  const dot = (node, size) => {
    const [t, m] = placeOf(block, node);
    pen.beginPath();
    pen.arc(at.x(t), at.y(m), size, 0, 2 * Math.PI);
  };
  pen.lineWidth = 1;
  pen.strokeStyle = 'rgba(0,0,0,.7)';
  for (let node = 0; node < side.degree.length; node += 1) {
    dot(node, radius);
    pen.fillStyle = colourOf(data, side, state.colour, span, node);
    pen.fill();
    pen.stroke();
  }
  if (shown === null) return;

  const incoming = [];
  side.to.forEach((to, i) => { if (to === shown) incoming.push([Math.floor(i / data.k), shown]); });
  drawEdges(pen, at, block, incoming, 'rgba(255,255,255,.6)', 1, []);
  const own = edgesOf(data, side, shown);
  for (const edge of own) {
    const colour = edge.shared ? data.colours.survived : data.colours[other];
    drawEdges(pen, at, block, [[shown, edge.to]], colour, 2.5, edge.shared ? [] : dashes);
    dot(edge.to, radius + 2);
    pen.strokeStyle = colour;
    pen.lineWidth = 2.5;
    pen.stroke();
  }
  dot(shown, radius + 3);
  pen.strokeStyle = '#fff';
  pen.stroke();
  writeDistances(pen, at, block, shown, own, radius);
};
