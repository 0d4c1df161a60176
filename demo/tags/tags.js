// The tab Tags: bars of labels, their probabilities over time, and what lights up for one of them.
const part = (name) => element.querySelector(`[data-part="${name}"]`);
const root = part('root');
const canvases = [part('canvas0'), part('canvas1')];
const SIDES = ['clean', 'degraded'];
const INK = { left: 46, bottom: 34, top: 4, right: 4 };
const state = { label: 0, map: null };
let data = null;
let pictures = [];

const percent = (share) => (share > 0 && share < 0.005 ? '<1 %' : `${Math.round(100 * share)} %`);
const made = (tag, values, ...children) => {
  const node = Object.assign(document.createElement(tag), values);
  node.append(...children);
  return node;
};

const showBars = () => {
  part('bars').replaceChildren(...data.labels.map((name, i) => {
    const [clean, degraded] = data.probabilities.map((side) => side[i]);
    const bar = (share, side) => {
      const fill = made('i', { className: SIDES[side] });
      fill.style.width = `${100 * share}%`;
      return made('span', { className: 'bar' }, fill);
    };
    const button = made('button', { type: 'button' },
      made('span', { className: 'name', textContent: name }),
      made('span', { className: 'pair' }, bar(clean, 0), bar(degraded, 1)),
      made('span', { className: 'share', textContent: `${percent(clean)}, ${percent(degraded)}` }));
    button.dataset.label = i;
    button.setAttribute('aria-pressed', i === state.label);
    return button;
  }));
};

// Both sides' probabilities of the chosen label over the clip; the window that is lit is shaded.
const showMoments = () => {
  const [width, height, left, base] = [Math.max(260, part('moments').clientWidth || 560), 150, 40, 122];
  const x = (s) => left + ((width - left - 8) * s) / data.duration_s;
  const y = (p) => base - p * (base - 8);
  const line = (side) => {
    const points = data.times.map((t, i) => `${x(t).toFixed(1)},${y(data.moments[side][state.label][i]).toFixed(1)}`);
    const dots = points.map((at) => `<circle cx="${at.split(',')[0]}" cy="${at.split(',')[1]}" r="2.5"/>`).join('');
    return `<g class="${SIDES[side]}"><polyline points="${points.join(' ')}"/>${dots}</g>`;
  };
  const step = [1, 2, 5, 10].find((s) => data.duration_s / s <= 10) ?? 10;
  const ticks = Array.from({ length: Math.floor(data.duration_s / step) + 1 }, (_, i) => i * step);
  const end = data.start_s + data.frames / data.frames_per_s;
  part('moments').innerHTML = `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Probability of the label over the clip">
    <rect class="window" x="${x(data.start_s)}" y="8" width="${Math.max(2, x(Math.min(end, data.duration_s)) - x(data.start_s))}" height="${base - 8}"/>
    <path class="axis" d="M${left} 8V${base}H${width - 8}"/>
    ${[0, 0.5, 1].map((p) => `<text x="${left - 6}" y="${y(p) + 4}" text-anchor="end">${100 * p} %</text>`).join('')}
    ${ticks.map((s) => `<text x="${x(s)}" y="${base + 16}" text-anchor="middle">${s} s</text>`).join('')}
    ${line(0)}${line(1)}</svg>`;
  part('when').textContent = `${data.labels[state.label]} over the clip, in windows of 2 s (shaded: the part below)`;
};

const showTies = () => {
  const ties = data.ties[state.label];
  const names = (sign) => ties.filter(([, weight]) => weight * sign > 0).map(([name]) => name).join(', ');
  const [up, down] = [names(1), names(-1)];
  part('ties').textContent = ties.length
    ? `The strongest ties of its label node, learned and the same for every clip: ${[up && `to ${up}`, down && `against ${down}`].filter(Boolean).join('; ')}`
    : '';
};

const drawSide = (side) => {
  const canvas = canvases[side];
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * scale);
  canvas.height = Math.round(canvas.clientHeight * scale);
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  const width = canvas.clientWidth - INK.left - INK.right;
  const height = canvas.clientHeight - INK.top - INK.bottom;
  const [x, y] = [(frame) => INK.left + (frame / data.frames) * width, (mel) => INK.top + height - (mel / data.mels) * height];
  pen.fillStyle = '#000';
  pen.fillRect(INK.left, INK.top, width, height);
  pen.imageSmoothingEnabled = false;
  if (pictures[side].complete) pen.drawImage(pictures[side], INK.left, INK.top, width, height);
  const map = data.maps[state.map];
  map.light[side][state.label].forEach((light, node) => {
    const [row, column] = [Math.floor(node / map.columns), node % map.columns];
    if (light < 8 || column * map.side >= data.frames) return;
    const right = Math.min(data.frames, (column + 1) * map.side);
    const box = [x(column * map.side), y((row + 1) * map.side), x(right) - x(column * map.side), y(row * map.side) - y((row + 1) * map.side)];
    pen.fillStyle = `rgba(253, 186, 46, ${(0.65 * light) / 255})`;
    pen.fillRect(...box);
    pen.strokeStyle = `rgba(253, 186, 46, ${0.2 + (0.8 * light) / 255})`;
    pen.strokeRect(box[0] + 0.5, box[1] + 0.5, box[2] - 1, box[3] - 1);
  });
  pen.fillStyle = getComputedStyle(canvas).color;
  pen.font = '11px system-ui, sans-serif';
  pen.textAlign = 'right';
  pen.textBaseline = 'middle';
  let last = Infinity;
  for (const [bin, name] of data.hertz) {
    if (last - y(bin + 0.5) < 12) continue;
    last = y(bin + 0.5);
    pen.fillText(name, INK.left - 5, last);
  }
  pen.textAlign = 'center';
  pen.textBaseline = 'top';
  const seconds = data.frames / data.frames_per_s;
  const step = [0.5, 1, 2].find((s) => (seconds / s) * 34 < width) ?? 5;
  for (let s = Math.ceil(data.start_s / step) * step; s <= data.start_s + seconds + 1e-6; s += step)
    pen.fillText(`${s}`, x((s - data.start_s) * data.frames_per_s), INK.top + height + 5);
  pen.fillText('time in the clip (s)', INK.left + width / 2, INK.top + height + 19);
};

const redraw = () => {
  if (!data?.maps) return;
  const map = data.maps[state.map];
  part('title').textContent = map.title;
  part('map').setAttribute('aria-valuetext', map.title);
  root.dataset.label = data.labels[state.label];
  root.dataset.lit = map.light.map((side) => side[state.label].filter((light) => light >= 8).length).join(',');
  canvases.forEach((canvas, side) => {
    canvas.setAttribute('aria-label', `Spectrogram, ${SIDES[side]}: what lights up for ${data.labels[state.label]}, by ${map.title}`);
    drawSide(side);
  });
};

const choose = (label) => {
  state.label = label;
  for (const button of part('bars').children) button.setAttribute('aria-pressed', Number(button.dataset.label) === label);
  showMoments();
  showTies();
  redraw();
};

const load = () => {
  const given = JSON.parse(props.value || '{}');
  part('note').textContent = given.note ?? '';
  root.classList.toggle('empty', !given.maps);
  const before = data?.labels?.[state.label];
  data = given.maps ? given : null;
  if (!data) return;
  state.label = Math.max(0, data.labels.indexOf(before));
  state.map = Math.min(state.map ?? data.maps.length - 1, data.maps.length - 1);
  part('map').max = data.maps.length - 1;
  part('map').value = state.map;
  SIDES.forEach((_, side) => { part(`name${side}`).textContent = data.names[side]; });
  pictures = data.pictures.map((source) => Object.assign(new Image(), { onload: redraw, src: source }));
  showBars();
  choose(state.label);
};

element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button || !data) return;
  if (button.dataset.label !== undefined) choose(Number(button.dataset.label));
  if (button.dataset.hear) {
    trigger('hear', {
      side: Number(button.dataset.side), label: data.numbers[state.label],
      evidence: data.maps[state.map].name, lit: button.dataset.hear === 'lit',
    });
  }
});
part('map').addEventListener('input', (event) => {
  if (!data) return;
  state.map = Number(event.target.value);
  redraw();
});
new ResizeObserver(() => {
  if (data) showMoments();
  redraw();
}).observe(root);
watch('value', load);
load();
