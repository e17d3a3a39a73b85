/* What goes wrong with a file, in words for the person who opened it. */

export class DensezipError extends Error {}

/** The file is damaged, or none that an encoder wrote. */
export class DamagedError extends DensezipError {}

/** The file is sound, but this page cannot decode it. */
export class UnsupportedError extends DensezipError {}

/** Refuses unless a condition holds. */
export function check(condition, message) {
    if (!condition) throw new DamagedError(message);
}
