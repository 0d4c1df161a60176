// Listens until the server has an answer. Pieces are sent one at a time, each with all the sound
// recorded while the server processed the one before: a slow server gets longer pieces, no backlog.
const button = element.querySelector('button');
const canvas = element.querySelector('canvas');
const card = element.querySelector('.gp-live-card');
const pen = canvas.getContext('2d');
const PIECE_S = 0.5;
const PATIENCE_S = 10;
let stop = null;

const WORKLET = `registerProcessor('gp-tap', class extends AudioWorkletProcessor {
  process([input]) {
    if (input.length) this.port.postMessage(input[0].slice());
    return true;
  }
});`;

const colour = (v) => {
  const t = v / 255;
  const stops = [[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]];
  const at = Math.min(3, Math.floor(t * 4));
  const part = t * 4 - at;
  return stops[at].map((c, i) => Math.round(c + part * (stops[at + 1][i] - c)));
};

const draw = (code) => {
  const bytes = Uint8Array.from(atob(code), (c) => c.charCodeAt(0));
  const rows = canvas.height;
  const frames = bytes.length / rows;
  if (!frames) return;
  pen.drawImage(canvas, -frames, 0);
  const picture = pen.createImageData(frames, rows);
  for (let f = 0; f < frames; f++) {
    for (let r = 0; r < rows; r++) {
      const place = 4 * ((rows - 1 - r) * frames + f);
      picture.data.set([...colour(bytes[f * rows + r]), 255], place);
    }
  }
  pen.putImageData(picture, canvas.width - frames, 0);
};

const encode = (blocks) => {
  const length = blocks.reduce((sum, block) => sum + block.length, 0);
  const pcm = new Int16Array(length);
  let at = 0;
  for (const block of blocks) {
    for (const x of block) pcm[at++] = Math.max(-1, Math.min(1, x)) * 32767;
  }
  const bytes = new Uint8Array(pcm.buffer);
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) {
    text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  }
  return btoa(text);
};

const open = async () => {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  let context;
  try { // Firefox connects a microphone only to a context with the same sample rate.
    context = new AudioContext({ sampleRate: 16000 });
    context.createMediaStreamSource(stream);
  } catch (error) {
    context = new AudioContext();
  }
  const code = URL.createObjectURL(new Blob([WORKLET], { type: 'text/javascript' }));
  await context.audioWorklet.addModule(code);
  URL.revokeObjectURL(code);
  const tap = new AudioWorkletNode(context, 'gp-tap', { numberOfOutputs: 0, channelCount: 1,
    channelCountMode: 'explicit' });
  context.createMediaStreamSource(stream).connect(tap);
  return { stream, context, tap };
};

const listen = async () => {
  button.disabled = true;
  let source;
  try {
    source = await open();
  } catch (error) { // microphone.js has shown the reason
    button.disabled = false;
    return;
  }
  const token = Array.from(crypto.getRandomValues(new Uint8Array(16)),
    (b) => b.toString(16).padStart(2, '0')).join('');
  const rate = source.context.sampleRate;
  let blocks = [];
  let number = 0;
  let going = true;
  source.tap.port.onmessage = (event) => blocks.push(event.data);
  stop = () => { going = false; };
  button.disabled = false;
  button.textContent = 'Stop listening';
  element.classList.add('listening');
  pen.fillStyle = '#000';
  pen.fillRect(0, 0, canvas.width, canvas.height);
  card.innerHTML = '';
  let answered = false;
  while (going) {
    await new Promise((resolve) => { setTimeout(resolve, 1000 * PIECE_S); });
    const piece = blocks;
    blocks = [];
    if (!piece.length) continue;
    const most = Math.floor(PATIENCE_S * rate / piece[0].length) - 1;
    let reply;
    try {
      reply = await server.receive({ token, number: number++, rate, pcm: encode(piece.slice(-most)),
        library: props.value });
    } catch (error) {
      card.textContent = 'The server cannot be reached. Reload the page.';
      break;
    }
    card.innerHTML = reply.card;
    if (reply.columns) draw(reply.columns);
    answered = reply.state !== 'problem';
    if (reply.state !== 'listening') going = false;
  }
  stop = null;
  source.stream.getTracks().forEach((track) => track.stop());
  source.context.close();
  element.classList.remove('listening');
  button.textContent = 'Listen';
  if (answered) {
    card.innerHTML = '';
    trigger('recorded', { token });
  }
};

button.addEventListener('click', () => { if (stop) stop(); else listen(); });
