// Plays the clip and the track in sync from the matched moment on, with only one audible at a time.
const play = element.querySelector('.play');
const choices = [...element.querySelectorAll('[data-which]')];
const bar = element.querySelector('progress');
let context = null;
let running = null;
let which = 0;

const bytes = (uri) => Uint8Array.from(atob(uri.split(',')[1]), (c) => c.charCodeAt(0)).buffer;

const halt = () => {
  if (!running) return;
  running.sources.forEach((source) => { source.onended = null; source.stop(); });
  running = null;
  play.textContent = 'Play';
  bar.value = 0;
};

const choose = (number) => {
  which = number;
  choices.forEach((choice, i) => choice.setAttribute('aria-pressed', String(i === which)));
  if (running) {
    running.gains.forEach((gain, i) => {
      gain.gain.setTargetAtTime(i === which ? 1 : 0, context.currentTime, 0.01);
    });
  }
};

const start = async () => {
  context = context || new AudioContext();
  await context.resume();
  const sounds = JSON.parse(props.value);
  const buffers = await Promise.all(sounds.map((uri) => context.decodeAudioData(bytes(uri))));
  const begin = context.currentTime + 0.05;
  const gains = buffers.map((_, i) => new GainNode(context, { gain: i === which ? 1 : 0 }));
  const sources = buffers.map((buffer, i) => {
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(gains[i]).connect(context.destination);
    source.start(begin);
    return source;
  });
  const length = Math.max(...buffers.map((buffer) => buffer.duration));
  running = { sources, gains };
  const mine = running;
  play.textContent = 'Stop';
  const move = () => {
    if (running !== mine) return;
    bar.value = (context.currentTime - begin) / length;
    if (bar.value >= 1) halt(); else requestAnimationFrame(move);
  };
  move();
};

play.addEventListener('click', () => { if (running) halt(); else start(); });
choices.forEach((choice, i) => choice.addEventListener('click', () => choose(i)));
watch('value', halt);
