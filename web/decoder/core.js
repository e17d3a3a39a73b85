/* The compiled core: its memory, shared out from below and given back as a whole, and structures that C reads.

   Whoever calls a function of the core has checked every size before, as the Python modules do. */

import { DensezipError } from "./errors.js";

const PAGE = 65536;
const LINE = 64;

export class Core {
    /** @param {WebAssembly.Instance} instance - of core.wasm, which imports nothing */
    constructor(instance) {
        this.functions = instance.exports;
        this.memory = instance.exports.memory;
        this.top = Number(instance.exports.__heap_base.value);
    }

    /** @param {BufferSource} bytes - of core.wasm */
    static async load(bytes) {
        const { instance } = await WebAssembly.instantiate(bytes, {});
        return new Core(instance);
    }

    /** The address of zeros at a multiple of 64. Growing the memory cuts off all views that were made before. */
    reserve(bytes) {
        const address = Math.ceil(this.top / LINE) * LINE;
        const missing = address + bytes - this.memory.buffer.byteLength;
        if (missing > 0) {
            try {
                this.memory.grow(Math.ceil(missing / PAGE));
            } catch {
                throw new DensezipError(`the browser has no ${Math.round((address + bytes) / 1e6)} MB of memory for this file`);
            }
        }
        this.top = address + bytes;
        new Uint8Array(this.memory.buffer, address, bytes).fill(0);
        return address;
    }

    /** The address of a copy. */
    put(array) {
        const address = this.reserve(array.byteLength);
        this.view(array.constructor, address, array.length).set(array);
        return address;
    }

    view(Type, address, length) {
        return new Type(this.memory.buffer, address, length);
    }

    /** What `work` gives; all that it reserved is free again then. */
    during(work) {
        const before = this.top;
        try {
            return work();
        } finally {
            this.top = before;
        }
    }

    /**
     * The address of a structure of C.
     *
     * @param {[string, string][]} fields - names and types: "int64", "float", "double" or "pointer"
     * @param {Object<string, number>} values - of all of them
     */
    structure(fields, values) {
        const sizes = { int64: 8, float: 4, double: 8, pointer: 4 };
        const places = {};
        let size = 0;
        for (const [name, type] of fields) {
            size = Math.ceil(size / sizes[type]) * sizes[type];
            places[name] = size;
            size += sizes[type];
            if (values[name] === undefined) throw new TypeError(`the core wants ${name}, which nobody gives`);
        }
        const found = new Structure(this, this.reserve(Math.ceil(size / 8) * 8), fields, places);
        for (const [name] of fields) found.set(name, values[name]);
        return found;
    }
}

class Structure {
    constructor(core, address, fields, places) {
        this.core = core;
        this.address = address;
        this.types = new Map(fields);
        this.places = places;
    }

    set(name, value) {
        const view = new DataView(this.core.memory.buffer, this.address + this.places[name], 8);
        const type = this.types.get(name);
        if (type === "int64") view.setBigInt64(0, BigInt(value), true);
        else if (type === "double") view.setFloat64(0, value, true);
        else if (type === "float") view.setFloat32(0, value, true);
        else view.setUint32(0, value, true);
    }
}
