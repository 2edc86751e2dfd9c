// Words that two people compare, to be sure that nobody sits between them. Pure; what they are made of
// is said in protocol/safety-words.txt.
//
// SHA-256 (FIPS 180-4) is written out, because a browser lends its own to pages from https alone, and a
// page from anywhere may be in a call.

/** How many words there are: 64 bits. */
const COUNT = 8;

/** How often the hash is hashed again, which makes looking for certificates with the same words dear. */
const ROUNDS = 16_384;

/** Tells these hashes from all others. */
const PURPOSE = new TextEncoder().encode('aldis safety words 1');

/**
 * The words for two ends, by their session descriptions, whichever is named first; null when one of
 * them announces no SHA-256 fingerprint, or more than one.
 *
 * @param {string} one
 * @param {string} other
 * @returns {string | null}
 */
export function safetyWords(one, other) {
  const [first, second] = [announced(one), announced(other)].sort();
  if (first === undefined || second === undefined || first === '' || second === '') return null;
  return wordsOf(first, second);
}

/**
 * The SHA-256 fingerprint that a session description announces, as 64 small hexadecimal digits; '' when
 * there is none, or more than one.
 *
 * @param {string} sdp
 * @returns {string}
 */
export function announced(sdp) {
  const found = new Set([...sdp.matchAll(/^a=fingerprint:sha-256 ([0-9a-f:]+)\s*$/gim)].map(([, text = '']) => (
    text.replaceAll(':', '').toLowerCase()
  )));
  const [only = ''] = found;
  return found.size === 1 && /^[0-9a-f]{64}$/.test(only) ? only : '';
}

/** @param {string} first @param {string} second 64 small hexadecimal digits each, in their order */
function wordsOf(first, second) {
  const bytes = [...PURPOSE, ...unhex(first), ...unhex(second)];
  const state = new Int32Array(8);
  hash(bytes, state);
  // A digest and its padding are one block, over which the state goes again and again.
  const block = new Int32Array(64);
  for (let round = 0; round < ROUNDS; round += 1) {
    block.set(state);
    block[8] = 0x8000_0000 | 0;
    block.fill(0, 9, 15);
    block[15] = 256;
    state.set(INITIAL);
    compress(state, block);
  }
  const digest = [...state].flatMap((word) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]);
  return digest.slice(0, COUNT).map((byte) => WORDS[byte]).join(' ');
}

/** @param {string} text @returns {number[]} */
function unhex(text) {
  return (text.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
}

/** SHA-256 of some bytes, fewer than 2^28. @param {number[]} bytes @param {Int32Array} state */
function hash(bytes, state) {
  state.set(INITIAL);
  const padded = [...bytes, 128];
  while (padded.length % 64 !== 56) padded.push(0);
  const bits = bytes.length * 8;
  padded.push(0, 0, 0, 0, bits >>> 24, (bits >>> 16) & 255, (bits >>> 8) & 255, bits & 255);
  const block = new Int32Array(64);
  for (let at = 0; at < padded.length; at += 64) {
    for (let i = 0; i < 16; i += 1) {
      const [a = 0, b = 0, c = 0, d = 0] = padded.slice(at + 4 * i, at + 4 * i + 4);
      block[i] = (a << 24) | (b << 16) | (c << 8) | d;
    }
    compress(state, block);
  }
}

/**
 * One block into the state.
 *
 * @param {Int32Array} state
 * @param {Int32Array} w the block in the first 16 of its 64 places; the others are overwritten
 */
function compress(state, w) {
  for (let i = 16; i < 64; i += 1) {
    const x = at(w, i - 15);
    const y = at(w, i - 2);
    const s0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
    const s1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
    w[i] = (at(w, i - 16) + s0 + at(w, i - 7) + s1) | 0;
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  for (let i = 0; i < 64; i += 1) {
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + at(K, i) + at(w, i)) | 0;
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + t1) | 0;
    d = c; c = b; b = a; a = (t1 + t2) | 0;
  }
  for (const [i, value] of [a, b, c, d, e, f, g, h].entries()) state[i] = (at(state, i) + value) | 0;
}

/** @param {number} word @param {number} by */
function rotate(word, by) {
  return (word >>> by) | (word << (32 - by));
}

/** @param {Int32Array} words @param {number} index of one that is there */
function at(words, index) {
  return words[index] ?? 0;
}

/** The first 32 bits of the fractional parts of the square roots of the first eight primes. */
const INITIAL = fractions(8, 2);

/** The same of the cube roots of the first 64. */
const K = fractions(64, 3);

/** @param {number} count @param {2 | 3} degree of the root */
function fractions(count, degree) {
  const words = new Int32Array(count);
  let found = 0;
  for (let n = 2; found < count; n += 1) {
    let isPrime = true;
    for (let d = 2; d * d <= n; d += 1) isPrime &&= n % d !== 0;
    if (!isPrime) continue;
    const root = degree === 2 ? Math.sqrt(n) : Math.cbrt(n);
    words[found] = ((root - Math.floor(root)) * 2 ** 32) | 0;
    found += 1;
  }
  return words;
}

/** Short words that nobody mistakes for one another. */
export const WORDS = [
  'acorn album alpine amber anchor anvil apple apron arcade arrow atlas autumn badge bagel bamboo banjo',
  'barrel basket beacon beetle bishop bison blanket bonfire bottle breeze bridge bronze bucket butter button cabin',
  'cactus camel candle canyon carbon carpet castle cedar cello cherry chimney cinema circus cobalt coffee comet',
  'copper coral cotton cricket crystal curtain cymbal daisy dancer desert diesel dinner dollar dolphin donkey dragon',
  'drummer eagle easel echo eclipse elbow eleven ember engine exit fabric falcon feather fender fiddle finger',
  'flamingo flute forest fossil fountain galaxy garden garlic gecko geyser ginger glacier goblet golden gravel guitar',
  'hammer harbor hazel helmet heron hockey honey hotel humble icicle igloo indigo insect island ivory jacket',
  'jaguar jasmine jersey jigsaw jungle juniper kayak kernel kettle kitten koala ladder lagoon lantern laptop laurel',
  'lemon leopard library lizard lobster lunar magnet mango maple marble meadow melon mirror mitten monsoon mosaic',
  'mountain muffin museum nectar needle nickel ninety noodle nutmeg oasis ocean octave olive onion opera orbit',
  'orchid otter oxygen oyster paddle palace panda paper parrot pebble pelican pencil pepper piano pigeon pilot',
  'pirate planet plaza pocket popcorn potato puzzle quartz queen rabbit radar raisin rapid raven ribbon river',
  'robot rocket rooster ruby saddle salmon sandal scarf school scooter seven shadow sheriff signal silver siren',
  'spider spiral stable stereo summer sunset tablet tango teapot temple thimble thunder ticket tiger tomato topaz',
  'tornado trumpet tulip tundra tunnel turtle umbrella uncle unicorn urban valley vanilla velvet vessel violin volcano',
  'voyage waffle wagon walnut walrus whistle willow window winter wizard yacht yellow yogurt zebra zenith zigzag',
].flatMap((line) => line.split(' '));
