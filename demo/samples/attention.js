// Two segments that match: the nodes of one, and how much each looks at those of the other.
const part = (name) => element.querySelector(`[data-part="${name}"]`);
const root = part('root');
const NAMES = ['song', 'track'];
const state = { side: 0, node: 0, head: -1 };
let data = null;

const { clock } = window.grafprint;
const count = () => data.rows * data.columns;

// How bright each node of the other side is for the chosen one, 0 to 1: what is above the mean.
const light = () => {
  const heads = state.head < 0 ? data.heads : [data.heads[state.head]];
  const n = count();
  const sums = Array.from({ length: n }, (_, other) => {
    const [asked, offered] = state.side === 0 ? [state.node, other] : [other, state.node];
    return heads.reduce((sum, head) => sum + head[asked * n + offered], 0);
  });
  const mean = sums.reduce((a, b) => a + b, 0) / n;
  const most = Math.max(...sums) - mean;
  return sums.map((sum) => (most > 0 ? Math.max(0, (sum - mean) / most) : 0));
};

const place = (node) => `row ${Math.floor(node / data.columns) + 1} of ${data.rows} from below, column ${(node % data.columns) + 1} of ${data.columns}`;

const show = () => {
  const other = 1 - state.side;
  const lit = light();
  for (const side of [0, 1]) {
    for (const cell of part(`grid${side}`).children) {
      const node = Number(cell.dataset.node);
      const chosen = side === state.side && node === state.node;
      cell.setAttribute('aria-pressed', chosen);
      cell.style.setProperty('--light', side === other ? lit[node].toFixed(3) : 0);
      cell.tabIndex = chosen || (side === other && node === 0) ? 0 : -1;
    }
  }
  const best = lit.indexOf(Math.max(...lit));
  part('told').textContent = state.side === 0
    ? `This node of the song looks most at ${place(best)} of the track`
    : `The node of the song that looks most at this one: ${place(best)}`;
  Object.assign(root.dataset, { side: state.side, node: state.node, best });
};

const build = () => {
  for (const side of [0, 1]) {
    const grid = part(`grid${side}`);
    grid.style.setProperty('--columns', data.columns);
    grid.style.backgroundImage = `url("${data.pictures[side]}")`;
    const cells = [];
    for (let row = data.rows - 1; row >= 0; row -= 1) {  // low frequencies below
      for (let column = 0; column < data.columns; column += 1) {
        const cell = Object.assign(document.createElement('button'), { type: 'button' });
        cell.dataset.node = row * data.columns + column;
        cell.dataset.side = side;
        cell.setAttribute('aria-label', `${NAMES[side]}: ${place(row * data.columns + column)}`);
        cells.push(cell);
      }
    }
    grid.replaceChildren(...cells);
    part(`name${side}`).textContent = `The ${NAMES[side]} from ${clock(data.starts_s[side])}`;
  }
  const heads = data.heads.map((_, i) => new Option(`${i + 1}`, i));
  part('head').replaceChildren(new Option('all', -1), ...heads);
  part('head').value = state.head;
};

const load = () => {
  data = props.value ? JSON.parse(props.value) : null;
  root.classList.toggle('empty', !data);
  if (!data) return;
  state.node = Math.min(state.node || Math.floor(count() / 2), count() - 1);
  state.head = Math.min(state.head, data.heads.length - 1);
  build();
  show();
};

element.addEventListener('click', (event) => {
  const cell = event.target.closest('button[data-node]');
  if (!cell || !data) return;
  Object.assign(state, { side: Number(cell.dataset.side), node: Number(cell.dataset.node) });
  show();
});
element.addEventListener('keydown', (event) => {
  const cell = event.target.closest('button[data-node]');
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: data?.columns, ArrowDown: -(data?.columns ?? 0) }[event.key];
  if (!cell || !step) return;
  event.preventDefault();
  const node = Number(cell.dataset.node) + step;
  if (node < 0 || node >= count()) return;
  Object.assign(state, { side: Number(cell.dataset.side), node });
  show();
  part(`grid${state.side}`).querySelector(`[data-node="${node}"]`).focus();
});
part('head').addEventListener('change', (event) => {
  state.head = Number(event.target.value);
  if (data) show();
});
watch('value', load);
load();
