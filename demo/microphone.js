// Requests unprocessed sound from the microphone, and shows why a clip cannot be used.
(() => {
  const say = (text) => {
    const note = document.querySelector('#note');
    if (note) note.textContent = text;
    else setTimeout(() => say(text), 200);
  };

  // By default browsers process a microphone for speech: echo cancellation, noise suppression and
  // gain control distort music so much that it can hardly be recognised. Gradio has no option for
  // this, so its request is changed here. Nor does it show refusals, so they are shown here too.
  const refusals = {
    NotFoundError: 'The browser finds no microphone. Connect one and reload the page, or choose ' +
      'a file.',
    NotAllowedError: 'The browser does not allow this page to use the microphone. Allow it in the ' +
      'address bar and reload the page, or choose a file.',
    NotReadableError: 'The microphone cannot be opened: another program may be using it. ' +
      'Close that program and reload the page, or choose a file.',
  };
  const media = navigator.mediaDevices;
  if (media && media.getUserMedia) {
    const original = media.getUserMedia.bind(media);
    media.getUserMedia = async (constraints) => {
      const wanted = Object.assign({}, constraints);
      if (wanted.audio) {
        wanted.audio = Object.assign({}, wanted.audio === true ? {} : wanted.audio, {
          echoCancellation: false, noiseSuppression: false, autoGainControl: false,
        });
      }
      try {
        const stream = await original(wanted);
        say('');
        return stream;
      } catch (error) {
        say(refusals[error.name] || `The microphone cannot be used (${error.name}). Choose a file.`);
        throw error;
      }
    };
    // Without a microphone, Gradio's button does nothing.
    document.addEventListener('click', async (event) => {
      if (!event.target.closest('#clip .record-button')) return;
      const devices = await media.enumerateDevices();
      if (!devices.some((device) => device.kind === 'audioinput')) say(refusals.NotFoundError);
    }, true);
  } else {
    say('Your browser gives this page no microphone, because it was loaded neither over https nor ' +
      'from this computer. Open it as http://localhost, start the app with --ssl-key and ' +
      '--ssl-certificate, or choose a file.');
  }

  // A file that the server would refuse is not sent, and the reason is shown.
  const complaint = (file) => {
    const limit = Number(document.querySelector('#note').dataset.maxMb);
    if (file.type && !/^(audio|video)\//.test(file.type)) {
      return `“${file.name}” is not an audio file. Choose a recording, such as WAV, FLAC, MP3, ` +
        'M4A, Ogg or Opus, or a video.';
    }
    if (file.size > limit * 1e6) {
      return `“${file.name}” has ${Math.ceil(file.size / 1e6)} MB, but the limit is ${limit} MB. ` +
        'Cut a part out of it: ten seconds are enough.';
    }
    return '';
  };
  // Gradio's component refuses the type of a phone's video, although only its sound is read.
  const asSound = (event, video) => {
    const sound = new DataTransfer();
    sound.items.add(new File([video], video.name, { type: 'audio/mp4' }));
    if (event.type === 'change') {
      event.target.files = sound.files;
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    event.target.dispatchEvent(new DragEvent('drop', { dataTransfer: sound,
      bubbles: true, cancelable: true }));
  };
  document.addEventListener('click', (event) => {
    const input = event.target.closest('#clip')?.querySelector('input[type=file]');
    if (input) input.accept = 'audio/*,video/*';
  }, true);
  const check = (event, files) => {
    if (!files || !files.length || !event.target.closest('#clip')) return;
    const problem = complaint(files[0]);
    say(problem);
    if (!problem) {
      if (files[0].type.startsWith('video/')) asSound(event, files[0]);
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.type === 'change') event.target.value = '';
  };
  document.addEventListener('change', (event) => check(event, event.target.files), true);
  document.addEventListener('drop', (event) => check(event, event.dataTransfer.files), true);
})();
