/* The slider's place in the plot of the breaking point follows the slider at once. */
(snr) => {
  const line = document.getElementById("snr-place");
  if (line) {
    const shift = (snr - line.dataset.drawnDb) * line.dataset.perDb;
    line.setAttribute("transform", `translate(${shift} 0)`);
  }
}
