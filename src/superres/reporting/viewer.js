// The viewer: two versions of one tile with a divider between them, and the list of tiles.
// Texts come from names of photographs: they are set as text, never as HTML.
"use strict";
(() => {
  const MOST = 16; // times larger than the whole tile
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const find = (id) => document.getElementById(id);
  const [viewer, stage, divider, list] = ["viewer", "stage", "divider", "list"].map(find);
  const controls = { left: find("left"), right: find("right") };
  const panes = { left: find("left-picture"), right: find("right-picture") };
  const [photograph, gainOf, atLeast, order] = ["photograph", "gain-of", "at-least", "order"].map(find);
  // What is seen of a tile, kept from picture to picture and from tile to tile: how many times
  // enlarged, and where its corner lies, in widths and heights of the stage.
  const view = { scale: 1, x: 0, y: 0 };
  let position = 50, current = data.tiles[0], shown = [];
  const between = (low, value, high) => Math.min(high, Math.max(low, value));

  function uri(tile, key) {
    if (tile.card === null) return tile.pictures[key];
    return document.querySelector(`#card-${tile.card} img[data-version="${key}"]`).src;
  }

  function drawPictures() {
    for (const side of ["left", "right"]) {
      const key = controls[side].value;
      const { label } = data.versions.find((version) => version.key === key);
      panes[side].src = uri(current, key);
      panes[side].alt = `${label}, ${current.source} at ${current.x}, ${current.y}`;
      find(`${side}-tag`).textContent = `${label} ${current.details[key]}`.trim();
    }
    const gains = data.contenders.map((name, i) => `${name} ${current.gains[i].text} dB`);
    find("tile-name").textContent = current.source;
    find("tile-facts").textContent = [`at ${current.x}, ${current.y}`, ...current.entropies].join(" · ");
    find("tile-gains").textContent = `against bicubic: ${gains.join(", ")}`;
    drawDivider();
  }

  function drawDivider() {
    divider.style.left = `${position}%`;
    panes.left.parentElement.style.clipPath = `inset(0 ${100 - position}% 0 0)`;
    divider.setAttribute("aria-valuenow", Math.round(position));
    const label = (side) => controls[side].selectedOptions[0].textContent;
    const spoken = `${Math.round(position)} % ${label("left")}, the rest ${label("right")}`;
    divider.setAttribute("aria-valuetext", spoken);
  }

  function drawView() {
    view.scale = between(1, view.scale, MOST);
    view.x = between(1 - view.scale, view.x, 0);
    view.y = between(1 - view.scale, view.y, 0);
    for (const side of ["left", "right"]) {
      panes[side].style.transform = `translate(${100 * view.x}%, ${100 * view.y}%) scale(${view.scale})`;
    }
    stage.classList.toggle("zoomed", view.scale > 1);
    find("zoom").textContent = `${Math.round(100 * view.scale)} %`;
  }

  function zoom(factor, x = 0.5, y = 0.5) { // about a point of the stage
    const before = view.scale;
    view.scale = between(1, before * factor, MOST);
    view.x = x - ((x - view.x) * view.scale) / before;
    view.y = y - ((y - view.y) * view.scale) / before;
    drawView();
    return view.scale !== before;
  }

  function pan(x, y) {
    view.x += x;
    view.y += y;
    drawView();
  }

  function divide(value) {
    position = between(0, value, 100);
    drawDivider();
  }

  const whole = () => zoom(1 / MOST);

  function swap() {
    [controls.left.value, controls.right.value] = [controls.right.value, controls.left.value];
    drawPictures();
  }

  // The list: an entry per tile; its picture is made when it comes into sight.
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      const picture = document.createElement("img");
      picture.alt = "";
      picture.src = uri(data.tiles[target.dataset.tile], "original");
      target.prepend(picture);
    }
  }, { root: list, rootMargin: "120px" });

  data.tiles.forEach((tile, number) => {
    const entry = document.createElement("div");
    entry.setAttribute("role", "option");
    entry.dataset.tile = number;
    entry.tabIndex = -1;
    entry.append(document.createElement("span"));
    entry.addEventListener("click", () => choose(tile));
    tile.entry = entry;
    seen.observe(entry);
  });

  function choose(tile, focus = false) {
    current.entry.setAttribute("aria-selected", "false");
    current.entry.tabIndex = -1;
    current = tile;
    tile.entry.setAttribute("aria-selected", "true");
    tile.entry.tabIndex = 0;
    const box = list.getBoundingClientRect(), own = tile.entry.getBoundingClientRect();
    // Only the list is scrolled, never the page.
    list.scrollLeft += between(own.right - box.right, 0, own.left - box.left);
    list.scrollTop += between(own.bottom - box.bottom, 0, own.top - box.top);
    if (focus) tile.entry.focus({ preventScroll: true });
    drawPictures();
  }

  function step(by, focus) {
    if (!shown.length) return;
    const place = shown.indexOf(current) + by;
    choose(shown[between(0, place, shown.length - 1)], focus);
  }

  function filter() {
    const gain = (tile) => tile.gains[gainOf.value].value;
    const least = atLeast.value === "" ? -Infinity : Number(atLeast.value);
    shown = data.tiles.filter((tile) =>
      (photograph.value === "" || tile.source === data.sources[photograph.value]) &&
      (least === -Infinity || (gain(tile) !== null && gain(tile) >= least)));
    const sorted = shown.map(gain).filter((value) => value !== null).sort((a, b) => a - b);
    const median = (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
    const keys = { sharp: (tile) => -tile.sharpness, best: (tile) => -gain(tile), worst: gain,
      median: (tile) => Math.abs(gain(tile) - median) };
    // A tile without a gain, exact both ways, comes last; it has a sharpness all the same.
    const last = (tile) => (order.value !== "sharp" && gain(tile) === null ? 1 : 0);
    shown.sort((a, b) => last(a) - last(b) || keys[order.value](a) - keys[order.value](b));
    list.replaceChildren(...shown.map((tile) => {
      tile.entry.lastChild.textContent = tile.gains[gainOf.value].text;
      const name = data.contenders[gainOf.value];
      tile.entry.setAttribute("aria-label",
        `${tile.source} at ${tile.x}, ${tile.y}: ${name} ${tile.gains[gainOf.value].text} dB`);
      return tile.entry;
    }));
    find("count").textContent = `${shown.length} of ${data.tiles.length} tiles`;
    list.scrollTo(0, 0);
    if (shown.length) choose(shown[0]);
  }

  // Keys, wherever the focus is inside the viewer but in a field.
  const keys = {
    "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), "0": whole,
    "]": () => step(1), n: () => step(1), "[": () => step(-1), p: () => step(-1), x: swap,
  };
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  function dividerKey(event) {
    const by = event.shiftKey ? 10 : 1;
    const steps = { ArrowLeft: -by, ArrowDown: -by, ArrowRight: by, ArrowUp: by, Home: -100, End: 100 };
    if (!Object.hasOwn(steps, event.key)) return false;
    divide(position + steps[event.key]);
    return true;
  }

  function listKey(event) {
    const ends = { Home: -data.tiles.length, End: data.tiles.length };
    const by = event.key in arrows ? arrows[event.key][0] + arrows[event.key][1] : ends[event.key];
    if (by === undefined) return false;
    step(by, true);
    return true;
  }

  function stageKey(event) {
    if (!(event.key in arrows) || view.scale === 1) return false;
    const far = event.shiftKey ? 0.25 : 0.05;
    pan(-arrows[event.key][0] * far, -arrows[event.key][1] * far);
    return true;
  }

  viewer.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("select, input")) return;
    const own = event.target === divider ? dividerKey : event.target === stage ? stageKey
      : list.contains(event.target) ? listKey : () => false;
    if (!own(event)) {
      if (!Object.hasOwn(keys, event.key)) return;
      keys[event.key]();
    }
    event.preventDefault();
  });

  // Mouse, pen and fingers: one moves the divider or, zoomed in, the picture; two zoom.
  const pointers = new Map();
  let dividing = false;
  const place = (event) => {
    const box = stage.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    if (!pointers.size) dividing = divider.contains(event.target) || view.scale === 1;
    pointers.set(event.pointerId, place(event));
    stage.setPointerCapture(event.pointerId);
    if (dividing && event.pointerType === "mouse") divide(100 * place(event).x);
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    pointers.set(event.pointerId, now);
    if (pointers.size > 1) {
      const other = [...pointers.entries()].find(([id]) => id !== event.pointerId)[1];
      const apart = (one) => Math.hypot(one.x - other.x, one.y - other.y) || 0.001;
      pan((now.x - before.x) / 2, (now.y - before.y) / 2);
      zoom(apart(now) / apart(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    } else if (dividing) divide(100 * now.x);
    else pan(now.x - before.x, now.y - before.y);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    stage.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }
  stage.addEventListener("wheel", (event) => {
    // Elsewhere the wheel scrolls the page; a pinch on a touchpad arrives with ctrlKey.
    if (!event.ctrlKey && !stage.contains(document.activeElement)) return;
    const { x, y } = place(event), factor = Math.exp(-between(-100, event.deltaY, 100) / 300);
    if (zoom(factor, x, y) || event.ctrlKey) event.preventDefault();
  }, { passive: false });

  data.sources = [...new Set(data.tiles.map((tile) => tile.source))].sort();
  photograph.append(...data.sources.map((name, number) => new Option(name, number)));
  gainOf.append(...data.contenders.map((name, number) => new Option(name, number)));
  for (const side of ["left", "right"]) {
    controls[side].append(...data.versions.map(({ key, label }) => new Option(label, key)));
    controls[side].addEventListener("change", drawPictures);
  }
  controls.left.value = "bicubic";
  controls.right.value = data.versions.some(({ key }) => key === "model") ? "model" : "original";
  const buttons = { "zoom-in": () => zoom(1.5), "zoom-out": () => zoom(1 / 1.5), "zoom-whole": whole,
    previous: () => step(-1), next: () => step(1), swap };
  for (const [id, act] of Object.entries(buttons)) find(id).addEventListener("click", act);
  for (const field of [photograph, gainOf, order]) field.addEventListener("change", filter);
  atLeast.addEventListener("input", filter);
  stage.style.aspectRatio = `${data.size[0]} / ${data.size[1]}`;
  document.documentElement.classList.add("scripted");
  filter();
  drawView();
})();
