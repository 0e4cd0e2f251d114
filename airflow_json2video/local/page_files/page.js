"use strict";
// Without this script the page is complete but static, and a click opens the video file.
const renders = document.getElementById("renders");
const error = document.getElementById("error");

renders.addEventListener("click", (event) => {
  const link = event.target.closest("a.picture");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  const video = document.createElement("video");
  video.src = link.href;
  video.controls = true;
  video.autoplay = true;
  video.playsInline = true;
  const picture = document.createElement("div");
  picture.className = "picture";
  picture.append(video);
  link.replaceWith(picture);
  video.focus();
});

function update(fresh) {
  const account = fresh.getElementById("account");
  const old = document.getElementById("account");
  if (account.dataset.version !== old.dataset.version) old.replaceWith(account);
  const cards = [...fresh.querySelectorAll("article")];
  const ids = new Set(cards.map((card) => card.id));
  for (const card of [...renders.children]) if (!ids.has(card.id)) card.remove();
  cards.forEach((card, index) => {
    const here = renders.children[index];
    if (here && here.id === card.id) {
      // An unchanged card is not replaced, because its video may be playing.
      if (here.dataset.version !== card.dataset.version) {
        const open = here.querySelector("details[open]") && card.querySelector("details");
        if (open) open.open = true;
        here.replaceWith(card);
      }
      return;
    }
    const elsewhere = document.getElementById(card.id);
    if (elsewhere) elsewhere.remove();
    renders.insertBefore(card, here || null);
  });
  document.getElementById("none").hidden = cards.length > 0;
  const pages = fresh.querySelector("nav");
  if (pages.innerHTML !== document.querySelector("nav").innerHTML) document.querySelector("nav").replaceWith(pages);
}

async function refresh() {
  if (document.hidden) return;
  try {
    const response = await fetch(location.pathname + location.search, { cache: "no-store" });
    if (!response.ok) throw new Error(response.status);
    update(new DOMParser().parseFromString(await response.text(), "text/html"));
    error.hidden = true;
  } catch {
    error.textContent = "The service does not respond. The page shows its last response.";
    error.hidden = false;
  }
}

(async () => {
  for (;;) {
    await new Promise((wake) => setTimeout(wake, 2000));
    await refresh();
  }
})();
document.addEventListener("visibilitychange", refresh);
