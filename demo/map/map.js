// The tab Map: its state, the view, pointer and keyboard. The files before it draw, and fill the
// panel at the side. `props.value` is JSON: the library's name, the version of its map, and the
// paths. The points are fetched from the server once per map.

const MOST_ZOOM = 80;
const REACH = 12; // pixels from the pointer to a point

const pointers = new Map();
let chart = null;
let shown = {};
let colours = null;
let dark = null; // the theme that the colours are for
let view = { x: 0.5, y: 0.5, zoom: 1 };
let matches = null; // whether each track is highlighted, by number; null: no highlighting
let chosen = null; // whether each point is selected; null: none are
let lit = null; // whether each point is to stand out: highlighted and selected
let pointed = -1;
let picked = -1; // the point whose card is shown
let neighbours = []; // of it: [point, similarity]
let lasso = null; // its corners on the map
let lassoing = false; // whether a drag draws
let pressed = null; // where the pointer went down, until it moves
let stale = { points: false, over: false };

const pixelRatio = () => Math.min(2, window.devicePixelRatio || 1);
const scale = () => scaleOf(points, view, chart).map((v) => v / pixelRatio());
const toMap = (x, y) => {
  const [across, down] = scale();
  return [(x - over.clientWidth / 2) / across + view.x, (y - over.clientHeight / 2) / down + view.y];
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
  if (dark !== isDark()) {
    colour(root.dataset.by);
    now.points = true;
  }
  const style = { ink: dark ? '#f1f5f9' : '#0f172a', ground: dark ? '#0b1120' : '#f8fafc' };
  if (now.points) {
    const opacity = [dark ? 0.3 : 0.22, lit || !shown.trails.length ? 1 : 0.85];
    drawPoints(points, chart, colours, view, lit, opacity, ratio);
    density.hidden = !pressedTool('density');
    if (!density.hidden) drawDensity(density, points, chart, view, ratio, dark ? [148, 163, 184] : [71, 85, 105]);
  }
  over.getContext('2d').clearRect(0, 0, width, height);
  const names = pressedTool('labels') ? drawLabels(over, chart, view, ratio, style) : [];
  root.dataset.names = JSON.stringify(names);
  drawOver(over, chart, shown.trails, view, { pointed, picked, neighbours, lasso }, ratio, style);
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

const showAll = () => setView({ x: chart.size[0] / 2, y: chart.size[1] / 2, zoom: 1 });

// Points at the point nearest to pixel (x, y) and shows its label.
function pointAt(x, y) {
  const found = nearest(chart, ...toMap(x, y), scale().map((v) => REACH / v));
  tip.hidden = found < 0;
  if (found >= 0) {
    tip.textContent = line.textContent = describe(found);
    tip.style.left = `${Math.max(4, Math.min(x + 14, over.clientWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${y > over.clientHeight - 60 ? y - tip.offsetHeight - 12 : y + 16}px`;
  }
  over.style.cursor = lassoing ? 'crosshair' : found < 0 ? 'grab' : 'pointer';
  if (found === pointed) return;
  pointed = found;
  redraw(false);
}

// One pointer drags, selects or draws the lasso, two pinch.
const at = (event) => {
  const box = over.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
over.addEventListener('pointerdown', (event) => {
  over.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, at(event));
  pressed = pointers.size === 1 ? at(event) : null;
  lasso = null;
  if (chart && pressed && (lassoing || event.shiftKey)) lasso = [toMap(...pressed)];
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
    lasso = null;
    const apart = (p) => Math.max(10, Math.hypot(p[0] - other[0], p[1] - other[1]));
    zoomBy(apart([x, y]) / apart(last), (x + other[0]) / 2, (y + other[1]) / 2);
  } else if (lasso) {
    lasso.push(toMap(x, y));
    redraw(false);
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
      pick(pointed);
    } else if (kind === 'pointerup' && lasso?.length > 2) {
      choose(pointsInside(chart, lasso));
      setTool('lasso', (lassoing = false));
    }
    pressed = lasso = null;
    redraw(false);
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
const inView = () => {
  const corners = [[0, 0], [1, 0], [1, 1], [0, 1]];
  return corners.map(([x, y]) => toMap(x * over.clientWidth, y * over.clientHeight));
};
over.addEventListener('keydown', (event) => {
  if (!chart || event.ctrlKey || event.metaKey || event.altKey) return;
  const move = MOVES[event.key];
  const step = move?.map((v) => (0.08 * v) / view.zoom);
  if (move) setView({ x: view.x + step[0], y: view.y + step[1] });
  else if (event.key === '+' || event.key === '=') zoomBy(1.4);
  else if (event.key === '-') zoomBy(1 / 1.4);
  else if (event.key === '0') showAll();
  else if (event.key === 'l' || event.key === 'L') choose(pointsInside(chart, inView()));
  else if (event.key === 'Escape') clearSelection();
  else if (event.key !== 'Enter' && event.key !== ' ') return;
  event.preventDefault();
  if (event.key === 'Escape' || event.key.toLowerCase() === 'l') return;
  pointAt(over.clientWidth / 2, over.clientHeight / 2);
  if (event.key === 'Enter' || event.key === ' ') pick(pointed);
});

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
    search.value = '';
    matches = null;
    pointed = -1;
    clearSelection();
  }
  shown = next;
  if (other) {
    suggest();
    colour(root.dataset.by);
    showAll();
  }
  root.dataset.points = chart.count; // tells scripts that the map is ready
  root.dataset.trails = next.trails.length;
  redraw(true);
}
watch('value', follow);
new ResizeObserver(() => redraw(false)).observe(over);
new MutationObserver(() => redraw(true)).observe(document.body, { attributes: true, attributeFilter: ['class'] });
follow();
