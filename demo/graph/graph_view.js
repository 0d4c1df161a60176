// The tab Graph: zooming and moving both pictures, and hearing the second or a node's patch.

const MOST_ZOOM = 16;
const SLACK = 5; // pixels that a pointer may move in a click
let grabbed = null; // where a drag was last
let moved = false;

const setView = (left, bottom, zoom) => {
  const most = 1 - 1 / zoom;
  const kept = (v) => Math.max(0, Math.min(most, v));
  state.view = { left: kept(left), bottom: kept(bottom), zoom };
  for (const canvas of canvases) canvas.style.touchAction = zoom > 1 ? 'none' : '';
  redraw();
};

// The shares of the whole where a node is.
const shareOf = ({ rows, columns }, node) => [
  ((node % columns) + 0.5) / columns, (Math.floor(node / columns) + 0.5) / rows,
];

// Zooms around a place (shares of the whole); without one, the selected node becomes the middle.
const zoomBy = (factor, place) => {
  const { left, bottom, zoom } = state.view;
  const next = Math.max(1, Math.min(MOST_ZOOM, zoom * factor));
  if (!place && state.node !== null) {
    const [x, y] = shareOf(data.blocks[state.block], state.node);
    setView(x - 0.5 / next, y - 0.5 / next, next);
    return;
  }
  const [x, y] = place ?? [left + 0.5 / zoom, bottom + 0.5 / zoom];
  setView(x - ((x - left) * zoom) / next, y - ((y - bottom) * zoom) / next, next);
};

// Moves the view to the selected node if that is out of sight.
const showSelected = () => {
  if (state.node !== null) {
    const { left, bottom, zoom } = state.view;
    const [x, y] = shareOf(data.blocks[state.block], state.node);
    const inside = (v, from) => v >= from && v <= from + 1 / zoom;
    if (!inside(x, left) || !inside(y, bottom)) {
      setView(x - 0.5 / zoom, y - 0.5 / zoom, zoom);
      return;
    }
  }
  redraw();
};

// Whether the click that is being handled ended a drag.
const dragged = () => moved;

const hear = (what, side) => {
  const node = what === 'patch' ? state.node : null;
  if (data && (what !== 'patch' || node !== null)) trigger('hear', { side, block: state.block, node });
};

canvases.forEach((canvas, side) => {
  canvas.addEventListener('pointerdown', (event) => {
    grabbed = [event.clientX, event.clientY];
    moved = false;
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!grabbed || !event.buttons || !data || state.view.zoom === 1) return;
    const [dx, dy] = [event.clientX - grabbed[0], event.clientY - grabbed[1]];
    if (!moved && Math.hypot(dx, dy) < SLACK) return;
    if (!moved) canvas.setPointerCapture(event.pointerId);
    moved = true;
    grabbed = [event.clientX, event.clientY];
    const { left, bottom, zoom } = state.view;
    const at = frame(canvas, data, state.view);
    setView(left - dx / at.width / zoom, bottom + dy / at.height / zoom, zoom);
  });
  for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, () => { grabbed = null; });
  canvas.addEventListener('wheel', (event) => {
    if (!data || !(event.ctrlKey || event.metaKey)) return; // the page scrolls
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    const place = sharesAt(canvas, state.view, event.clientX - box.left, event.clientY - box.top);
    zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.004)), place);
  }, { passive: false });
  canvas.addEventListener('keydown', (event) => {
    if (!data || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === '+' || event.key === '=') zoomBy(1.5);
    else if (event.key === '-') zoomBy(1 / 1.5);
    else if (event.key === '0') setView(0, 0, 1);
    else if (event.key === 'Enter' || event.key === ' ') hear('patch', side);
    else return;
    event.preventDefault();
  });
});
root.addEventListener('click', (event) => {
  const { hear: what, side, zoom } = event.target.closest('button')?.dataset ?? {};
  if (what) hear(what, Number(side));
  if (!zoom || !data) return;
  if (Number(zoom)) zoomBy(Number(zoom));
  else setView(0, 0, 1);
});
