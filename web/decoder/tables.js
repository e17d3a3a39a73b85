/* Arrays out of tables.json, and tensors out of safetensors files. */

import { DensezipError } from "./errors.js";

const TYPES = {
    float32: Float32Array,
    int8: Int8Array,
    uint16: Uint16Array,
    int32: Int32Array,
    int64: BigInt64Array,
};

export function bytesOfBase64(text) {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** An array that web/tables.py packed. */
export function unpackArray({ type, data }) {
    return new TYPES[type](bytesOfBase64(data).buffer);
}

/**
 * The tensors of a safetensors file: float32, flat.
 *
 * @param {Uint8Array} file
 * @returns {Map<string, Float32Array>}
 */
export function readTensors(file) {
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    const start = 8 + Number(view.getBigUint64(0, true));
    const described = JSON.parse(new TextDecoder().decode(file.subarray(8, start)));
    const found = new Map();
    for (const [name, tensor] of Object.entries(described)) {
        if (name === "__metadata__") continue;
        if (tensor.dtype !== "F32") throw new DensezipError(`a tensor ${name} of type ${tensor.dtype} in the weights`);
        const [first, last] = tensor.data_offsets;
        found.set(name, new Float32Array(file.slice(start + first, start + last).buffer));
    }
    return found;
}
