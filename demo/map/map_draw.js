// Draws the map: points as pixels, under them where they crowd, and over them the names of regions,
// the paths and what is selected.
// A view is {x, y, zoom}: the point of the map (0 to 1) in the middle of the canvas, and the zoom.

const FILL = 0.94; // share of the canvas that the whole map takes at zoom 1
const STRETCH = 1.6; // at most, of one axis over the other, to fill the canvas
const BIN = 5; // CSS pixels of a cell of the density
const BANDS = 4;
const MOST_LABELS = 60;
const LEVEL_ZOOMS = [2, 4.5]; // from which on the next level of names is shown

// Pixels on the canvas per unit of the map, along both axes.
function scaleOf(canvas, view, { size }) {
  const [x, y] = [canvas.width / size[0], canvas.height / size[1]].map((v) => FILL * v * view.zoom);
  return [Math.min(x, STRETCH * y), Math.min(y, STRETCH * x)];
}

function project(canvas, view, chart, x, y) {
  const [across, down] = scaleOf(canvas, view, chart);
  return [canvas.width / 2 + (x - view.x) * across, canvas.height / 2 + (y - view.y) * down];
}

// Draws all points as discs by writing pixels: ten times as fast as drawing circles. Points that
// are not `lit` (null: all are) are faint. `opacity` is [faint, others].
function drawPoints(canvas, chart, colours, view, lit, opacity, ratio) {
  const { width, height } = canvas;
  const context = canvas.getContext('2d');
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const radius = ratio * Math.min(4.5, 1.15 * view.zoom ** 0.45);
  const whole = Math.ceil(radius);
  const disc = [];
  for (let dy = -whole; dy <= whole; dy++)
    for (let dx = -whole; dx <= whole; dx++)
      if (dx * dx + dy * dy <= radius * radius) disc.push(dy * width + dx);
  const [across, down] = scaleOf(canvas, view, chart);
  const left = width / 2 - view.x * across;
  const top = height / 2 - view.y * down;
  const pass = (wanted, alpha) => {
    for (let i = 0; i < chart.count; i++) {
      if (lit && !lit[i] === wanted) continue;
      const px = Math.round(left + chart.x[i] * across);
      const py = Math.round(top + chart.y[i] * down);
      if (px < whole || py < whole || px >= width - whole || py >= height - whole) continue;
      const colour = (colours[i] | (alpha << 24)) >>> 0;
      for (let k = 0; k < disc.length; k++) pixels[py * width + px + disc[k]] = colour;
    }
  };
  if (lit) pass(false, Math.round(255 * opacity[0]));
  pass(true, Math.round(255 * opacity[1]));
  context.putImageData(image, 0, 0);
}

// Shades where points crowd, as on a map of heights: in bands, on a small canvas that the style
// sheet enlarges. `screen` is the canvas of the points, `ink` the colour [r, g, b].
function drawDensity(canvas, screen, chart, view, ratio, ink) {
  const cell = BIN * ratio;
  const [wide, high] = [screen.width, screen.height].map((v) => Math.max(1, Math.ceil(v / cell)));
  if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
  let grid = new Float32Array(wide * high);
  const [across, down] = scaleOf(screen, view, chart);
  for (let i = 0; i < chart.count; i++) {
    const column = Math.floor((screen.width / 2 + (chart.x[i] - view.x) * across) / cell);
    const row = Math.floor((screen.height / 2 + (chart.y[i] - view.y) * down) / cell);
    if (column >= 0 && row >= 0 && column < wide && row < high) grid[row * wide + column] += 1;
  }
  for (const step of [1, wide, 1, wide]) grid = blurred(grid, step, wide);
  const most = Math.log1p(grid.reduce((a, b) => Math.max(a, b), 0)) || 1;
  const context = canvas.getContext('2d');
  const image = context.createImageData(wide, high);
  grid.forEach((crowd, i) => {
    const band = Math.ceil(BANDS * (Math.log1p(crowd) / most) - 0.3) / BANDS;
    image.data.set([...ink, Math.max(0, 70 * band)], 4 * i);
  });
  context.putImageData(image, 0, 0);
}

// The mean of five cells along rows (step 1) or columns (step: cells a row).
function blurred(grid, step, wide) {
  const result = new Float32Array(grid.length);
  for (let i = 0; i < grid.length; i++) {
    let sum = 0;
    for (let k = -2; k <= 2; k++) {
      const j = i + k * step;
      const inside = step === 1 ? Math.floor(j / wide) === Math.floor(i / wide) : j >= 0 && j < grid.length;
      if (inside) sum += grid[j];
    }
    result[i] = sum / 5;
  }
  return result;
}

// Writes the names of regions, those with the most points first, where they do not cover others.
// Returns the names.
function drawLabels(canvas, chart, view, ratio, style) {
  const context = canvas.getContext('2d');
  const level = LEVEL_ZOOMS.filter((zoom) => view.zoom >= zoom).length;
  const taken = [];
  const names = [];
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.lineJoin = 'round';
  for (const [x, y, , kind, name] of chart.regions[level]) {
    if (names.length >= MOST_LABELS) break;
    const size = ratio * (kind === 'track' ? 11 : 13);
    context.font = `${kind === 'track' ? 500 : 700} ${size}px system-ui, sans-serif`;
    const text = name.length > 26 ? `${name.slice(0, 25)}…` : name;
    const [px, py] = project(canvas, view, chart, x, y);
    const half = [context.measureText(text).width / 2 + 3 * ratio, 0.7 * size];
    const box = [px - half[0], py - half[1], px + half[0], py + half[1]];
    if (box[0] < 0 || box[1] < 0 || box[2] > canvas.width || box[3] > canvas.height) continue;
    if (taken.some((b) => box[0] < b[2] && b[0] < box[2] && box[1] < b[3] && b[1] < box[3])) continue;
    taken.push(box);
    names.push(name);
    context.strokeStyle = style.ground;
    context.lineWidth = 4 * ratio;
    context.strokeText(text, px, py);
    context.fillStyle = style.ink;
    context.fillText(text, px, py);
  }
  return names;
}

// Draws the paths of queries, the lasso, and rings around the points that are pointed at or picked
// and the neighbours of the latter.
function drawOver(canvas, chart, trails, view, marks, ratio, style) {
  const context = canvas.getContext('2d');
  context.lineJoin = context.lineCap = 'round';
  const place = (i) => project(canvas, view, chart, chart.x[i], chart.y[i]);
  const stroke = (places, ink, width) => {
    context.strokeStyle = ink;
    context.lineWidth = width * ratio;
    context.beginPath();
    places.forEach(([x, y]) => context.lineTo(x, y));
    context.stroke();
  };
  for (const { colour, points } of trails) {
    const places = points.filter(Boolean).map(([x, y]) => project(canvas, view, chart, x, y));
    if (!places.length) continue;
    // A rim in the background's colour sets the line off from the points.
    stroke(places, style.ground, 4.5);
    stroke(places, colour, 2);
    places.forEach((at, i) => dot(context, at, ratio * (i ? 2.6 : 6.5), colour, style.ground));
    dot(context, places[0], ratio * 2.6, style.ground, colour);
  }
  const ring = (i, radius, width) => {
    context.strokeStyle = style.ink;
    context.lineWidth = width * ratio;
    context.beginPath();
    context.arc(...place(i), radius * ratio, 0, 2 * Math.PI);
    context.stroke();
  };
  if (marks.picked >= 0) {
    for (const [i] of marks.neighbours) {
      stroke([place(marks.picked), place(i)], style.ground, 3);
      stroke([place(marks.picked), place(i)], style.ink, 1);
      ring(i, 5, 1.5);
    }
    ring(marks.picked, 8, 3);
  }
  if (marks.pointed >= 0) ring(marks.pointed, 7, 2);
  if (marks.lasso) {
    const places = marks.lasso.map(([x, y]) => project(canvas, view, chart, x, y));
    context.setLineDash([5 * ratio, 4 * ratio]);
    stroke([...places, places[0]], style.ink, 1.5);
    context.setLineDash([]);
  }
}

function dot(context, [x, y], radius, fill, rim) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = fill;
  context.fill();
  context.lineWidth = 1;
  context.strokeStyle = rim;
  context.stroke();
}
