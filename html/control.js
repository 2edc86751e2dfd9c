// What the page asks of a native client over the data channel `aldis-control`; protocol/CONTROL.md is
// the normative text. Pure: texts come in, texts go out.

/** The label of the channel. */
export const CONTROL_LABEL = 'aldis-control';

/** The version this page speaks. */
const VERSION = 1;

/** How often statistics are asked for. */
const INTERVAL_MS = 2000;

/** No list is longer, and no name in it; what a client says is a stranger's text. */
const MAX_SOURCES = 64;
const MAX_NAME = 200;

/**
 * @typedef {object} Machine what a client has said of itself
 * @property {string[]} requests what it answers
 * @property {{ video: string[], audio: string[] }} sources
 * @property {{ min: number, max: number }} bitrate in kilobits a second
 */

/** @typedef {{ request: 'statistics', interval_ms: number | null } | { request: 'key-frame' }
 *   | { request: 'switch', kind: 'video' | 'audio', index: number }
 *   | { request: 'bitrate', max_kbps: number | null }} Ask */

export class Control {
  /** What the partner has said of itself; null until it says hello. @type {Machine | null} */
  machine = null;
  #isGreeted = false;
  /** Its last figures, in words. */
  statistics = '';
  /** What became of the last wish, in words. */
  outcome = '';
  /** Wishes that are not answered yet, by their numbers. @type {Map<number, Ask>} */
  #asked = new Map();
  #next = 1;

  /** Whether it answers a request. @param {Ask['request']} request */
  knows(request) {
    return this.machine !== null && this.machine.requests.includes(request);
  }

  /**
   * Takes the place of the control of an earlier connection to the same client: what was chosen there
   * goes on, and what was said is not forgotten.
   *
   * @param {Control} earlier
   */
  succeed(earlier) {
    this.machine = known(earlier.machine, this.machine);
    this.statistics ||= earlier.statistics;
    this.outcome ||= earlier.outcome;
  }

  /**
   * Something came on the channel.
   *
   * @param {unknown} text
   * @returns {string[]} what to say to that
   */
  hear(text) {
    const said = typeof text === 'string' ? parse(text) : null;
    if (said === null) return [];
    switch (said.type) {
      case 'hello': return this.#onHello(said);
      case 'ok': this.#onAnswer(said.id, null); break;
      case 'error': this.#onAnswer(said.id, typeof said.text === 'string' ? said.text : ''); break;
      case 'statistics': this.statistics = describeStatistics(said); break;
    }
    return [];
  }

  /**
   * The text that asks for something.
   *
   * @param {Ask} ask
   */
  ask(ask) {
    const id = this.#next;
    this.#next += 1;
    this.#asked.set(id, ask);
    return JSON.stringify({ id, ...ask });
  }

  /** @param {Record<string, unknown>} said @returns {string[]} */
  #onHello(said) {
    if (said.version !== VERSION || this.#isGreeted) return [];
    this.#isGreeted = true;
    const { sources, bitrate_kbps: bitrate } = said;
    this.machine = known(this.machine, {
      requests: texts(said.requests),
      sources: { video: texts(field(sources, 'video')), audio: texts(field(sources, 'audio')) },
      bitrate: { min: number(field(bitrate, 'min')), max: number(field(bitrate, 'max')) },
    });
    return this.knows('statistics') ? [this.ask({ request: 'statistics', interval_ms: INTERVAL_MS })] : [];
  }

  /** @param {unknown} id @param {string | null} problem */
  #onAnswer(id, problem) {
    const ask = typeof id === 'number' ? this.#asked.get(id) : undefined;
    if (ask === undefined) return;
    this.#asked.delete(/** @type {number} */ (id));
    if (ask.request === 'statistics') return;
    this.outcome = problem === null ? describeDone(ask) : `That did not work: ${problem}.`;
  }
}

/**
 * What was said before where the same is said again: one object stands for one machine.
 *
 * @param {Machine | null} before
 * @param {Machine | null} now
 */
function known(before, now) {
  return now === null || JSON.stringify(before) === JSON.stringify(now) ? before : now;
}

/** @param {string} text @returns {Record<string, unknown> | null} */
function parse(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** @param {unknown} value @param {string} name @returns {unknown} */
function field(value, name) {
  return typeof value === 'object' && value !== null ? /** @type {Record<string, unknown>} */ (value)[name] : undefined;
}

/** @param {unknown} value */
function texts(value) {
  if (!Array.isArray(value)) return [];
  return value.slice(0, MAX_SOURCES).map((text) => String(text).slice(0, MAX_NAME));
}

/** @param {unknown} value */
function number(value) {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

/** @param {Record<string, unknown>} said */
function describeStatistics(said) {
  const sent = said.sent;
  const [fps, kbps] = [number(field(sent, 'fps')), number(field(sent, 'video_kbps'))];
  const loss = number(field(sent, 'loss_percent'));
  const trip = typeof said.rtt_ms === 'number' ? `, ${Math.round(said.rtt_ms)} ms there and back` : '';
  return `It sends ${Math.round(fps)} frames a second, ${Math.round(kbps)} kbit/s, of which ${loss} % are lost${trip}.`;
}

/** @param {Ask} ask */
function describeDone(ask) {
  switch (ask.request) {
    case 'switch': return 'It changes over.';
    case 'key-frame': return 'It begins the picture anew.';
    case 'bitrate': return ask.max_kbps === null ? 'It sends as much as it likes.' : `It sends no more than ${ask.max_kbps} kbit/s.`;
    case 'statistics': return '';
  }
}
