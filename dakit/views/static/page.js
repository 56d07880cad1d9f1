// Brings the views of a page to life: plots, a legend that hides and shows, a slider through training,
// and panels that follow each other. Everything it needs is in the page.
"use strict";

(() => {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const touch = matchMedia("(pointer: coarse)").matches;

  for (const view of document.querySelectorAll("figure[data-view]")) {
    start(view).catch((error) => {
      console.error(error);
      showStill(view);
    });
  }

  async function start(view) {
    const spec = JSON.parse(view.querySelector("script[type='application/json']").textContent);
    const plots = [...view.querySelectorAll(".plot")];
    view.dataset.ready = "";
    await Promise.all(plots.map((plot, i) => draw(plot, spec.panels[i], spec, view)));
    wireLegend(view, plots);
    wireTime(view, plots, spec.moments);
    if (spec.linked && plots.length > 1) link(plots);
    view.dataset.ready = "true";
  }

  async function draw(plot, panel, spec, view) {
    // The page has controls of its own, which the keyboard reaches; those of plotly are drawn and it does not.
    const { sliders, updatemenus, annotations, width, height, title, ...layout } = panel.layout;
    layout.autosize = true;
    if (view.querySelector(".legend")) layout.showlegend = false;
    else layout.annotations = annotations;
    if (plot.clientWidth < 480) {
      for (const { marker } of panel.data) if (typeof marker?.size === "number") marker.size *= 0.75;
    }
    if (touch) layout.dragmode = false; // a finger on the plot scrolls the page
    await Plotly.newPlot(plot, panel.data, layout, spec.config);
    if (panel.frames && panel.frames.length) await Plotly.addFrames(plot, panel.frames);
  }

  function wireLegend(view, plots) {
    const hidden = new Set();
    for (const button of view.querySelectorAll(".legend button")) {
      button.addEventListener("click", () => {
        const key = button.dataset.key;
        if (!hidden.delete(key)) hidden.add(key);
        button.setAttribute("aria-pressed", String(!hidden.has(key)));
        for (const plot of plots) {
          const visible = plot.data.map((trace) => !(trace.meta?.keys ?? []).some((k) => hidden.has(k)));
          Plotly.restyle(plot, { visible });
        }
      });
    }
  }

  function wireTime(view, plots, moments) {
    const time = view.querySelector(".time");
    if (!time) return;
    const [button, slider, words] = ["button", "input", "output"].map((tag) => time.querySelector(tag));
    const last = Number(slider.max);
    let timer = null;

    function show() {
      const i = Number(slider.value);
      words.textContent = moments[i];
      slider.setAttribute("aria-valuetext", moments[i]);
      const duration = calm ? 0 : 300;
      const how = { mode: "immediate", frame: { duration, redraw: false }, transition: { duration } };
      // A newer move cuts an older one short; plotly then rejects the promise of the older.
      for (const plot of plots) Plotly.animate(plot, [String(i)], how).catch(() => {});
    }

    function pause() {
      clearInterval(timer);
      timer = null;
      button.textContent = "Play";
    }

    function next() {
      slider.value = Number(slider.value) + 1;
      show();
      if (Number(slider.value) >= last) pause();
    }

    slider.addEventListener("input", () => {
      pause();
      show();
    });
    button.addEventListener("click", () => {
      if (timer !== null) return pause();
      button.textContent = "Pause";
      if (Number(slider.value) >= last) {
        slider.value = 0;
        show();
      }
      timer = setInterval(next, 700);
    });
    time.hidden = false;
  }

  // Point j of trace i is the same example in every panel.
  function link(plots) {
    let busy = false;
    const others = (plot, what) => {
      if (busy) return;
      busy = true;
      for (const other of plots) if (other !== plot) what(other);
      busy = false;
    };
    for (const plot of plots) {
      plot.on("plotly_hover", (event) => {
        const at = event.points.map(({ curveNumber, pointNumber }) => ({ curveNumber, pointNumber }));
        others(plot, (other) => Plotly.Fx.hover(other, at));
      });
      plot.on("plotly_unhover", () => others(plot, (other) => Plotly.Fx.unhover(other)));
      plot.on("plotly_selected", (event) => {
        if (!event) return;
        const rows = plot.data.map(() => []);
        for (const { curveNumber, pointNumber } of event.points) rows[curveNumber].push(pointNumber);
        others(plot, (other) => Plotly.restyle(other, { selectedpoints: rows }));
      });
      plot.on("plotly_deselect", () => others(plot, (other) => Plotly.restyle(other, { selectedpoints: null })));
    }
  }

  function showStill(view) {
    const still = document.createElement("div");
    still.innerHTML = view.querySelector("noscript").textContent;
    view.querySelector(".panels").replaceWith(still);
    view.querySelector(".time")?.remove();
  }
})();
