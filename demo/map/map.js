// The tab Map: pointer, keyboard and search. map_draw.js, which precedes it, draws.
// `props.value` is JSON: the library's name, the version of its map, and the paths. The points are
// fetched from the server once per map.

const MOST_ZOOM = 80;
const MOST_NAMED = 200; // in the legend and among the suggestions
const REACH = 12; // pixels from the pointer to a point

const find = (name) => element.querySelector(`.gp-map${name}`);
const [root, points, over, tip, line, key] = ['', '-points', '-over', '-tip', '-line', '-key'].map(find);
const search = root.querySelector('input');
const pointers = new Map();
let chart = null;
let shown = {};
let colours = null;
let view = { x: 0.5, y: 0.5, zoom: 1 };
let front = null; // whether each track is highlighted, by number; null: no highlighting
let pointed = -1;
let pressed = null; // where the pointer went down, until it moves
const intro = line.textContent;
let stale = { points: false, over: false };

const label = (track) => (track[2] ? `${track[1]}, ${track[2]}` : track[1]);
const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, '0')}`;
const describe = (i) => `${label(chart.tracks[chart.track[i]])}, at ${clock(chart.hops[i] * chart.hop)}`;
const pixelRatio = () => Math.min(2, window.devicePixelRatio || 1);
const toMap = (x, y) => {
  const scale = scaleOf(points, view) / pixelRatio();
  return [(x - over.clientWidth / 2) / scale + view.x, (y - over.clientHeight / 2) / scale + view.y];
};

// Draws at most once per frame.
function redraw(withPoints) {
  if (!stale.over) requestAnimationFrame(draw);
  stale = { points: stale.points || withPoints, over: true };
}

function draw() {
  const now = stale;
  stale = { points: false, over: false };
  const ratio = pixelRatio();
  const [width, height] = [over.clientWidth, over.clientHeight].map((v) => Math.round(v * ratio));
  if (!chart || !width || !height) return;
  if (over.width !== width || over.height !== height) {
    for (const canvas of [points, over]) [canvas.width, canvas.height] = [width, height];
    now.points = true;
  }
  const opacity = [0.2, front || !shown.trails.length ? 1 : 0.5]; // keeps paths visible
  if (now.points) drawPoints(points, chart, colours, view, front, opacity, ratio);
  const computed = getComputedStyle(root);
  const style = { ink: computed.color, ground: computed.getPropertyValue('--background-fill-primary') };
  drawOver(over, chart, shown.trails, view, pointed, ratio, style);
}

function setView(next) {
  view = {
    x: Math.max(0, Math.min(1, next.x ?? view.x)),
    y: Math.max(0, Math.min(1, next.y ?? view.y)),
    zoom: Math.max(1, Math.min(MOST_ZOOM, next.zoom ?? view.zoom)),
  };
  redraw(true);
}

// Zooms around pixel (x, y), by default the middle.
function zoomBy(factor, x = over.clientWidth / 2, y = over.clientHeight / 2) {
  const before = toMap(x, y);
  setView({ zoom: view.zoom * factor });
  const after = toMap(x, y);
  setView({ x: view.x + before[0] - after[0], y: view.y + before[1] - after[1] });
}

const showAll = () => setView({ x: chart.middle[0], y: chart.middle[1], zoom: 1 });

// Selects the point nearest to pixel (x, y) and shows its label.
function pointAt(x, y) {
  const reach = (REACH * pixelRatio()) / scaleOf(points, view);
  const found = nearest(chart, ...toMap(x, y), reach);
  tip.hidden = found < 0;
  if (found >= 0) {
    tip.textContent = line.textContent = describe(found);
    tip.style.left = `${Math.max(4, Math.min(x + 14, over.clientWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${y > over.clientHeight - 60 ? y - tip.offsetHeight - 12 : y + 16}px`;
  }
  over.style.cursor = found < 0 ? 'grab' : 'pointer';
  if (found === pointed) return;
  pointed = found;
  redraw(false);
}

function play() {
  if (pointed < 0) return;
  trigger('pick', { track: chart.tracks[chart.track[pointed]][0], hop: chart.hops[pointed] });
}

// One pointer drags or selects, two pinch.
const at = (event) => {
  const box = over.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
over.addEventListener('pointerdown', (event) => {
  over.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, at(event));
  pressed = pointers.size === 1 ? at(event) : null;
});
over.addEventListener('pointermove', (event) => {
  if (!chart) return;
  const [x, y] = at(event);
  const last = pointers.get(event.pointerId);
  if (!last) return pointAt(x, y);
  if (pressed && Math.hypot(x - pressed[0], y - pressed[1]) < 5) return;
  pressed = null;
  tip.hidden = true;
  const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
  pointers.set(event.pointerId, [x, y]);
  if (other) {
    const apart = (p) => Math.max(10, Math.hypot(p[0] - other[0], p[1] - other[1]));
    zoomBy(apart([x, y]) / apart(last), (x + other[0]) / 2, (y + other[1]) / 2);
  } else {
    const [from, to] = [toMap(...last), toMap(x, y)];
    setView({ x: view.x + from[0] - to[0], y: view.y + from[1] - to[1] });
  }
});
for (const kind of ['pointerup', 'pointercancel'])
  over.addEventListener(kind, (event) => {
    pointers.delete(event.pointerId);
    if (kind === 'pointerup' && pressed && chart) {
      pointAt(...pressed);
      play();
    }
    pressed = null;
  });
over.addEventListener('pointerleave', () => {
  tip.hidden = true;
  pointed = -1;
  redraw(false);
});
over.addEventListener('wheel', (event) => {
  // When the map is zoomed out fully, the page scrolls.
  if (!chart || (event.deltaY > 0 && view.zoom <= 1)) return;
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), ...at(event));
}, { passive: false });

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
over.addEventListener('keydown', (event) => {
  if (!chart || event.ctrlKey || event.metaKey || event.altKey) return;
  const move = MOVES[event.key];
  if (move) setView({ x: view.x + (0.08 * move[0]) / view.zoom, y: view.y + (0.08 * move[1]) / view.zoom });
  else if (event.key === '+' || event.key === '=') zoomBy(1.4);
  else if (event.key === '-') zoomBy(1 / 1.4);
  else if (event.key === '0') showAll();
  else if (event.key !== 'Enter' && event.key !== ' ') return;
  event.preventDefault();
  pointAt(over.clientWidth / 2, over.clientHeight / 2);
  if (event.key === 'Enter' || event.key === ' ') play();
});
root.querySelector('.gp-map-tools').addEventListener('click', (event) => {
  const act = { in: () => zoomBy(1.6), out: () => zoomBy(1 / 1.6), all: showAll };
  if (chart) act[event.target.dataset.do]?.();
});

// Highlights tracks whose name or artist is the text, or else those that contain all its words.
function highlight() {
  const wanted = search.value.trim().toLowerCase();
  const words = wanted.split(/[\s,]+/).filter(Boolean);
  const texts = chart.tracks.map((track) => [label(track), track[2]].map((t) => t.toLowerCase()));
  const exact = texts.some((text) => text.includes(wanted));
  const fits = (text) => (exact ? text.includes(wanted) : words.every((w) => text[0].includes(w)));
  const found = texts.map(fits);
  front = words.length ? found : null;
  line.textContent = front
    ? `${found.filter(Boolean).length} of ${found.length} tracks match.` : intro;
  for (const button of key.querySelectorAll('button'))
    button.setAttribute('aria-pressed', String(!!front && button.dataset.words === search.value));
  redraw(true);
}
search.addEventListener('input', () => chart && highlight());
key.addEventListener('click', (event) => {
  const words = event.target.closest('button')?.dataset.words;
  if (words === undefined) return;
  search.value = search.value === words ? '' : words;
  highlight();
});

// Colours the points and fills the legend: names to click, or the time scale of a track.
function colour(by) {
  root.dataset.by = by;
  if (!chart) return;
  colours = colourPoints(chart, by);
  const rgb = (table, i) => `rgb(${table.slice(3 * i, 3 * i + 3).join(' ')})`;
  key.replaceChildren();
  if (by === 'time') {
    const bar = document.createElement('span');
    const stops = [0, 64, 128, 192, 255].map((i) => rgb(chart.shades, i));
    bar.className = 'gp-map-bar';
    bar.style.background = `linear-gradient(to right, ${stops.join(', ')})`;
    key.append('start of the track', bar, 'end');
  } else {
    const names = new Map();
    chart.tracks.forEach((track, i) => {
      const [name, at] = by === 'artist' ? [track[2], chart.artist[i]] : [label(track), i];
      names.set(at, name || 'unknown artist');
    });
    for (const [i, name] of [...names].slice(0, MOST_NAMED)) {
      const button = document.createElement('button');
      const swatch = document.createElement('i');
      swatch.style.background = rgb(chart.palette, i);
      Object.assign(button, { type: 'button', title: 'Highlight' });
      button.dataset.words = name;
      button.append(swatch, name);
      key.append(button);
    }
    if (names.size > MOST_NAMED) key.append(`and ${names.size - MOST_NAMED} more`);
  }
  highlight();
}
root.addEventListener('colour', (event) => colour(event.detail));

// A new value brings other paths and, for another map, other points. Values are shown one after
// another, so that a map that loads slowly does not overwrite a later one.
let busy = false;
let followed = '';
async function follow() {
  if (busy) return;
  busy = true;
  try {
    while (props.value && props.value !== followed) {
      followed = props.value;
      await show(JSON.parse(followed));
    }
  } finally {
    busy = false;
  }
}

async function show(next) {
  const other = next.library !== shown.library || next.map !== shown.map;
  if (other) {
    chart = readChart(await server.chart_text(next.library));
    const names = chart.tracks.slice(0, MOST_NAMED).map((track) => new Option(label(track)));
    root.querySelector('datalist').replaceChildren(...names);
    pointed = -1;
    search.value = '';
  }
  shown = next;
  if (other) {
    colour(root.dataset.by);
    showAll();
  }
  root.dataset.points = chart.count; // tells scripts that the map is ready
  root.dataset.trails = next.trails.length;
  redraw(true);
}
watch('value', follow);
new ResizeObserver(() => redraw(false)).observe(over);
follow();
