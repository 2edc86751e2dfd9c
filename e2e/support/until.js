// Waiting for a condition, with an end.

/** How long a condition is waited for: nothing that works takes as long, however busy the machine is. */
const LIMIT_MS = 60_000;

/**
 * Asks again and again until the answer is neither `undefined`, `null` nor `false`, and returns it.
 *
 * @template T
 * @param {string} what the condition in words, for the error
 * @param {() => T | Promise<T>} condition
 * @param {number} [limitMs] how long to ask
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, condition, limitMs = LIMIT_MS) {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const answer = await condition();
    if (answer !== undefined && answer !== null && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await pause(50);
  }
}

/** The time between two looks at a condition. */
export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
