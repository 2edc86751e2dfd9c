// How long to wait before the next attempt to reach a relay.

/** The longest wait, in milliseconds: a relay that came back is found again within this time. */
export const MAX_DELAY_MS = 2000;

const FIRST_DELAY_MS = 250;

/**
 * The wait before attempt number `attempt`, counted from 0, in milliseconds: doubled each time up to
 * a bound, then shortened by up to a half at random, so that pages which lost the same relay do not
 * all come back to it in the same instant.
 *
 * @param {number} attempt
 * @param {number} random from 0 to 1
 * @returns {number}
 */
export function delayMs(attempt, random) {
  const longest = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt);
  return longest * (1 - random / 2);
}
