// The WebSocket to the relay. One at a time; what a replaced one still reports is not heard.

/** @import { Event } from './session.js' */

export class Signaller {
  /** @type {WebSocket | null} */
  #socket = null;
  #url;
  #emit;

  /**
   * @param {string} url
   * @param {(event: Event) => void} emit
   */
  constructor(url, emit) {
    this.#url = url;
    this.#emit = emit;
  }

  connect() {
    this.disconnect();
    /** @type {WebSocket} */
    let socket;
    try {
      socket = new WebSocket(this.#url);
    } catch (error) {
      // A page from https may open no ws: the relay is as good as unreachable.
      console.error(String(error));
      queueMicrotask(() => this.#emit({ type: 'relay-closed', code: 1006, reason: '' }));
      return;
    }
    this.#socket = socket;
    /** @param {Event} event */
    const emit = (event) => {
      if (this.#socket === socket) this.#emit(event);
    };
    socket.onopen = () => emit({ type: 'relay-opened' });
    socket.onmessage = ({ data }) => {
      if (typeof data === 'string') emit({ type: 'relay-line', line: data });
    };
    socket.onclose = ({ code, reason }) => emit({ type: 'relay-closed', code, reason });
  }

  disconnect() {
    this.#socket?.close(1000);
  }

  /** @param {string} line */
  send(line) {
    // A socket that is no longer open has its 'relay-closed' on the way.
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(line);
  }
}
