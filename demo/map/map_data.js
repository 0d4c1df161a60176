// The points of a map as the server sends them, and look-ups among them.

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
  for (const name of ['density', 'palette', 'shades']) chart[name] = decode(chart[name], Uint8Array);
  chart.size = [chart.x, chart.y].map((v) => v.reduce((a, b) => Math.max(a, b), 0) || 1);
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

// The point nearest to (px, py) on the screen, or -1 if none is within `reach`: the radii, along
// both axes, of what is a circle on the screen.
function nearest({ x, y, grid }, px, py, reach) {
  const clip = (v) => Math.max(0, Math.min(grid.side - 1, Math.floor(v * grid.side)));
  let best = -1;
  let least = 1;
  for (let row = clip(py - reach[1]); row <= clip(py + reach[1]); row++) {
    const begin = grid.starts[row * grid.side + clip(px - reach[0])];
    const end = grid.starts[row * grid.side + clip(px + reach[0]) + 1];
    for (let k = begin; k < end; k++) {
      const i = grid.order[k];
      const distance = ((x[i] - px) / reach[0]) ** 2 + ((y[i] - py) / reach[1]) ** 2;
      if (distance <= least) [best, least] = [i, distance];
    }
  }
  return best;
}

// A table of colours for the theme: on a dark ground they are lighter.
const tone = (table, dark) => (dark ? table.map((v) => v + 0.35 * (255 - v)) : table);

// The colour of each point as one number, ABGR as in an image; `by` as on the page.
function colourPoints(chart, by, dark) {
  const scaled = by === 'time' || by === 'density';
  const table = tone(scaled ? chart.shades : chart.palette, dark);
  const colours = new Uint32Array(chart.count);
  for (let i = 0; i < chart.count; i++) {
    const track = chart.track[i];
    let at = by === 'artist' || by === 'sound' ? chart[by][track] : track;
    if (by === 'time') at = Math.floor((chart.hops[i] * (table.length / 3)) / chart.tracks[track][4]);
    if (by === 'density') at = chart.density[i];
    colours[i] = table[3 * at] | (table[3 * at + 1] << 8) | (table[3 * at + 2] << 16);
  }
  return colours;
}

// Which points lie in a polygon of [x, y] of the map, as a Uint8Array.
function pointsInside(chart, polygon) {
  const inside = new Uint8Array(chart.count);
  const [xs, ys] = [0, 1].map((axis) => polygon.map((corner) => corner[axis]));
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  for (let i = 0; i < chart.count; i++) {
    const [x, y] = [chart.x[i], chart.y[i]];
    if (x < left || x > right || y < top || y > bottom) continue;
    for (let a = 0, b = xs.length - 1; a < xs.length; b = a++)
      if (ys[a] > y !== ys[b] > y && x < ((xs[b] - xs[a]) * (y - ys[a])) / (ys[b] - ys[a]) + xs[a])
        inside[i] ^= 1;
  }
  return inside;
}

// The chosen points as tracks with their passages [from, to] in seconds, those with most points
// first. Segments last a second, and those that touch are one passage.
function passagesOf(chart, chosen) {
  const rows = new Map();
  for (let i = 0; i < chart.count; i++) {
    if (!chosen[i]) continue;
    const number = chart.track[i];
    const [id, title, artist, , , album] = chart.tracks[number];
    if (!rows.has(number)) rows.set(number, { id, title, artist, album, points: 0, passages: [], hop: chart.hops[i] });
    const row = rows.get(number);
    const from = chart.hops[i] * chart.hop;
    const last = row.passages.at(-1);
    if (last && from <= last[1]) last[1] = from + 1;
    else row.passages.push([from, from + 1]);
    row.points += 1;
  }
  const round = (s) => Math.round(100 * s) / 100;
  for (const row of rows.values()) row.passages = row.passages.map((p) => p.map(round));
  return [...rows.values()].sort((a, b) => b.points - a.points);
}
