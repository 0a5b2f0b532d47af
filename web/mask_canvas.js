/* A mask painted over a photo: dark is what is not trained on. */

import { make } from "./panel.js";

const DARK = "rgb(0 0 0 / 72%)";

export class MaskCanvas {
  /** picture: the loaded photo; mask: the loaded grey picture of its mask, of the same size, or null. */
  constructor(picture, mask) {
    const size = { width: picture.naturalWidth, height: picture.naturalHeight };
    this.shade = make("canvas", { ...size, class: "db-shade" });
    this.element = make("div", { class: "db-paint" }, picture, this.shade);
    this.painted = make("canvas", size);
    this.empty = !mask;
    this.changed = false;
    this.erases = false;
    this.width = Math.round(Math.max(size.width, size.height) / 8);
    if (mask) this.take(mask);
    this.shade.addEventListener("pointerdown", (event) => this.begin(event));
    this.shade.addEventListener("pointermove", (event) => this.last && this.stroke(event));
    for (const end of ["pointerup", "pointercancel"]) this.shade.addEventListener(end, () => (this.last = null));
    this.draw();
  }

  /** As a PNG, white on black; "" where nothing is masked, so that all is trained on. */
  png() {
    if (this.empty) return "";
    const { width, height } = this.painted;
    const grey = make("canvas", { width, height });
    const context = grey.getContext("2d");
    context.fillRect(0, 0, width, height);
    context.drawImage(this.painted, 0, 0);
    return grey.toDataURL("image/png");
  }

  clear() {
    this.painted.getContext("2d").clearRect(0, 0, this.painted.width, this.painted.height);
    this.empty = this.changed = true;
    this.draw();
  }

  invert() {
    if (this.empty) return;
    this.fill("xor");
    this.changed = true;
    this.draw();
  }

  begin(event) {
    event.preventDefault();
    this.shade.setPointerCapture(event.pointerId);
    // Without a mask all is trained on: painting begins with nothing, erasing with everything.
    if (this.empty && this.erases) this.fill("source-over");
    this.empty = false;
    this.changed = true;
    this.last = this.at(event);
    this.stroke(event);
  }

  stroke(event) {
    const [context, to] = [this.painted.getContext("2d"), this.at(event)];
    Object.assign(context, { lineWidth: this.width, lineCap: "round", strokeStyle: "#fff" });
    context.globalCompositeOperation = this.erases ? "destination-out" : "source-over";
    context.beginPath();
    context.moveTo(...this.last);
    context.lineTo(...to);
    context.stroke();
    this.last = to;
    this.draw();
  }

  /** Grey becomes opacity. */
  take(mask) {
    const context = this.painted.getContext("2d");
    context.drawImage(mask, 0, 0);
    const pixels = context.getImageData(0, 0, this.painted.width, this.painted.height);
    for (let at = 0; at < pixels.data.length; at += 4) {
      pixels.data[at + 3] = pixels.data[at];
      pixels.data.fill(255, at, at + 3);
    }
    context.putImageData(pixels, 0, 0);
  }

  fill(how) {
    const context = this.painted.getContext("2d");
    Object.assign(context, { globalCompositeOperation: how, fillStyle: "#fff" });
    context.fillRect(0, 0, this.painted.width, this.painted.height);
  }

  draw() {
    const context = this.shade.getContext("2d");
    context.clearRect(0, 0, this.shade.width, this.shade.height);
    if (this.empty) return;
    Object.assign(context, { globalCompositeOperation: "source-over", fillStyle: DARK });
    context.fillRect(0, 0, this.shade.width, this.shade.height);
    context.globalCompositeOperation = "destination-out";
    context.drawImage(this.painted, 0, 0);
  }

  /** Where a pointer is, in pixels of the mask. */
  at({ clientX, clientY }) {
    const { left, top, width, height } = this.shade.getBoundingClientRect();
    return [((clientX - left) * this.shade.width) / width, ((clientY - top) * this.shade.height) / height];
  }
}
