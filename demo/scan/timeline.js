// A bar or a row that is clicked plays its part of the recording, and of the track.
element.addEventListener('click', (event) => {
  const play = event.target.closest('[data-play]');
  if (play) trigger('pick', JSON.parse(play.dataset.play));
});
