/* Moves the line that marks the slider's value in the plot of the breaking point. */
(snr) => {
  const line = document.getElementById("snr-place");
  if (line) {
    const shift = (snr - line.dataset.drawnDb) * line.dataset.perDb;
    line.setAttribute("transform", `translate(${shift} 0)`);
  }
}
