// The part of the page about a native client that lets itself be controlled: shows what it says, tells
// what the person wants. It decides nothing.

/** @import { Ask, Control } from './control.js' */

export class MachineView {
  #section = find('machine', HTMLElement);
  #video = find('machine-video', HTMLSelectElement);
  #audio = find('machine-audio', HTMLSelectElement);
  #bitrate = find('machine-bitrate', HTMLSelectElement);
  #keyFrame = find('machine-key-frame', HTMLButtonElement);
  #statistics = find('machine-statistics', HTMLElement);
  #outcome = find('machine-outcome', HTMLElement);
  /** Whose lists are shown. @type {unknown} */
  #shown = null;

  /** @param {(ask: Ask) => void} ask */
  constructor(ask) {
    this.#video.onchange = () => ask({ request: 'switch', kind: 'video', index: this.#video.selectedIndex });
    this.#audio.onchange = () => ask({ request: 'switch', kind: 'audio', index: this.#audio.selectedIndex });
    this.#bitrate.onchange = () => ask({ request: 'bitrate', max_kbps: Number(this.#bitrate.value) || null });
    this.#keyFrame.onclick = () => ask({ request: 'key-frame' });
  }

  /** @param {Control | null} control of the present call */
  render(control) {
    const machine = control?.machine ?? null;
    this.#section.hidden = machine === null;
    if (control === null || machine === null) {
      this.#shown = null;
      return;
    }
    setText(this.#statistics, control.statistics);
    setText(this.#outcome, control.outcome);
    if (this.#shown === machine) return;
    this.#shown = machine;
    const offer = (/** @type {HTMLSelectElement} */ select, /** @type {string[]} */ names) => {
      select.replaceChildren(...names.map((name) => new Option(name)));
      show(select, control.knows('switch') && names.length > 1);
    };
    offer(this.#video, machine.sources.video);
    offer(this.#audio, machine.sources.audio);
    const { min, max } = machine.bitrate;
    const caps = [2000, 1000, 500, 250].filter((cap) => cap >= min && cap < max);
    this.#bitrate.replaceChildren(new Option('as much as it likes', ''), ...caps.map((cap) => new Option(`${cap} kbit/s`, `${cap}`)));
    show(this.#bitrate, control.knows('bitrate') && caps.length > 0 && machine.sources.video.length > 0);
    this.#keyFrame.hidden = !control.knows('key-frame') || machine.sources.video.length === 0;
  }
}

/** With its label. @param {HTMLElement} field @param {boolean} isShown */
function show(field, isShown) {
  (field.closest('label') ?? field).hidden = !isShown;
}

/** Only when it changes, so that a screen reader does not hear it twice. @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

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
