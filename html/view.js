// The document: shows the state, tells what the person wants. It decides nothing.

import { describe, describeSending, stateOf } from './words.js';

/** @import { Snapshot } from './words.js' */

/**
 * What the person wants.
 *
 * @typedef {object} Wishes
 * @property {(peer: string) => void} call
 * @property {() => void} hangUp
 * @property {(id: string) => void} changeId
 * @property {() => void} otherId
 * @property {(agreed: boolean) => void} agreeToSend
 */

export class View {
  #remote = find('remote', HTMLVideoElement);
  #preview = find('preview', HTMLVideoElement);
  #stage = find('stage', HTMLElement);
  #placeholder = find('placeholder', HTMLElement);
  #status = find('status', HTMLElement);
  #notice = find('notice', HTMLElement);
  #figures = find('figures', HTMLElement);
  #safety = find('safety', HTMLElement);
  #safetyWords = find('safety-words', HTMLElement);
  #id = find('id', HTMLInputElement);
  #changeId = find('change-id', HTMLButtonElement);
  #otherId = find('other-id', HTMLButtonElement);
  #callForm = find('call-form', HTMLFormElement);
  #peer = find('peer', HTMLInputElement);
  #send = find('send', HTMLInputElement);
  #sending = find('sending', HTMLElement);
  #callButton = find('call', HTMLButtonElement);
  #controls = find('controls', HTMLElement);
  #hangUp = find('hang-up', HTMLButtonElement);
  #hear = find('hear', HTMLButtonElement);
  #shownId = '';
  #frameCallback = 0;

  /** @param {Wishes} wishes */
  constructor(wishes) {
    onSubmit('call-form', () => wishes.call(this.#peer.value.trim()));
    onSubmit('id-form', () => wishes.changeId(this.#id.value.trim()));
    this.#hangUp.onclick = () => wishes.hangUp();
    onClick('other-id', () => wishes.otherId());
    onClick('hear', () => this.#unmute());
    onClick('fullscreen', () => void this.#toggleFullscreen());
    this.#send.onchange = () => wishes.agreeToSend(this.#send.checked);
    this.#id.oninput = () => this.#showIdButtons();
    const volume = find('volume', HTMLInputElement);
    volume.oninput = () => {
      this.#remote.volume = volume.valueAsNumber;
      this.#unmute();
    };
  }

  /** @param {Snapshot} snapshot */
  render(snapshot) {
    const { id, link, denial, call, agreedToSend } = snapshot;
    const state = stateOf(snapshot);
    document.body.dataset.state = state;
    setText(this.#status, describe(snapshot));
    setText(this.#sending, describeSending(snapshot) || 'in the calls I make and answer');
    setText(this.#placeholder, PLACEHOLDER[state]);
    if (id !== this.#shownId) this.#id.value = this.#shownId = id;
    this.#id.disabled = call !== null;
    this.#otherId.hidden = link !== 'refused' || denial !== null;
    this.#showIdButtons();
    const isSending = call !== null && (call.sending === 'opening' || call.sending === 'on');
    this.#send.checked = agreedToSend || isSending;
    this.#swapControls(call !== null);
    document.title = call === null ? 'Aldis' : `${call.peer ?? 'Call'} – Aldis`;
  }

  /** Puts an id into the field of whom to call. @param {string} peer */
  suggestPeer(peer) {
    this.#peer.value = peer;
  }

  /** A sentence that stays until the next one, or '' for none. @param {string} sentence */
  showNotice(sentence) {
    this.#notice.hidden = sentence === '';
    setText(this.#notice, sentence);
  }

  /** @param {string} text */
  showFigures(text) {
    setText(this.#figures, text);
  }

  /** @param {MediaStream | null} stream */
  showPreview(stream) {
    this.#preview.srcObject = stream;
    this.#preview.hidden = stream === null || stream.getVideoTracks().length === 0;
  }

  /**
   * Shows and plays the partner's picture and sound.
   *
   * @param {MediaStream} stream
   * @param {(presentedFrames: number) => void} onFrame told how many frames this element has presented
   */
  showRemote(stream, onFrame) {
    this.hideRemote();
    this.#remote.srcObject = stream;
    /** @type {VideoFrameRequestCallback} */
    const step = (_now, { presentedFrames }) => {
      this.#stage.dataset.picture = 'shown';
      this.#frameCallback = this.#remote.requestVideoFrameCallback(step);
      onFrame(presentedFrames);
    };
    this.#frameCallback = this.#remote.requestVideoFrameCallback(step);
    void this.#play();
  }

  /** Shows what comes over another connection, in the place of what there was. @param {MediaStream} stream */
  showOther(stream) {
    this.#remote.srcObject = stream;
    void this.#play();
  }

  /** @param {string | null} words */
  showSafetyWords(words) {
    this.#safety.hidden = words === null;
    setText(this.#safetyWords, words ?? '');
  }

  hideRemote() {
    this.#remote.cancelVideoFrameCallback(this.#frameCallback);
    this.#remote.srcObject = null;
    this.#stage.dataset.picture = 'none';
    this.#hear.hidden = true;
    this.#remote.muted = false;
    if (document.fullscreenElement !== null) document.exitFullscreen().catch(debug);
  }

  get pictureSize() {
    return { width: this.#remote.videoWidth, height: this.#remote.videoHeight };
  }

  /** Browsers may refuse sound until the person has touched the page; the picture need not wait. */
  async #play() {
    try {
      await this.#remote.play();
    } catch (error) {
      if (!(error instanceof DOMException && error.name === 'NotAllowedError')) return debug(error);
      this.#remote.muted = true;
      this.#hear.hidden = false;
      this.#remote.play().catch(debug);
    }
  }

  #unmute() {
    this.#remote.muted = false;
    this.#hear.hidden = true;
    this.#remote.play().catch(debug);
  }

  async #toggleFullscreen() {
    try {
      if (document.fullscreenElement !== null) await document.exitFullscreen();
      else await this.#stage.requestFullscreen();
    } catch (error) {
      debug(error);
    }
  }

  /** The focus moves on with what it was on, so that the keyboard is never left nowhere. @param {boolean} inCall */
  #swapControls(inCall) {
    const [leaving, entering, next] = inCall
      ? [this.#callForm, this.#controls, this.#hangUp] : [this.#controls, this.#callForm, this.#callButton];
    const hadFocus = leaving.contains(document.activeElement);
    leaving.hidden = true;
    entering.hidden = false;
    if (hadFocus) next.focus();
  }

  #showIdButtons() {
    this.#changeId.hidden = this.#id.disabled || this.#id.value.trim() === this.#shownId;
  }
}

/** What stands where the picture would be. @type {Record<import('./words.js').State, string>} */
const PLACEHOLDER = {
  'connecting': '',
  'relay-lost': '',
  'denied': '',
  'registered': 'The picture of the other side appears here.',
  'refused': '',
  'calling': 'Calling…',
  'answering': 'Answering…',
  'connecting-media': 'Connecting…',
  'in-call': 'No picture from the other side.',
  'interrupted': 'Interrupted…',
};

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
function find(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new TypeError(`the page has no ${type.name} #${id}`);
  return element;
}

/** Only when it changes, so that a screen reader does not hear it twice. @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {string} id @param {() => void} act */
function onClick(id, act) {
  find(id, HTMLButtonElement).onclick = act;
}

/** @param {string} id @param {() => void} act */
function onSubmit(id, act) {
  find(id, HTMLFormElement).onsubmit = (event) => {
    event.preventDefault();
    act();
  };
}

/** @param {unknown} error */
function debug(error) {
  console.debug('the picture did not play:', error);
}
