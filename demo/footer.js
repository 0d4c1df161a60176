// Gradio's footer repeats its links' texts as alternative texts of their icons: heard twice.
(() => {
  const silence = () => {
    const icons = document.querySelectorAll('footer img');
    for (const icon of icons) icon.alt = '';
    if (!icons.length) setTimeout(silence, 200);
  };
  silence();
})();
