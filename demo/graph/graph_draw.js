// Drawing for the tab Graph: a spectrogram with nodes and edges on a canvas, bars as SVG.
const INK = { left: 46, bottom: 34, top: 4, right: 4 };

// The mapping from frames and mel bins to pixels of a canvas.
const frame = (canvas, data) => {
  const width = canvas.clientWidth - INK.left - INK.right;
  const height = canvas.clientHeight - INK.top - INK.bottom;
  return {
    width, height,
    x: (t) => INK.left + ((t + 0.5) / data.frames) * width,
    y: (m) => INK.top + height - ((m + 0.5) / data.mels) * height,
  };
};

const placeOf = (block, node) => [
  block.frame[node % block.columns], block.mel[Math.floor(node / block.columns)],
];

// The node under a point of the canvas, or null outside the spectrogram.
const nodeAt = (canvas, data, block, px, py) => {
  const { width, height } = frame(canvas, data);
  const column = Math.floor(((px - INK.left) / width) * block.columns);
  const row = Math.floor((1 - (py - INK.top) / height) * block.rows);
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

const drawGround = (pen, canvas, data, block, at, picture) => {
  pen.fillStyle = '#000';
  pen.fillRect(INK.left, INK.top, at.width, at.height);
  pen.imageSmoothingEnabled = false;
  if (picture.complete) pen.drawImage(picture, INK.left, INK.top, at.width, at.height);
  // The outlines of small cells are faint.
  pen.strokeStyle = `rgba(255,255,255,${block.columns > 8 ? 0.07 : 0.3})`;
  pen.lineWidth = 1;
  pen.beginPath();
  for (let c = 1; c < block.columns; c += 1) {
    const x = INK.left + (c / block.columns) * at.width;
    pen.moveTo(x, INK.top);
    pen.lineTo(x, INK.top + at.height);
  }
  for (let r = 1; r < block.rows; r += 1) {
    const y = INK.top + (r / block.rows) * at.height;
    pen.moveTo(INK.left, y);
    pen.lineTo(INK.left + at.width, y);
  }
  pen.stroke();
  pen.fillStyle = getComputedStyle(canvas).color;
  pen.font = '11px system-ui, sans-serif';
  pen.textAlign = 'right';
  pen.textBaseline = 'middle';
  for (const [bin, name] of data.hertz) pen.fillText(name, INK.left - 5, at.y(bin));
  pen.textAlign = 'center';
  pen.textBaseline = 'top';
  for (const [t, name] of data.seconds) pen.fillText(name, at.x(t), INK.top + at.height + 5);
  pen.fillText('time in the segment (s)', INK.left + at.width / 2, INK.top + at.height + 19);
};

// Edges bend to the right as seen from their start, so that edges along one row or column, and
// the two edges between a pair of nodes, do not cover each other.
const bow = (pen, at, from, to) => {
  const [x0, y0, x1, y1] = [at.x(from[0]), at.y(from[1]), at.x(to[0]), at.y(to[1])];
  pen.moveTo(x0, y0);
  pen.quadraticCurveTo((x0 + x1) / 2 - 0.15 * (y1 - y0), (y0 + y1) / 2 + 0.15 * (x1 - x0), x1, y1);
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
  }).sort((a, b) => a.y - b.y);
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
  const side = block.sides[number];
  const at = frame(canvas, data);
  const other = number ? 'appeared' : 'vanished';
  const dashes = number ? [2, 3] : [6, 4];
  const shown = state.hover ?? state.node;
  drawGround(pen, canvas, data, block, at, picture);

  if (state.edges === 'all') {
    const kinds = [[], []];
    side.to.forEach((to, i) => kinds[side.shared[i]].push([Math.floor(i / data.k), to]));
    pen.globalAlpha = shown === null ? 0.9 : 0.65;
    drawEdges(pen, at, block, kinds[0], data.colours[other], 1.2, dashes);
    drawEdges(pen, at, block, kinds[1], data.colours.survived, 1.2, []);
    pen.globalAlpha = 1;
  }
  const radius = Math.max(2.5, Math.min(10, 0.3 * at.width / block.columns, 0.3 * at.height / block.rows));
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

// Shares [n] of clean and degraded as bars side by side; marks are [place 0..1, text] of the axis.
const bars = (pair, colours, marks, unit, label) => {
  const top = Math.max(...pair.flat(), 0.01);
  const step = 300 / pair[0].length;
  const parts = pair.map((shares, side) => shares.map((share, i) => {
    const high = (80 * share) / top;
    return `<rect x="${(34 + i * step + 1 + side * (step / 2 - 1)).toFixed(1)}" ` +
      `y="${(88 - high).toFixed(1)}" width="${(step / 2 - 1.5).toFixed(1)}" ` +
      `height="${high.toFixed(1)}" fill="${colours[side]}"/>`;
  }).join('')).join('');
  const ticks = marks.map(([place, text]) =>
    `<text x="${34 + 300 * place}" y="101" text-anchor="middle">${text}</text>`).join('');
  return `<svg viewBox="0 0 350 118" role="img" aria-label="${label}" font-size="10" ` +
    `fill="currentColor">${parts}<path d="M34 8V88H334" fill="none" stroke="currentColor" ` +
    `opacity=".5"/><text x="30" y="14" text-anchor="end">${Math.round(100 * top)} %</text>` +
    `<text x="30" y="88" text-anchor="end">0</text>${ticks}` +
    `<text x="184" y="114" text-anchor="middle">${unit}</text></svg>`;
};

// Mean edge length by block, a line for clean and one for degraded; a ring marks the shown block.
const depths = (pair, colours, current, unit, label) => {
  const top = Math.max(...pair.flat(), 0.01);
  const x = (i) => (34 + (300 * (i + 0.5)) / pair[0].length).toFixed(1);
  const y = (v) => (58 - (48 * v) / top).toFixed(1);
  const lines = pair.map((means, side) => {
    const dots = means.map((v, i) => `<circle cx="${x(i)}" cy="${y(v)}" r="2.5" ` +
      `fill="${colours[side]}"/>`).join('');
    const ring = `<circle cx="${x(current)}" cy="${y(means[current])}" r="5" fill="none" ` +
      `stroke="${colours[side]}" stroke-width="1.5"/>`;
    return `<polyline points="${means.map((v, i) => `${x(i)},${y(v)}`).join(' ')}" fill="none" ` +
      `stroke="${colours[side]}" stroke-width="1.5"/>${dots}${ring}`;
  }).join('');
  const ticks = pair[0].map((_, i) =>
    `<text x="${x(i)}" y="71" text-anchor="middle">${i + 1}</text>`).join('');
  return `<svg viewBox="0 0 350 86" role="img" aria-label="${label}" font-size="10" ` +
    `fill="currentColor">${lines}<path d="M34 4V58H334" fill="none" stroke="currentColor" ` +
    `opacity=".5"/><text x="30" y="13" text-anchor="end">${top.toPrecision(2)}</text>` +
    `<text x="30" y="60" text-anchor="end">0</text>${ticks}` +
    `<text x="184" y="83" text-anchor="middle">block (mean length in ${unit})</text></svg>`;
};
