// Links between tabs, the address of what is shown, copying, and what the browser remembers.
(() => {
  const arrival = window.location.search;
  const read = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const write = (name, text) => {
    try {
      if (text === null) localStorage.removeItem(name); else localStorage.setItem(name, text);
    } catch { /* the browser keeps nothing: it works without */ }
  };
  const keeps = () => read('grafprint.keep') !== 'off';

  const tabs = () => [...document.querySelectorAll('#tabs [role=tab]')];
  const slug = (tab) => tab.textContent.trim().toLowerCase().replaceAll(' ', '-');
  const open = (name) => {
    const tab = tabs().find((one) => slug(one) === name);
    if (tab) tab.click();
  };

  // The address follows tab and library, so that it can be copied, and a reload returns here.
  const note = (name, value) => {
    const address = new URL(window.location.href);
    if (address.searchParams.get(name) === value) return;
    address.searchParams.set(name, value);
    address.searchParams.delete('track');
    address.searchParams.delete('at');
    window.history.replaceState(window.history.state, '', address);
  };
  let library = null;
  const follow = () => {
    const line = document.querySelector('#in-use [data-library]');
    const chosen = tabs().find((tab) => tab.getAttribute('aria-selected') === 'true');
    const address = new URL(window.location.href);
    if (chosen && (address.searchParams.has('tab') || slug(chosen) !== 'identify')) {
      note('tab', slug(chosen));
    }
    if (!line || line.dataset.library === library) return;
    const first = library === null;
    library = line.dataset.library;
    if (first) return; // the library that every visit begins with
    note('library', library);
    if (keeps()) write('grafprint.library', library);
  };

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // only pages loaded over https or from this computer have a clipboard
      const area = document.createElement('textarea');
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
    }
  };
  const whole = (link) => new URL(link, window.location.href.split(/[?#]/)[0]).href;

  document.addEventListener('click', async (event) => {
    const link = event.target.closest('a[data-tab], [data-copy]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.dataset.tab) {
      open(link.dataset.tab);
      return;
    }
    await copy(whole(link.dataset.copy));
    const words = link.textContent;
    if (words === 'Copied') return;
    link.textContent = 'Copied';
    setTimeout(() => { link.textContent = words; }, 1500);
  });

  // On a phone the answer comes below the fold.
  const reveal = () => {
    const card = document.querySelector('#answer .gp-card');
    if (!card || card.classList.contains('ready') || !card.offsetParent) return;
    const { top } = card.getBoundingClientRect();
    if (top >= 0 && top < 0.55 * window.innerHeight) return;
    const still = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
    card.scrollIntoView({ block: 'start', behavior: still ? 'auto' : 'smooth' });
  };
  let shown = null;
  let again = 0;
  for (const name of ['wheel', 'touchmove', 'keydown']) {
    document.addEventListener(name, () => clearTimeout(again), { passive: true });
  }
  const look = () => {
    const card = document.querySelector('#answer .gp-card');
    const text = card ? card.textContent : null; // Gradio changes the card in place
    if (text === shown) return;
    shown = text;
    // Once more when players and pictures have moved it, unless the visitor scrolls.
    clearTimeout(again);
    requestAnimationFrame(reveal);
    again = setTimeout(reveal, 900);
  };
  // Of the whole document: Gradio may run this script before or after the page is parsed.
  new MutationObserver(() => { follow(); look(); }).observe(document.documentElement, {
    subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ['aria-selected'],
  });

  window.grafprint = {
    arrival: () => JSON.stringify({ query: arrival, library: keeps() && read('grafprint.library') }),
    // Seconds as m:ss.s
    clock: (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, '0')}`,
    copy, keeps, open, read, whole, write,
  };
})();
