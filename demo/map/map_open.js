// Hands a passage to another tab. Tabs are found by their ids, the clip of Identify by its own.

const openTab = (id) => document.querySelector(`#tabs [role=tab][data-tab-id="${id}"]`)?.click();

// What `search` finds, as soon as it finds something; null after some seconds.
async function appears(search) {
  for (let i = 0; i < 100; i++) {
    const found = search();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 50));
  }
  return null;
}

// Gives the passage to Identify as if the visitor had chosen a file there.
async function openInIdentify(passage) {
  const { name, uri } = await server.passage_file(shown.library, passage.track, passage.hop);
  const file = new File([await (await fetch(uri)).blob()], name, { type: 'audio/wav' });
  openTab('identify');
  const clip = await appears(() => document.querySelector('#clip'));
  if (clip?.querySelector('a[download]')) clip.querySelector('[aria-label=Clear]')?.click();
  await appears(() => !clip?.querySelector('a[download]'));
  const input = await appears(() => {
    clip?.querySelector('[aria-label="Upload file"]')?.click();
    return clip?.querySelector('input[type=file]');
  });
  if (!input) return;
  const files = new DataTransfer();
  files.items.add(file);
  input.files = files.files;
  input.dispatchEvent(new Event('change', { bubbles: true }));
}
