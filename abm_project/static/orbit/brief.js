// Copies the brief's text.
(() => {
  "use strict";
  const copied = async (element) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(element.innerText);
    const range = document.createRange(); // over plain http there is no clipboard but this one
    range.selectNodeContents(element);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    return document.execCommand("copy") ? undefined : Promise.reject();
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const was = button.textContent;
    try {
      await copied(document.getElementById(button.dataset.copy));
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select it and copy by hand";
    }
    window.setTimeout(() => { button.textContent = was; }, 2000);
  });
})();
