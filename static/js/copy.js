/* A button that copies a text beside it. Hidden without script: the text can be marked by hand. */
"use strict";

const offer = () => {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("[data-copy][hidden]")) {
    button.hidden = !document.getElementById(button.dataset.copy);
  }
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
  button.textContent = button.dataset.done;
});
document.addEventListener("htmx:afterSettle", offer); // a part of the page that was swapped in
offer();
