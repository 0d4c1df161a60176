// Contrasts of what axe does not measure: texts of pictures, outlines of controls and of the focus.
(() => {
  const pen = Object.assign(document.createElement('canvas'), {width: 1, height: 1})
    .getContext('2d', {willReadFrequently: true});

  // Red, green, blue in 0...255 and alpha in 0...1 of any CSS colour.
  const parts = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => top.slice(0, 3).map((v, i) => v * top[3] + below[i] * (1 - top[3]));

  // The colour behind an element, as if nothing but its ancestors were there.
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const layer = parts(getComputedStyle(e).backgroundColor);
      layers.push(layer);
      if (layer[3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };

  const luminance = (colour) => {
    const [r, g, b] = colour.map((v) => {
      const c = v / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (colour, below) => {
    const [low, high] = [luminance(over(parts(colour), below)), luminance(below)]
      .sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };

  const shown = (element) => element.checkVisibility({opacityProperty: true,
    visibilityProperty: true}) && element.getBoundingClientRect().width > 4;
  const name = (element) => `${element.closest('[id]')?.id}: ${element.outerHTML.slice(0, 120)}`;

  const svgTexts = () => [...document.querySelectorAll('svg[role=img] text')].filter(shown)
    .map((text) => [name(text), contrast(getComputedStyle(text).fill, behind(text))]);

  const texts = () => [...document.querySelectorAll('[role=tab]')].filter(shown)
    .map((text) => [name(text), contrast(getComputedStyle(text).color, behind(text))]);

  const placeholders = () =>
    [...document.querySelectorAll('input[placeholder], textarea[placeholder]')].filter(shown)
      .map((field) => [name(field),
        contrast(getComputedStyle(field, '::placeholder').color, behind(field))]);

  // The best of border and filling, of a control or of the boxes that it fills.
  const outline = (control) => {
    let best = 0;
    const size = control.getBoundingClientRect();
    for (let e = control, up = 0; e.parentElement && up < 4; e = e.parentElement, up += 1) {
      const box = e.getBoundingClientRect();
      if (box.width > size.width + 90 || box.height > size.height + 40) break;
      const style = getComputedStyle(e), below = behind(e.parentElement);
      if (parseFloat(style.borderTopWidth) > 0)
        best = Math.max(best, contrast(style.borderTopColor, below));
      best = Math.max(best, contrast(style.backgroundColor, below));
    }
    return best;
  };
  const controls = () => [...document.querySelectorAll('input:not([type=range]):not([type=file]), ' +
    'textarea, select')].filter(shown).map((control) => [name(control), outline(control)]);

  // Contrast of the outline of what has the focus; 0: it has none.
  const focus = async () => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    await Promise.allSettled(element.getAnimations().map((change) => change.finished));
    const style = getComputedStyle(element);
    const drawn = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
    const seen = drawn && shown(element);
    return [name(element), seen ? contrast(style.outlineColor, behind(element.parentElement)) : 0];
  };

  // Resolves when nothing in the page has changed for a second.
  const settled = () => new Promise((resolve) => {
    let timer = setTimeout(resolve, 1000);
    new MutationObserver(() => {
      clearTimeout(timer);
      timer = setTimeout(resolve, 1000);
    }).observe(document.body, {childList: true, subtree: true, characterData: true});
  });

  window.measured = {texts: () => [...texts(), ...svgTexts(), ...placeholders()], controls, focus,
    settled};
})();
