// The WebSocket to the relay. One at a time; what a replaced one still reports is not heard.

/** @import { Entrance } from './entrance.js' */
/** @import { Denial } from './link.js' */
/** @import { Event } from './session.js' */

/** @typedef {{ socket: WebSocket | null, isLeaving: boolean }} Attempt */

export class Signaller {
  /** The one that is heard. @type {Attempt | null} */
  #attempt = null;
  /** The address of the last connection, if that was opened and not lost. @type {string | null} */
  #proven = null;
  #entrance;
  #emit;

  /**
   * @param {Entrance} entrance
   * @param {(event: Event) => void} emit
   */
  constructor(entrance, emit) {
    this.#entrance = entrance;
    this.#emit = emit;
  }

  connect() {
    this.#attempt?.socket?.close(1000);
    /** @type {Attempt} */
    const attempt = { socket: null, isLeaving: false };
    this.#attempt = attempt;
    const { url, isSecret } = this.#entrance.way;
    if (isSecret && url !== this.#proven) void this.#knock(attempt, url);
    else this.#open(attempt, url);
  }

  disconnect() {
    const attempt = this.#attempt;
    if (attempt === null) return;
    attempt.isLeaving = true;
    const { socket } = attempt;
    // What is asked about it matters no longer.
    if (socket === null || socket.readyState === WebSocket.CLOSED) this.#end(attempt, 1000, '', null);
    else socket.close(1000);
  }

  /** @param {string} line */
  send(line) {
    // A socket that is no longer open has its 'relay-closed' on the way.
    const socket = this.#attempt?.socket;
    if (socket?.readyState === WebSocket.OPEN) socket.send(line);
  }

  /**
   * Asks before it opens: a browser writes the address of a WebSocket that fails, and the token with
   * it, into its log.
   *
   * @param {Attempt} attempt
   * @param {string} url
   */
  async #knock(attempt, url) {
    const answer = await this.#entrance.ask();
    if (attempt !== this.#attempt) return;
    if (answer.type === 'lent' || answer.type === 'none') this.#open(attempt, url);
    else this.#end(attempt, 1006, '', answer.type === 'denied' ? answer.denial : null);
  }

  /** @param {Attempt} attempt @param {string} url */
  #open(attempt, url) {
    /** @type {WebSocket} */
    let socket;
    try {
      socket = new WebSocket(url);
    } catch (error) {
      // A page from https may open no ws: the relay is as good as unreachable. The text may have the address.
      console.error('the WebSocket was not opened:', error instanceof Error ? error.name : '');
      queueMicrotask(() => this.#end(attempt, 1006, '', null));
      return;
    }
    attempt.socket = socket;
    let wasOpen = false;
    socket.onopen = () => {
      wasOpen = true;
      this.#proven = url;
      if (attempt === this.#attempt) this.#emit({ type: 'relay-opened' });
    };
    socket.onmessage = ({ data }) => {
      if (attempt === this.#attempt && typeof data === 'string') this.#emit({ type: 'relay-line', line: data });
    };
    socket.onclose = async ({ code, reason }) => {
      if (attempt !== this.#attempt) return;
      if (code !== 1000) this.#proven = null;
      this.#end(attempt, code, reason, wasOpen || attempt.isLeaving ? null : await this.#entrance.why());
    };
  }

  /**
   * Tells the end of a connection, once.
   *
   * @param {Attempt} attempt
   * @param {number} code
   * @param {string} reason
   * @param {Denial | null} denial why it was not opened, as far as that is known
   */
  #end(attempt, code, reason, denial) {
    if (attempt !== this.#attempt) return;
    this.#attempt = null;
    this.#emit({ type: 'relay-closed', code, reason, denial });
  }
}
