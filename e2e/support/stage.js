// What a test has started is stopped when the test is over, last first, whatever became of it.

import { AiortcPeer } from './aiortc.js';
import { Browser } from './browser.js';
import { Firefox } from './firefox.js';
import { Client, Relay, RoomClient, Screen, Sound, testMedia } from './programs.js';
import { ADDRESS, TurnServer } from './turn-server.js';

export class Stage {
  /** @param {import('node:test').TestContext} test */
  constructor(test) {
    /** @type {{ stop: (signal?: string) => Promise<unknown> }[]} */
    this.started = [];
    test.after(async () => {
      for (const part of this.started.reverse()) await part.stop().catch(() => {});
    });
  }

  /** @template T @param {Promise<T>} part @returns {Promise<T>} */
  async keep(part) {
    const started = await part;
    this.started.push(/** @type {any} */ (started));
    return started;
  }

  relay(port, args, env) {
    return this.keep(Relay.start(port, args, env));
  }

  /** A relay that other machines reach too. */
  async openRelay() {
    const relay = await this.relay(0, ['--listen', '0.0.0.0:0']);
    relay.url = `ws://${ADDRESS}:${relay.port}/`;
    return relay;
  }

  /** A client that sends a test picture and a tone, unless `args` say otherwise. */
  async client(relay, args, env) {
    const all = [...testMedia(args), ...args];
    const client = await this.keep(Promise.resolve(new Client(relay, all, env)));
    return client.ready();
  }

  /** A machine calls a page, and another one a third. */
  async twoCalls(relay) {
    const browser = await this.browser();
    const page = await browser.open(relay, 'id=ann');
    await page.until('the page is registered', ({ state }) => state === 'registered');
    const toPage = await this.client(relay, ['--peer-id', 'ann']);
    const cam = await this.client(relay, ['--our-id', 'cam']);
    const toCam = await this.client(relay, ['--peer-id', 'cam']);
    await page.sees();
    return { page, toPage, cam, toCam };
  }

  /** A participant that sends a test picture and a tone, unless `args` say otherwise. */
  async roomClient(relay, args) {
    const all = [...testMedia(args), ...args];
    const client = await this.keep(Promise.resolve(new RoomClient(relay, all)));
    return client.ready();
  }

  /** A peer made with aiortc; it has said HELLO. @param {string[]} args */
  async aiortc(relay, args) {
    const peer = await this.keep(Promise.resolve(new AiortcPeer(relay, args)));
    await peer.report('registered');
    return peer;
  }

  browser(options) {
    return this.keep(Browser.start(options));
  }

  async firefox() {
    const sound = await this.sound();
    return this.keep(Firefox.start(sound.env));
  }

  screen(width, height) {
    return this.keep(Screen.start(width, height));
  }

  /** @param {string[]} credentials the options of coturn that say who may use it */
  turnServer(credentials, options) {
    return this.keep(TurnServer.start(credentials, options));
  }

  sound() {
    return this.keep(Sound.start());
  }
}
