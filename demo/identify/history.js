// The list of finds. It is kept in the browser's own storage, and never sent anywhere.
const shell = window.grafprint;
const KEY = 'grafprint.finds';
const MOST = 500;
const FIELDS = ['time', 'title', 'artist', 'album', 'start_s', 'confidence', 'score', 'library',
  'track', 'clip', 'link'];
const part = (name) => element.querySelector(name);
const body = part('tbody');
const keep = part('.keep');
const note = part('.note');
let finds = [];
let player = null;

const stored = () => {
  try {
    const list = JSON.parse(shell.read(KEY));
    return Array.isArray(list) ? list.filter((find) => find && find.key && find.time) : [];
  } catch { return []; }
};
const save = () => {
  if (shell.keeps()) shell.write(KEY, JSON.stringify(finds));
};

const clock = (seconds) => {
  const whole = Math.abs(Math.round(seconds));
  return `${Math.round(seconds) < 0 ? '−' : ''}${Math.floor(whole / 60)}:` +
    String(whole % 60).padStart(2, '0');
};
const when = (time) => {
  const date = new Date(time);
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleString([], { ...(today ? {} : { day: 'numeric', month: 'short' }),
    hour: '2-digit', minute: '2-digit' });
};
const sure = (p) => (p > 0.999 ? 'over 99.9 %' : `${(100 * p).toFixed(1)} %`);
const words = (find) => [find.title, find.artist].filter(Boolean).join(' – ');

const make = (tag, options = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), options);
  made.append(...children); // texts are never read as HTML
  return made;
};
const action = (name, label, find) => {
  const button = make('button', { type: 'button', textContent: name });
  button.dataset.do = label;
  button.setAttribute('aria-label', `${name}: ${find.title}`);
  return button;
};
const row = (find) => {
  const made = make('tr', {},
    make('td', { textContent: when(find.time), title: new Date(find.time).toLocaleString() }),
    make('td', {}, find.title, make('span', { className: 'by', textContent: find.artist }),
      make('span', { className: 'by narrow', textContent: sure(find.confidence) })),
    make('td', { className: 'n', textContent: clock(find.start_s) }),
    make('td', { className: 'n wide', textContent: sure(find.confidence) }),
    make('td', { className: 'do' }, action('Play', 'play', find), action('Copy', 'copy', find),
      action('Remove', 'remove', find)));
  made.dataset.key = find.key;
  return made;
};
const draw = () => {
  body.replaceChildren(...finds.map(row));
  part('table').hidden = part('.all').hidden = !finds.length;
  part('.empty').hidden = finds.length > 0;
};

const halt = () => {
  if (!player) return;
  player.sound.pause();
  player.button.textContent = 'Play';
  player = null;
};
const play = async (find, button) => {
  const again = player && player.button === button;
  halt();
  if (again) return;
  note.textContent = '';
  const { library, track, start_s } = find;
  let reply;
  try {
    reply = await server.hear({ library, track, start_s });
  } catch {
    reply = { problem: 'the server cannot be reached' };
  }
  if (!reply.sound) {
    note.textContent = `${find.title} cannot be played: ${reply.problem}.`;
    return;
  }
  halt();
  player = { sound: new Audio(reply.sound), button };
  player.sound.onended = halt;
  button.textContent = 'Stop';
  player.sound.play().catch(halt);
};

const cell = (value) => {
  let text = String(value ?? '');
  if (/^[=+@\t\r-]/.test(text) && typeof value === 'string') text = `'${text}`; // no formula
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
const chosen = (find) => Object.fromEntries(FIELDS.map((name) => [name,
  name === 'link' ? shell.whole(find.link) : find[name]]));
const download = (name, type, text) => {
  const url = URL.createObjectURL(new Blob([text], { type }));
  make('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
};

const all = {
  csv: () => download('finds.csv', 'text/csv', [FIELDS, ...finds.map((find) =>
    Object.values(chosen(find)))].map((line) => line.map(cell).join(',') + '\r\n').join('')),
  json: () => download('finds.json', 'application/json',
    JSON.stringify(finds.map(chosen), null, 1)),
  clear: () => { halt(); finds = []; save(); draw(); },
};
const one = {
  play,
  copy: async (find, button) => {
    await shell.copy(`${words(find)}, ${clock(find.start_s)}\n${shell.whole(find.link)}`);
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  },
  remove: (find) => {
    halt();
    finds = finds.filter((other) => other !== find);
    save();
    draw();
  },
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (!button) return;
  const line = button.closest('tr');
  const find = line && finds.find((other) => other.key === line.dataset.key);
  if (find) one[button.dataset.do](find, button);
  else if (!line) all[button.dataset.do]();
});
keep.addEventListener('change', () => {
  shell.write('grafprint.keep', keep.checked ? null : 'off');
  if (keep.checked) save();
  else ['grafprint.library', KEY].forEach((name) => shell.write(name, null));
});

const add = () => {
  if (!props.value) return;
  const find = { ...JSON.parse(props.value), time: new Date().toISOString() };
  if (shell.keeps()) { // another window may have added to it
    const known = new Set(finds.map((other) => other.key));
    finds = [...finds, ...stored().filter((other) => !known.has(other.key))];
    finds.sort((a, b) => (a.time < b.time ? 1 : -1));
  }
  const last = finds[0];
  const same = last && ['library', 'track', 'start_s', 'clip'].every((n) => last[n] === find[n]);
  finds = [find, ...finds.slice(same ? 1 : 0)].slice(0, MOST);
  save();
  draw();
};
keep.checked = shell.keeps();
finds = shell.keeps() ? stored() : [];
draw();
watch('value', add);
