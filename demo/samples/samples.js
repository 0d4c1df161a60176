// The tab Samples: a song above, a track below, and bands that tie the parts that match.
const part = (name) => element.querySelector(`[data-part="${name}"]`);
const root = part('root');
const COLOURS = ['#0d9488', '#d97706', '#7c3aed', '#db2777', '#2563eb', '#65a30d'];
const KINDS = { found: 'sampled', same: 'the song itself', other: 'not reported' };
const [PICTURE, GAP, AXIS] = [96, 56, 18];
const state = { track: 0, region: 0 };
let data = null;

const { clock } = window.grafprint;
const percent = (share) => `${Math.round(100 * share)} %`;
const made = (tag, values, ...children) => {
  const node = Object.assign(document.createElement(tag), values);
  node.append(...children);
  return node;
};
const sureness = (track) => (track.probability === null ? `score ${track.score}` : `${percent(track.probability)}, score ${track.score}`);

const showTracks = () => {
  part('tracks').replaceChildren(...data.tracks.map((track, i) => {
    const button = made('button', { type: 'button' },
      made('span', { className: 'name', textContent: track.artist ? `${track.title}, ${track.artist}` : track.title }),
      made('span', { className: 'kind', textContent: `${KINDS[track.kind]} · ${sureness(track)}` }));
    button.dataset.track = i;
    button.setAttribute('aria-pressed', i === state.track);
    return button;
  }));
};

const showRegions = () => {
  const { regions } = data.tracks[state.track];
  part('regions').replaceChildren(...regions.map((r, i) => {
    const at = `${clock(r.start_s)} to ${clock(r.end_s)} is ${clock(r.track_start_s)} to ${clock(r.track_end_s)} of the track`;
    const how = [r.speed === null ? '' : `${r.speed.toFixed(2)} × its speed`, r.probability === null ? `similarity ${r.similarity.toFixed(2)}` : percent(r.probability)];
    const choice = made('button', { type: 'button', className: 'region' }, made('i', {}),
      made('span', { textContent: [at, ...how].filter(Boolean).join(' · ') }));
    choice.dataset.region = i;
    choice.firstChild.style.background = COLOURS[i % COLOURS.length];
    choice.setAttribute('aria-pressed', i === state.region);
    const hear = ['song', 'track'].map((name, side) => {
      const button = made('button', { type: 'button', className: 'hear', textContent: `▶ ${name}` });
      Object.assign(button.dataset, { hear: side, region: i });
      button.setAttribute('aria-label', `Hear region ${i + 1} in the ${name}`);
      return button;
    });
    return made('div', { className: 'row' }, choice, ...hear);
  }));
};

const axis = (width, duration, y) => {
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600].find((s) => (duration / s) * 48 < width) ?? 1800;
  return Array.from({ length: Math.floor(duration / step) + 1 }, (_, i) => i * step)
    .map((s) => {
      const x = (s / duration) * width;
      const anchor = x < 14 ? 'start' : x > width - 14 ? 'end' : 'middle';
      return `<text x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}">${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}</text>`;
    })
    .join('');
};

const draw = () => {
  if (!data) return;
  const track = data.tracks[state.track];
  const width = Math.max(260, part('drawing').clientWidth || 800);
  const songX = (s) => Math.min(width, (s / data.song.duration_s) * width);
  const trackX = (s) => Math.min(width, (s / track.duration_s) * width);
  const [top, bottom] = [AXIS, AXIS + PICTURE + GAP];
  const image = (source, y) => `<image href="${source}" x="0" y="${y}" width="${width}" height="${PICTURE}" preserveAspectRatio="none"/>`;
  const bands = track.regions.map((r, i) => {
    const [a, b, c, d] = [songX(r.start_s), songX(r.end_s), trackX(r.track_end_s), trackX(r.track_start_s)].map((x) => x.toFixed(1));
    const colour = COLOURS[i % COLOURS.length];
    return `<g class="band" data-region="${i}" data-chosen="${i === state.region}" fill="${colour}" stroke="${colour}">
      <polygon points="${a},${top + PICTURE} ${b},${top + PICTURE} ${c},${bottom} ${d},${bottom}"/>
      <rect data-side="0" x="${a}" y="${top}" width="${Math.max(3, b - a)}" height="${PICTURE}"><title>Hear the song here</title></rect>
      <rect data-side="1" x="${d}" y="${bottom}" width="${Math.max(3, c - d)}" height="${PICTURE}"><title>Hear the track here</title></rect></g>`;
  });
  part('drawing').innerHTML = `<svg viewBox="0 0 ${width} ${bottom + PICTURE + AXIS}" role="img"
    aria-label="Spectrograms of the song, above, and of the track, below; ${track.regions.length} regions that match are tied by bands">
    ${axis(width, data.song.duration_s, 12)}${image(data.song.picture, top)}${image(track.picture, bottom)}
    ${bands.join('')}${axis(width, track.duration_s, bottom + PICTURE + 14)}</svg>`;
  part('songname').textContent = `The song: ${data.song.name}`;
  part('trackname').textContent = `The track: ${track.title}`;
  Object.assign(root.dataset, { track: track.title, regions: track.regions.length });
};

const choose = (track, region) => {
  const moved = track !== state.track;
  Object.assign(state, { track, region });
  for (const button of part('tracks').children) button.setAttribute('aria-pressed', Number(button.dataset.track) === track);
  if (moved) showRegions();
  for (const button of part('regions').querySelectorAll('.region')) button.setAttribute('aria-pressed', Number(button.dataset.region) === region);
  draw();
  if (data.attends && data.tracks[track].regions.length) trigger('look', { track, region });
};
const hear = (side, region) => trigger('hear', { side, track: state.track, region });

const load = () => {
  const given = JSON.parse(props.value || '{}');
  part('note').textContent = given.note ?? '';
  root.classList.toggle('empty', !given.tracks?.length);
  data = given.tracks?.length ? given : null;
  if (!data) return;
  state.track = 0;
  showTracks();
  showRegions();
  choose(0, data.tracks[0].best);
};

element.addEventListener('click', (event) => {
  if (!data) return;
  const button = event.target.closest('button');
  const place = event.target.closest('rect[data-side]');
  const band = event.target.closest('[data-region]');
  if (button?.dataset.track !== undefined) {
    const track = Number(button.dataset.track);
    choose(track, data.tracks[track].best);
  } else if (button?.dataset.hear !== undefined) {
    hear(Number(button.dataset.hear), Number(button.dataset.region));
  } else if (band) {
    choose(state.track, Number(band.dataset.region));
    if (place) hear(Number(place.dataset.side), state.region);
  }
});
new ResizeObserver(draw).observe(root);
watch('value', load);
load();
