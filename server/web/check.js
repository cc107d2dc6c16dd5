"use strict";
// "Check this in your browser": fetches the file that the link names, from this very server, and hands it
// to verify.html, which believes nothing of it. Without this script the link saves the file, which may be
// dropped on that page.

for (const link of document.querySelectorAll("a[data-verifier]")) {
  const status = link.parentElement.querySelector("[role=status]");
  link.addEventListener("click", async event => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    status.textContent = "Fetching…";
    try {
      const answer = await fetch(link.href);
      if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
      const bytes = Array.from(new Uint8Array(await answer.arrayBuffer()), b => String.fromCharCode(b)).join("");
      // In this tab alone, until the page has read it: one character a byte.
      sessionStorage.setItem("docket-verify-file", JSON.stringify({ name: link.download, bytes }));
    } catch (err) {
      status.textContent = `That did not work (${err.message}). Save the file by the link's menu, and drop it on the page that checks it.`;
      return;
    }
    status.textContent = "";
    location.assign(link.dataset.verifier);
  });
}
