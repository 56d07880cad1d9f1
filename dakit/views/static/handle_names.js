// Names the handles of the sliders beside it by their labels. The sliders may be drawn after this, so it looks
// again for a while.
function nameHandles(box) {
  for (const slider of box.querySelectorAll(".widget-slider")) {
    const label = slider.querySelector(".widget-label")?.textContent?.trim();
    for (const handle of slider.querySelectorAll("[role=slider]")) handle.setAttribute("aria-label", label);
  }
}

export default {
  render({ el }) {
    el.style.display = "none";
    let looks = 0;
    const timer = setInterval(() => {
      const box = el.closest(".widget-vbox");
      if (box) nameHandles(box);
      if (++looks >= 40 || box?.querySelector("[role=slider][aria-label]")) clearInterval(timer);
    }, 100);
    return () => clearInterval(timer);
  },
};
