// Plays the clean or the degraded clip in a loop; a switch between them keeps the moment.
// The degraded one follows the controls while it plays. Moments are seconds of the clean clip: one
// that is played faster is over sooner.
const play = element.querySelector('.play');
const choices = [...element.querySelectorAll('[data-which]')];
const bar = element.querySelector('progress');
const player = () => document.querySelector('#degraded-sound a[download]');
const FADE_S = 0.015;
let context = null;
let which = 'degraded';
let running = null;
let decoded = {};
let latest = 0;

const speed = () => Number(document.querySelector('#degraded-pictures [data-speed]')?.dataset.speed) || 1;
const address = (name) => (name === 'clean' ? props.value : player()?.href);

const buffer = async (name) => {
  const from = address(name);
  if (!from) return null;
  if (decoded[name]?.from !== from) {
    const answer = await fetch(from);
    if (!answer.ok) return null;
    decoded[name] = { from, sound: await context.decodeAudioData(await answer.arrayBuffer()) };
  }
  return decoded[name].sound;
};

const moment = () => {
  const passed = Math.max(0, context.currentTime - running.begin) * running.rate;
  return (running.moment + passed) % running.length;
};

const silence = (voice) => {
  voice.gain.gain.setTargetAtTime(0, context.currentTime, FADE_S / 3);
  voice.source.stop(context.currentTime + 2 * FADE_S);
};

const halt = () => {
  latest += 1;
  if (running) silence(running);
  running = null;
  play.textContent = 'Play';
  bar.value = 0;
};

const move = () => {
  if (!running) return;
  bar.value = moment() / running.length;
  requestAnimationFrame(move);
};

// Starts the chosen clip, at the moment of the one that plays.
const start = async () => {
  const mine = ++latest;
  context = context || new AudioContext();
  await context.resume();
  const sound = await buffer(which);
  if (mine !== latest || !sound) return;
  const rate = which === 'degraded' ? speed() : 1;
  const from = running ? moment() : 0;
  const gain = new GainNode(context, { gain: 0 });
  const source = new AudioBufferSourceNode(context, { buffer: sound, loop: true });
  source.connect(gain).connect(context.destination);
  const begin = context.currentTime;
  source.start(begin, Math.min(from / rate, sound.duration - 0.01));
  gain.gain.setTargetAtTime(1, begin, FADE_S / 3);
  const before = running;
  running = { source, gain, rate, begin, moment: from, length: sound.duration * rate };
  play.textContent = 'Stop';
  play.dataset.plays = which === 'clean' ? which : decoded[which].from;
  if (before) silence(before); else move();
};

const choose = (name) => {
  which = name;
  choices.forEach((choice) => choice.setAttribute('aria-pressed', String(choice.dataset.which === name)));
  if (running) start();
};

play.addEventListener('click', () => { if (running) halt(); else start(); });
choices.forEach((choice) => choice.addEventListener('click', () => choose(choice.dataset.which)));
watch('value', halt);

// Another degraded clip has come while this one plays.
const renew = () => {
  if (running && which === 'degraded' && player() && player().href !== decoded.degraded?.from) start();
};
// Its speed is drawn with the pictures, a little later.
const follow = new MutationObserver(() => setTimeout(renew, 100));
const area = document.getElementById('degraded-sound');
if (area) follow.observe(area, { subtree: true, childList: true, attributes: true, attributeFilter: ['href'] });
