// Draws the map: points as pixels, and over them the paths and the selected point.
// A view is {x, y, zoom}: the point of the map (0 to 1) in the middle of the canvas, and the zoom.

const FILL = 0.94; // share of the canvas's shorter side that the whole map takes at zoom 1

// Base64 as a typed array (Uint16Array, ...); little-endian, like all machines with browsers.
const decode = (text, Kind) => new Kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);

// The points of a chart's JSON in typed arrays, with a grid for look-ups.
function readChart(text) {
  const chart = JSON.parse(text);
  const xy = decode(chart.xy, Uint16Array);
  const count = xy.length / 2;
  chart.count = count;
  chart.x = new Float32Array(count);
  chart.y = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    chart.x[i] = xy[2 * i] / 65535;
    chart.y[i] = xy[2 * i + 1] / 65535;
  }
  chart.hops = decode(chart.hops, Uint32Array);
  chart.palette = decode(chart.palette, Uint8Array);
  chart.shades = decode(chart.shades, Uint8Array);
  chart.middle = [chart.x, chart.y].map((v) => v.reduce((a, b) => Math.max(a, b), 0) / 2);
  chart.track = new Uint32Array(count);
  let at = 0;
  chart.tracks.forEach(([, , , points], number) => chart.track.fill(number, at, (at += points)));
  chart.grid = makeGrid(chart, 128);
  return chart;
}

// The points sorted by cell: those of cell c are order[starts[c]] to order[starts[c + 1] - 1].
function makeGrid({ count, x, y }, side) {
  const cell = (v) => Math.min(side - 1, Math.floor(v * side));
  const starts = new Uint32Array(side * side + 1);
  for (let i = 0; i < count; i++) starts[cell(y[i]) * side + cell(x[i]) + 1]++;
  for (let c = 0; c < side * side; c++) starts[c + 1] += starts[c];
  const next = starts.slice();
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[next[cell(y[i]) * side + cell(x[i])]++] = i;
  return { side, starts, order };
}

// The point nearest to (px, py) within reach, or -1.
function nearest({ x, y, grid }, px, py, reach) {
  const clip = (v) => Math.max(0, Math.min(grid.side - 1, Math.floor(v * grid.side)));
  let best = -1;
  let least = reach * reach;
  for (let row = clip(py - reach); row <= clip(py + reach); row++) {
    const begin = grid.starts[row * grid.side + clip(px - reach)];
    const end = grid.starts[row * grid.side + clip(px + reach) + 1];
    for (let k = begin; k < end; k++) {
      const i = grid.order[k];
      const distance = (x[i] - px) ** 2 + (y[i] - py) ** 2;
      if (distance <= least) [best, least] = [i, distance];
    }
  }
  return best;
}

// The colour of each point as one number, ABGR as in an image; `by` is track, artist or time.
function colourPoints(chart, by) {
  const colours = new Uint32Array(chart.count);
  for (let i = 0; i < chart.count; i++) {
    const track = chart.track[i];
    let table = chart.palette;
    let at = by === 'artist' ? chart.artist[track] : track;
    if (by === 'time') {
      table = chart.shades;
      at = Math.floor((chart.hops[i] * (table.length / 3)) / chart.tracks[track][4]);
    }
    colours[i] = table[3 * at] | (table[3 * at + 1] << 8) | (table[3 * at + 2] << 16);
  }
  return colours;
}

// Pixels on the canvas per unit of the map, and the pixel of a point of the map.
const scaleOf = (canvas, view) => FILL * Math.min(canvas.width, canvas.height) * view.zoom;
function project(canvas, view, x, y) {
  const scale = scaleOf(canvas, view);
  return [canvas.width / 2 + (x - view.x) * scale, canvas.height / 2 + (y - view.y) * scale];
}

// Draws all points as discs by writing pixels: ten times as fast as drawing circles. Points of
// tracks that are not in `front` are faint; null: none are. `opacity` is [faint, others].
function drawPoints(canvas, chart, colours, view, front, opacity, ratio) {
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
  const scale = scaleOf(canvas, view);
  const left = width / 2 - view.x * scale;
  const top = height / 2 - view.y * scale;
  const pass = (wanted, alpha) => {
    for (let i = 0; i < chart.count; i++) {
      if (front && front[chart.track[i]] !== wanted) continue;
      const px = Math.round(left + chart.x[i] * scale);
      const py = Math.round(top + chart.y[i] * scale);
      if (px < whole || py < whole || px >= width - whole || py >= height - whole) continue;
      const colour = (colours[i] | (alpha << 24)) >>> 0;
      for (let k = 0; k < disc.length; k++) pixels[py * width + px + disc[k]] = colour;
    }
  };
  if (front) pass(false, Math.round(255 * opacity[0]));
  pass(true, Math.round(255 * opacity[1]));
  context.putImageData(image, 0, 0);
}

// Draws the paths of queries, and a ring around the selected point.
function drawOver(canvas, chart, trails, view, pointed, ratio, style) {
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.lineJoin = context.lineCap = 'round';
  for (const { colour, points } of trails) {
    const places = points.filter(Boolean).map(([x, y]) => project(canvas, view, x, y));
    if (!places.length) continue;
    // A rim in the background's colour sets the line off from the points.
    for (const [ink, width] of [[style.ground, 4.5], [colour, 2]]) {
      context.strokeStyle = ink;
      context.lineWidth = width * ratio;
      context.beginPath();
      places.forEach(([x, y]) => context.lineTo(x, y));
      context.stroke();
    }
    places.forEach((place, i) => dot(context, place, ratio * (i ? 2.6 : 6.5), colour, style.ground));
    dot(context, places[0], ratio * 2.6, style.ground, colour);
  }
  if (pointed >= 0) {
    const [x, y] = project(canvas, view, chart.x[pointed], chart.y[pointed]);
    context.strokeStyle = style.ink;
    context.lineWidth = 2 * ratio;
    context.beginPath();
    context.arc(x, y, 7 * ratio, 0, 2 * Math.PI);
    context.stroke();
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
