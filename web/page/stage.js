/* The picture on its stage: drawn upright, fitted, enlarged, moved by pointer, wheel and keys. */

const STEP = 1.25;
const [LEAST_ZOOM, MOST_ZOOM] = [1 / 64, 64];
const MARGIN = 24;
const STRIDE = 60;

/** How columns and rows are exchanged and reversed for each orientation of EXIF. */
const TURNS = {
    1: [1, 0, 0, 1], 2: [-1, 0, 0, 1], 3: [-1, 0, 0, -1], 4: [1, 0, 0, -1],
    5: [0, 1, 1, 0], 6: [0, 1, -1, 0], 7: [0, -1, -1, 0], 8: [0, -1, 1, 0],
};

export class Stage {
    /**
     * @param {HTMLElement} element
     * @param {HTMLCanvasElement} canvas
     * @param {function(string)} told - gets the zoom in words
     */
    constructor(element, canvas, told) {
        this.element = element;
        this.canvas = canvas;
        this.told = told;
        this.fitted = true;
        this.zoom = 1;
        this.x = this.y = 0;
        new ResizeObserver(() => this.fitted && this.fit()).observe(element);
        element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
        element.addEventListener("pointerdown", (event) => this.grab(event));
        element.addEventListener("dblclick", () => this.toggle());
    }

    /**
     * @param {CanvasImageSource} image
     * @param {number} orientation - 1 to 8
     * @param {number} factor - pixels of the picture that one of the image stands for, on each side
     */
    draw(image, width, height, orientation, factor) {
        const [a, b, c, d] = TURNS[orientation];
        const turned = a === 0;
        this.canvas.width = turned ? height : width;
        this.canvas.height = turned ? width : height;
        const context = this.canvas.getContext("2d");
        const [e, f] = [a < 0 || c < 0 ? this.canvas.width : 0, b < 0 || d < 0 ? this.canvas.height : 0];
        context.setTransform(a, b, c, d, e, f);
        context.drawImage(image, 0, 0);
        this.factor = factor;
    }

    fit() {
        const { clientWidth, clientHeight } = this.element;
        if (!clientWidth || !this.canvas.width) return;
        const room = Math.min((clientWidth - MARGIN) / this.canvas.width, (clientHeight - MARGIN) / this.canvas.height);
        // Small pictures are enlarged by whole numbers, so that their pixels stay squares.
        this.zoom = room >= 2 ? Math.min(Math.floor(room), 16) : Math.min(1, room);
        this.fitted = true;
        this.centre();
    }

    centre() {
        this.x = (this.element.clientWidth - this.canvas.width * this.zoom) / 2;
        this.y = (this.element.clientHeight - this.canvas.height * this.zoom) / 2;
        this.place();
    }

    toggle() {
        if (!this.fitted) return this.fit();
        this.fitted = false;
        this.zoom = 1;
        this.centre();
    }

    /** Larger or smaller, around a point of the stage. */
    scale(by, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
        const zoom = Math.min(MOST_ZOOM, Math.max(LEAST_ZOOM, this.zoom * by));
        this.x = x - ((x - this.x) * zoom) / this.zoom;
        this.y = y - ((y - this.y) * zoom) / this.zoom;
        this.zoom = zoom;
        this.fitted = false;
        this.place();
    }

    larger() {
        this.scale(STEP);
    }

    smaller() {
        this.scale(1 / STEP);
    }

    move(columns, rows) {
        this.x -= columns * STRIDE;
        this.y -= rows * STRIDE;
        this.fitted = false;
        this.place();
    }

    place() {
        this.canvas.style.transform = `translate(${Math.round(this.x)}px, ${Math.round(this.y)}px) scale(${this.zoom})`;
        this.canvas.classList.toggle("sharp", this.zoom >= 2);
        this.told(`${Number(((100 * this.zoom) / (this.factor ?? 1)).toPrecision(3))} %`);
    }

    wheel(event) {
        event.preventDefault();
        const box = this.element.getBoundingClientRect();
        this.scale(2 ** (-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
    }

    grab(event) {
        if (event.button !== 0) return;
        const { element } = this;
        let [x, y] = [event.clientX, event.clientY];
        element.setPointerCapture(event.pointerId);
        element.classList.add("dragging");
        const drag = (move) => {
            this.x += move.clientX - x;
            this.y += move.clientY - y;
            [x, y] = [move.clientX, move.clientY];
            this.fitted = false;
            this.place();
        };
        const drop = () => {
            element.classList.remove("dragging");
            element.removeEventListener("pointermove", drag);
        };
        element.addEventListener("pointermove", drag);
        element.addEventListener("pointerup", drop, { once: true });
        element.addEventListener("pointercancel", drop, { once: true });
    }
}
