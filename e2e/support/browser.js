// Chromium, and what a page in it sees and hears.

import { chromium } from 'playwright-core';
import { Profile, kill } from './profile.js';
import { until } from './until.js';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--autoplay-policy=no-user-gesture-required', '--disable-renderer-backgrounding',
  '--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows',
];

/** A camera that shows a moving picture and a microphone that beeps, and a person who allows both. */
const FAKE_DEVICES = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];

export class Browser {
  /**
   * @param {{ devices?: boolean, trusting?: boolean }} [options] whether it has a camera and may use
   *   it; whether it takes certificates for which nobody vouches
   */
  static async start({ devices = false, trusting = false } = {}) {
    const browser = new Browser();
    browser.profile = new Profile('chromium');
    browser.context = await chromium.launchPersistentContext(browser.profile.folder, {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [...FLAGS, ...(devices ? FAKE_DEVICES : [])],
      viewport: { width: 1280, height: 800 },
      ignoreHTTPSErrors: trusting,
    });
    browser.pids = browser.profile.processes();
    return browser;
  }

  /** Opens the page of a relay; `hash` is what follows the `#`. */
  async open(relay, hash = '') {
    const page = await this.context.newPage();
    const view = new Page(page);
    page.on('console', (message) => view.log.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => view.errors.push(String(error)));
    page.on('request', (request) => view.hosts.add(new URL(request.url()).host));
    page.on('websocket', (socket) => view.hosts.add(new URL(socket.url()).host));
    await page.goto(`${relay.page}#${hash}`);
    return view;
  }

  /** Pages that are opened from now on take one codec of pictures alone. @param {string} codec */
  takeOnly(codec) {
    return this.context.addInitScript((codec) => {
      const createAnswer = RTCPeerConnection.prototype.createAnswer;
      RTCPeerConnection.prototype.createAnswer = function (...args) {
        const { codecs } = RTCRtpReceiver.getCapabilities('video');
        const taken = codecs.filter(({ mimeType }) => [`video/${codec}`, 'video/rtx'].includes(mimeType.toLowerCase()));
        for (const transceiver of this.getTransceivers()) {
          if (transceiver.receiver.track.kind === 'video') transceiver.setCodecPreferences(taken);
        }
        return createAnswer.apply(this, args);
      };
    }, codec);
  }

  /** Every process of this browser gets the signal, and nobody has time to say good-bye. */
  signal(name) {
    // Some were started since: one for each page, and whatever else it took.
    this.pids = [...new Set([...this.pids, ...this.profile.processes()])];
    kill(this.pids, name);
  }

  async stop() {
    this.signal('SIGCONT');
    await this.profile.remove(this.context.close());
  }
}

export class Page {
  constructor(page) {
    this.page = page;
    /** @type {string[]} */
    this.log = [];
    /** @type {string[]} */
    this.errors = [];
    /** @type {Set<string>} */
    this.hosts = new Set();
  }

  /** What the page says of itself. */
  state() {
    return this.page.evaluate(() => {
      const { pc, ...state } = globalThis.aldis;
      return { ...state };
    });
  }

  /** Waits until the page says something of itself. */
  async until(what, condition, limitMs) {
    let last;
    try {
      return await until(what, async () => {
        last = await this.state();
        return condition(last) && last;
      }, limitMs);
    } catch (error) {
      throw new Error(`${error.message}; the page: ${JSON.stringify(last)}\n${this.log.slice(-20).join('\n')}`);
    }
  }

  /** Waits until the page says this in words; what it says changes while it tries again. */
  async says(pattern) {
    let text;
    await until(`the page says ${pattern}`, async () => {
      text = await this.page.locator('#status').innerText();
      return pattern.test(text);
    }).catch((error) => {
      throw new Error(`${error.message}; it says ${text}`);
    });
  }

  /** Waits until its picture has about these colours at some points. */
  async shows(what, points, colours) {
    let pixels;
    await until(what, async () => {
      ({ pixels } = await this.picture(points));
      return pixels.every((pixel, at) => Math.hypot(...pixel.map((part, of) => part - colours[at][of])) < 60);
    }).catch((error) => {
      throw new Error(`${error.message}; it shows ${pixels?.join(' and ')}, not ${colours.join(' and ')}`);
    });
  }

  /** Waits for a picture that moves. */
  async sees(limitMs) {
    return this.until('the page presents frames of this call', (state) => (
      state.state === 'in-call' && state.framesPresented > 2
    ), limitMs);
  }

  /** Ticks the box that lets callers see and hear this person. */
  async agreeToSend() {
    await this.page.locator('#send').check();
  }

  /** What the receiver of a kind of media counts. */
  inbound(kind) {
    return this.page.evaluate(async (kind) => {
      // Before a call and after it there is no connection.
      const stats = await globalThis.aldis.pc?.getStats();
      const all = [...stats?.values() ?? []];
      const inbound = all.find((entry) => entry.type === 'inbound-rtp' && entry.kind === kind);
      const codec = all.find((entry) => entry.id === inbound?.codecId);
      return inbound && {
        decoded: inbound.framesDecoded, width: inbound.frameWidth, height: inbound.frameHeight,
        codec: codec?.mimeType, at: inbound.timestamp,
      };
    }, kind);
  }

  /** How many frames a second are decoded, over so many seconds. */
  async decodedRate(seconds) {
    const first = await this.inbound('video');
    const last = await until('time passes', async () => {
      const now = await this.inbound('video');
      return now.at - first.at >= seconds * 1000 && now;
    }, seconds * 3000 + 5000);
    return (last.decoded - first.decoded) / ((last.at - first.at) / 1000);
  }

  /** The picture that is shown: some pixels, and where the black square is along the middle row. */
  picture(points) {
    return this.page.evaluate((points) => {
      const video = [...document.querySelectorAll('video')].find((video) => video.videoWidth > 0 && !video.muted)
        ?? [...document.querySelectorAll('video')].find((video) => video.videoWidth > 0);
      const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
      const context = canvas.getContext('2d', { willReadFrequently: true });
      context.drawImage(video, 0, 0);
      const { width, height } = canvas;
      const pixel = ([x, y]) => [...context.getImageData(x * width, y * height, 1, 1).data.slice(0, 3)];
      const row = context.getImageData(0, height / 2, width, 1).data;
      const dark = [];
      for (let x = 0; x < width; x += 1) {
        if (row[4 * x] + row[4 * x + 1] + row[4 * x + 2] < 90) dark.push(x);
      }
      return { width, height, pixels: points.map(pixel), square: dark[0] ?? null, squareWidth: dark.length };
    }, points);
  }

  /** The loudest frequency in the sound that comes in, in Hz, once there is one. */
  async tone(limitMs) {
    await this.page.evaluate(() => {
      const receiver = globalThis.aldis.pc.getReceivers().find((receiver) => receiver.track.kind === 'audio');
      const context = new AudioContext();
      const analyser = context.createAnalyser();
      analyser.fftSize = 16384;
      context.createMediaStreamSource(new MediaStream([receiver.track])).connect(analyser);
      globalThis.hearing = { context, analyser };
    });
    return until('a tone is heard', () => this.page.evaluate(() => {
      const { context, analyser } = globalThis.hearing;
      const bins = new Float32Array(analyser.frequencyBinCount);
      analyser.getFloatFrequencyData(bins);
      const loudest = bins.reduce((best, level, bin) => (level > bins[best] ? bin : best), 0);
      return bins[loudest] > -50 && (loudest * context.sampleRate) / analyser.fftSize;
    }), limitMs);
  }
}
