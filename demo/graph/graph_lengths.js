// The lengths of the edges as SVG: bars for a block, lines over all blocks.

// Shares [n] of clean and degraded as bars side by side; marks are [place 0..1, text] of the axis.
const bars = (pair, colours, marks, unit, label) => {
  const top = Math.max(...pair.flat(), 0.01);
  const step = 300 / pair[0].length;
  const parts = pair.map((shares, side) => shares.map((share, i) => {
    const high = (80 * share) / top;
    return `<rect x="${(34 + i * step + 1 + side * (step / 2 - 1)).toFixed(1)}" ` +
      `y="${(88 - high).toFixed(1)}" width="${(step / 2 - 1.5).toFixed(1)}" ` +
      `height="${high.toFixed(1)}" fill="${colours[side]}"/>`;
  }).join('')).join('');
  const ticks = marks.map(([place, text]) =>
    `<text x="${34 + 300 * place}" y="101" text-anchor="middle">${text}</text>`).join('');
  return `<svg viewBox="0 0 350 118" role="img" aria-label="${label}" font-size="10" ` +
    `fill="currentColor">${parts}<path d="M34 8V88H334" fill="none" stroke="currentColor" ` +
    `opacity=".5"/><text x="30" y="14" text-anchor="end">${Math.round(100 * top)} %</text>` +
    `<text x="30" y="88" text-anchor="end">0</text>${ticks}` +
    `<text x="184" y="114" text-anchor="middle">${unit}</text></svg>`;
};

// Mean edge length by block, a line for clean and one for degraded; a ring marks the shown block.
const depths = (pair, colours, current, unit, label) => {
  const top = Math.max(...pair.flat(), 0.01);
  const x = (i) => (34 + (300 * (i + 0.5)) / pair[0].length).toFixed(1);
  const y = (v) => (58 - (48 * v) / top).toFixed(1);
  const lines = pair.map((means, side) => {
    const dots = means.map((v, i) => `<circle cx="${x(i)}" cy="${y(v)}" r="2.5" ` +
      `fill="${colours[side]}"/>`).join('');
    const ring = `<circle cx="${x(current)}" cy="${y(means[current])}" r="5" fill="none" ` +
      `stroke="${colours[side]}" stroke-width="1.5"/>`;
    return `<polyline points="${means.map((v, i) => `${x(i)},${y(v)}`).join(' ')}" fill="none" ` +
      `stroke="${colours[side]}" stroke-width="1.5"/>${dots}${ring}`;
  }).join('');
  const ticks = pair[0].map((_, i) =>
    `<text x="${x(i)}" y="71" text-anchor="middle">${i + 1}</text>`).join('');
  return `<svg viewBox="0 0 350 86" role="img" aria-label="${label}" font-size="10" ` +
    `fill="currentColor">${lines}<path d="M34 4V58H334" fill="none" stroke="currentColor" ` +
    `opacity=".5"/><text x="30" y="13" text-anchor="end">${top.toPrecision(2)}</text>` +
    `<text x="30" y="60" text-anchor="end">0</text>${ticks}` +
    `<text x="184" y="83" text-anchor="middle">block (mean length in ${unit})</text></svg>`;
};
