// Buttons in the table of tracks: heads of columns sort, rows play and remove.
const act = (button) => {
  const { play, remove, sort } = button.dataset;
  if (play) trigger('play', { track: Number(play) });
  else if (remove) trigger('remove', { track: Number(remove) });
  else if (sort) trigger('sort', { key: sort });
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-play], button[data-remove], button[data-sort]');
  if (button) act(button);
});
