
"use strict";

// Light travels as packing.py says: codes of 12 bits, light = peak (code / TOP)^2.
const TOP = 4095;
const element = (id) => document.getElementById(id);

async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Planes of green, red less green and blue less green to (red, green, blue) codes, pixel by pixel.
function unpack(bytes, width, height) {
  const size = width * height;
  const planes = new Int32Array(3 * size);
  for (let plane = 0, at = 0; plane < 3; plane++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++, at++) {
        const folded = bytes[at] | (bytes[at + 3 * size] << 8);
        const left = x ? planes[at - 1] : 0;
        const above = y ? planes[at - width] : 0;
        const corner = x && y ? planes[at - width - 1] : 0;
        let foretold = !x ? above : left;
        if (x && y) {
          const low = Math.min(left, above), high = Math.max(left, above);
          foretold = Math.min(Math.max(left + above - corner, low), high);
        }
        planes[at] = (foretold + (folded & 1 ? -(folded + 1) / 2 : folded / 2)) & TOP;
      }
    }
  }
  const codes = new Uint16Array(3 * size);
  for (let at = 0; at < size; at++) {
    const green = planes[at];
    codes[3 * at] = (planes[at + size] + green) & TOP;
    codes[3 * at + 1] = green;
    codes[3 * at + 2] = (planes[at + 2 * size] + green) & TOP;
  }
  return codes;
}

// IEC 61966-2-1.
const encode = (light) =>
  255 * (light <= 0.00313066844250063 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055);
const decode = (code) => {
  const value = code / 255;
  return value <= 0.0404482362771082 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
};

// What a code is shown as once its light is multiplied; what exceeds white is clipped.
function table(length, light, gain) {
  return Uint8ClampedArray.from({ length }, (_, code) => encode(Math.min(1, gain * light(code))));
}

function paint(canvas, { width, height, codes, step, levels, light }, gain) {
  const shown = table(levels, light, gain);
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const { data } = image;
  for (let from = 0, to = 0; to < data.length; from += step, to += 4) {
    data[to] = shown[codes[from]];
    data[to + 1] = shown[codes[from + 1]];
    data[to + 2] = shown[codes[from + 2]];
    data[to + 3] = 255;
  }
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  context.putImageData(image, 0, 0);
}

function pixelsOf(image) {
  const width = image.naturalWidth, height = image.naturalHeight;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const codes = context.getImageData(0, 0, width, height).data;
  return { width, height, codes, step: 4, levels: 256, light: decode };
}

async function load(view) {
  const image = view.picture ? new Image() : element("picture");
  if (view.picture) image.src = view.picture;
  await image.decode();
  const { width, height, peak } = view;
  const codes = unpack(await inflate(view.light), width, height);
  const light = (code) => peak * (code / TOP) ** 2;
  return { picture: pixelsOf(image), raw: { width, height, codes, step: 3, levels: TOP + 1, light } };
}

const views = JSON.parse(element("data").textContent);
const exposure = element("exposure"), split = element("split"), stage = element("stage");
let current = 0, asked = 0, waiting = false;

function draw() {
  waiting = false;
  const { loaded } = views[current];
  if (!loaded) return;
  const gain = 2 ** Number(exposure.value);
  paint(element("jpeg"), loaded.picture, gain);
  paint(element("raw"), loaded.raw, gain);
}

function redraw() {
  const stops = Number(exposure.value);
  const amount = Math.abs(stops).toFixed(1);
  const sign = stops > 0 ? "+" : stops < 0 ? "\u2212" : "";
  element("stops-shown").value = `${sign}${amount} EV`;
  const words = stops ? `${amount} stops ${stops < 0 ? "darker" : "brighter"}` : "as exposed";
  exposure.setAttribute("aria-valuetext", words);
  if (!waiting) requestAnimationFrame(draw);
  waiting = true;
}

function divide() {
  stage.style.setProperty("--split", `${split.value}%`);
  split.setAttribute("aria-valuetext", `${split.value} % picture`);
}

async function show(number) {
  const view = views[number];
  asked = number;
  element("status").textContent = view.loaded ? "" : "Unpacking the light …";
  try {
    view.loaded ||= await load(view);
  } catch (error) {
    element("status").textContent = `This browser cannot unpack the light (${error.name}).`;
    return;
  }
  if (asked !== number) return;
  current = number;
  element("status").textContent = "";
  element("viewer").style.setProperty("--ratio", view.width / view.height);
  element("viewer").dataset.view = number;
  redraw();
}

function choose(view, number) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), {
    type: "radio", name: "view", value: number, checked: !number,
  });
  const name = document.createElement("span");
  name.textContent = view.name;
  label.append(input, name);
  input.addEventListener("change", () => show(number));
  element("views").append(label);
}

function drag(event) {
  if (element("viewer").dataset.layout !== "split" || !(event.buttons & 1)) return;
  const box = stage.getBoundingClientRect();
  split.value = (100 * (event.clientX - box.left)) / box.width;
  divide();
}

document.documentElement.classList.add("js");
views.forEach(choose);
exposure.addEventListener("input", redraw);
split.addEventListener("input", divide);
stage.addEventListener("pointerdown", (event) => {
  stage.setPointerCapture(event.pointerId);
  drag(event);
});
stage.addEventListener("pointermove", drag);
element("reset").addEventListener("click", () => {
  exposure.value = 0;
  redraw();
});
element("layouts").addEventListener("change", (event) => {
  element("viewer").dataset.layout = event.target.value;
});
divide();
show(0);
