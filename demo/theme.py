"""How the page looks, and the script that gives music an unprocessed microphone."""

from __future__ import annotations

import gradio as gr

# Built-in fonts only: a web font would be loaded from another host.
THEME = gr.themes.Soft(
    primary_hue="teal",
    secondary_hue="teal",
    neutral_hue="slate",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
)

CSS = """
.gradio-container { max-width: 1040px !important; margin: 0 auto !important; }
#title h1 { margin: 0.2em 0 0; font-size: 1.9em; }
#title p { margin: 0.2em 0 0.4em; opacity: .78; }
.gp-card { padding: 1.1em 1.3em; border-radius: 12px; min-height: 8.2em;
  border: 1px solid var(--border-color-primary); border-left: 6px solid var(--border-color-primary);
  background: var(--background-fill-primary); }
.gp-card.found { border-left-color: #0d9488; }
.gp-card.unknown { border-left-color: #d97706; }
.gp-card.problem { border-left-color: #dc2626; }
.gp-card .gp-label { font-size: .8em; letter-spacing: .04em; text-transform: uppercase;
  opacity: .78; }
.gp-card .gp-title { font-size: 1.6em; font-weight: 650; line-height: 1.25; margin: .15em 0; }
.gp-card .gp-time { font-size: 1.15em; margin: .35em 0; }
.gp-card .gp-small, .gp-small { font-size: .88em; opacity: .78; }
.gp-scroll { overflow-x: auto; }
table.gp { width: 100%; border-collapse: collapse; font-size: .92em; }
table.gp th { text-align: left; font-weight: 600; opacity: .78; }
table.gp th, table.gp td { padding: .35em .6em !important; vertical-align: top;
  border: 0 solid rgb(128 128 128 / 30%) !important; border-bottom-width: 1px !important; }
table.gp thead, table.gp tr { border: 0 !important; background: none !important; }
table.gp td.n, table.gp th.n { text-align: right; font-variant-numeric: tabular-nums; }
table.gp td { overflow-wrap: anywhere; }
@media (max-width: 600px) { #contents table.gp :is(td, th):nth-child(3) { display: none; } }
.gp-plot svg { width: 100%; height: auto; }
#microphone-note:empty { display: none; }
#microphone-note { padding: .6em .9em; border-radius: 8px; border: 1px solid #d97706;
  font-size: .92em; }
"""

# Browsers clean a microphone for speech: echo cancellation, noise suppression and gain control
# change music until it can hardly be recognised. Gradio has no option for it, so the request is
# changed on its way. The second part says why there is no microphone where there can be none.
HEAD = """
<script>
(() => {
  const media = navigator.mediaDevices;
  if (media && media.getUserMedia) {
    const original = media.getUserMedia.bind(media);
    media.getUserMedia = (constraints) => {
      const wanted = Object.assign({}, constraints);
      if (wanted.audio) {
        wanted.audio = Object.assign({}, wanted.audio === true ? {} : wanted.audio, {
          echoCancellation: false, noiseSuppression: false, autoGainControl: false,
        });
      }
      return original(wanted);
    };
  } else {
    const timer = setInterval(() => {
      const note = document.querySelector('#microphone-note');
      if (!note) return;
      clearInterval(timer);
      note.textContent = 'Your browser gives this page no microphone, because it did not come ' +
        'over https or from this computer itself. Open it as http://localhost, start the app ' +
        'with --ssl-key and --ssl-certificate, or choose a file.';
    }, 300);
  }
})();
</script>
"""
