// What is around the map: tools, search, legend, the card of a point, and the table of a selection.

const MOST_NAMED = 2000; // in the legend
const MOST_SUGGESTED = 200;
const MOST_ROWS = 200; // of the table; files have all
const MOST_PASSAGES = 6; // in a row of it

const find = (name) => element.querySelector(`.gp-map${name}`);
const [root, points, over, density, tip, line, key, card, table] = ['', '-points', '-over',
  '-density', '-tip', '-line', '-key', '-point', '-chosen'].map(find);
const search = root.querySelector('input');
const intro = line.textContent;

const isDark = () => Boolean(root.closest('.dark'));
const label = (track) => (track[2] ? `${track[1]}, ${track[2]}` : track[1]);
const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, '0')}`;
const describe = (i) => `${label(chart.tracks[chart.track[i]])}, at ${clock(chart.hops[i] * chart.hop)}`;
const passageAt = (i) => ({ track: chart.tracks[chart.track[i]][0], hop: chart.hops[i] });
const tool = (name) => root.querySelector(`.gp-map-tools [data-do=${name}]`);
const pressedTool = (name) => tool(name).getAttribute('aria-pressed') === 'true';
const setTool = (name, on) => tool(name).setAttribute('aria-pressed', String(on));
const button = (text, act) => {
  const made = Object.assign(document.createElement('button'), { type: 'button', textContent: text });
  made.addEventListener('click', act);
  return made;
};

// Points stand out if their track is highlighted and they are selected.
function light() {
  lit = null;
  if (matches || chosen) {
    lit = new Uint8Array(chart.count);
    for (let i = 0; i < chart.count; i++)
      lit[i] = (!matches || matches[chart.track[i]]) && (!chosen || chosen[i]) ? 1 : 0;
  }
  redraw(true);
}

// Highlights tracks whose name, artist or sound is the text, or else those that contain all its words.
// An empty text shows all again.
function highlight() {
  const wanted = search.value.trim().toLowerCase();
  const words = wanted.split(/[\s,]+/).filter(Boolean);
  const texts = chart.tracks.map((track, i) =>
    [label(track), track[2], chart.sounds[i] || 'not tagged'].map((t) => t.toLowerCase()));
  const exact = texts.some((text) => text.includes(wanted));
  const fits = (text) => (exact ? text.includes(wanted) : words.every((w) => text[0].includes(w)));
  const found = texts.map(fits);
  matches = words.length ? found : null;
  line.textContent = matches
    ? `${found.filter(Boolean).length} of ${found.length} tracks match.` : intro;
  for (const entry of key.querySelectorAll('button'))
    entry.setAttribute('aria-pressed', String(!!matches && entry.dataset.words === search.value));
  light();
}
search.addEventListener('input', () => chart && highlight());
key.addEventListener('click', (event) => {
  const words = event.target.closest('button')?.dataset.words;
  if (words === undefined) return;
  search.value = search.value === words ? '' : words;
  highlight();
});
function suggest() {
  const names = chart.tracks.slice(0, MOST_SUGGESTED).map((track) => new Option(label(track)));
  root.querySelector('datalist').replaceChildren(...names);
}

// Colours the points and fills the legend: names to click, or a scale.
function colour(by) {
  root.dataset.by = by;
  if (!chart) return;
  dark = isDark();
  colours = colourPoints(chart, by, dark);
  const rgb = (colors, i) => `rgb(${[...colors.slice(3 * i, 3 * i + 3)].join(' ')})`;
  key.replaceChildren();
  const ends = { time: ['start of the track', 'end'], density: ['few points', 'many'] }[by];
  key.classList.toggle('scale', Boolean(ends));
  if (ends) {
    const bar = document.createElement('span');
    const stops = [0, 64, 128, 192, 255].map((i) => rgb(tone(chart.shades, dark), i));
    bar.className = 'gp-map-bar';
    bar.style.background = `linear-gradient(to right, ${stops.join(', ')})`;
    key.append(ends[0], bar, ends[1]);
  } else {
    const names = new Map();
    const palette = tone(chart.palette, dark);
    chart.tracks.forEach((track, i) => {
      if (by === 'artist') names.set(chart.artist[i], track[2] || 'unknown artist');
      else if (by === 'sound') names.set(chart.sound[i], chart.sounds[i] || 'not tagged');
      else names.set(i, label(track));
    });
    for (const [i, name] of [...names].slice(0, MOST_NAMED)) {
      const entry = document.createElement('button');
      const swatch = document.createElement('i');
      swatch.style.background = rgb(palette, i);
      Object.assign(entry, { type: 'button', title: 'Highlight' });
      entry.dataset.words = name;
      entry.append(swatch, name);
      key.append(entry);
    }
    if (names.size > MOST_NAMED) key.append(`and ${names.size - MOST_NAMED} more`);
  }
  if (matches) highlight();
  redraw(true);
}
root.addEventListener('colour', (event) => colour(event.detail));

// Plays a point and shows its card: what it is, where it can be opened, and its neighbours.
async function pick(point) {
  if (point < 0) return;
  picked = point;
  neighbours = [];
  const [title, list] = [card.querySelector('h4'), card.querySelector('ol')];
  title.textContent = describe(point);
  list.replaceChildren();
  card.hidden = false;
  redraw(false);
  trigger('pick', passageAt(point));
  const found = await server.nearest_to(shown.library, point);
  if (picked !== point) return;
  neighbours = found;
  list.replaceChildren(...found.map(([other, similar]) => {
    const entry = document.createElement('li');
    const share = Object.assign(document.createElement('span'), { textContent: similar.toFixed(2) });
    share.title = 'Cosine similarity of the fingerprints';
    entry.append(button(describe(other), () => { bring(other); pick(other); }), share);
    return entry;
  }));
  redraw(false);
}

// Moves the view to a point that is not in it.
function bring(point) {
  const [x, y] = project(over, view, chart, chart.x[point], chart.y[point]);
  if (x < 0 || y < 0 || x > over.width || y > over.height)
    setView({ x: chart.x[point], y: chart.y[point] });
}

// Selects points, and lists their tracks.
function choose(wanted) {
  const rows = passagesOf(chart, wanted);
  if (!rows.length) {
    line.textContent = 'There are no points in it.';
    return;
  }
  chosen = wanted;
  light();
  const count = rows.reduce((sum, row) => sum + row.points, 0);
  const plural = (n, word) => `${n.toLocaleString('en')} ${word}${n === 1 ? '' : 's'}`;
  table.querySelector('h4').textContent = line.textContent =
    `${plural(count, 'point')} of ${plural(rows.length, 'track')}`;
  table.querySelector('tbody').replaceChildren(...rows.slice(0, MOST_ROWS).map((row) => {
    const cells = [0, 1, 2].map(() => document.createElement('td'));
    const by = Object.assign(document.createElement('span'), { className: 'by', textContent: row.artist });
    cells[0].append(button(row.title, () => trigger('pick', { track: row.id, hop: row.hop })), by);
    row.passages.slice(0, MOST_PASSAGES).forEach(([from, to], i) => {
      const passage = document.createElement('span');
      passage.textContent = `${i ? ', ' : ''}${clock(from)}–${clock(to)}`;
      cells[1].append(passage, document.createElement('wbr'));
    });
    if (row.passages.length > MOST_PASSAGES) cells[1].append(' …');
    cells[2].textContent = row.points;
    cells[2].className = 'n';
    const made = document.createElement('tr');
    made.append(...cells);
    return made;
  }));
  if (rows.length > MOST_ROWS) table.querySelector('tbody').insertAdjacentHTML('beforeend',
    `<tr><td colspan="3">and ${rows.length - MOST_ROWS} more, which the files contain</td></tr>`);
  table.hidden = false;
}

function clearSelection() {
  chosen = null;
  picked = -1;
  neighbours = [];
  card.hidden = table.hidden = true;
  line.textContent = intro;
  light();
}

// Gives the browser a file with the selected passages: a row each in CSV, a track each in JSON.
function saveChosen(kind) {
  const rows = passagesOf(chart, chosen).map(({ hop, ...row }) => row);
  const quote = (v) => `"${String(v).replaceAll('"', '""')}"`;
  const lines = rows.flatMap((row) => row.passages.map(([from, to]) =>
    [row.id, quote(row.title), quote(row.artist), quote(row.album), from, to].join(',')));
  const text = kind === 'csv'
    ? `${['track,title,artist,album,from_s,to_s', ...lines].join('\r\n')}\r\n`
    : JSON.stringify({ library: shown.library, tracks: rows }, null, 2);
  const address = URL.createObjectURL(new Blob([text], { type: kind === 'csv' ? 'text/csv' : 'application/json' }));
  Object.assign(document.createElement('a'), { href: address, download: `selection.${kind}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

const TOOLS = {
  in: () => zoomBy(1.6),
  out: () => zoomBy(1 / 1.6),
  all: () => showAll(),
  lasso: () => setTool('lasso', (lassoing = !lassoing)),
  labels: () => { setTool('labels', !pressedTool('labels')); redraw(false); },
  density: () => { setTool('density', !pressedTool('density')); redraw(true); },
  play: () => trigger('pick', passageAt(picked)),
  graph: () => trigger('inspect', passageAt(picked)),
  identify: () => openInIdentify(passageAt(picked)),
  csv: () => saveChosen('csv'),
  json: () => saveChosen('json'),
  clear: () => clearSelection(),
};
root.addEventListener('click', (event) => {
  const act = event.target.closest('[data-do]')?.dataset.do;
  if (chart && act) TOOLS[act]();
});
