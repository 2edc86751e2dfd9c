// The programs under test, and what stands in for a person's screen and sound.

import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { spawnSync } from 'node:child_process';
import { Program } from './process.js';
import { until } from './until.js';

/** Where the programs under test are. */
export const binaries = process.env.ALDIS_BIN ?? join(import.meta.dirname ?? '.', '../../target/debug');

/** The relay. */
export class Relay extends Program {
  constructor(port, args, env, { address = '127.0.0.1', within } = {}) {
    super(join(binaries, 'signalling'), ['--listen', `${address}:${port}`, ...args], { name: 'signalling', env, within });
  }

  static async start(port = 0, args = [], env = {}, where = {}) {
    const relay = new Relay(port, args, env, where);
    const [, page, socket] = await relay.line(/page (https?:\S+)\s+WebSocket (wss?:\S+)/);
    relay.page = page;
    relay.url = socket;
    relay.port = Number(new URL(page).port);
    return relay;
  }

  /** The SHA-256 of its certificate, as it prints it. */
  async fingerprint() {
    const [, fingerprint] = await this.line(/^Certificate: SHA-256 (\S+)/);
    return fingerprint;
  }
}

/** A program that prints what happens to it, one JSON object a line. */
export class Reporter extends Program {
  /** @param {string} file @param {string[]} args @param {ConstructorParameters<typeof Program>[2]} options */
  constructor(file, args, options) {
    super(file, args, options);
    /** @type {any[]} */
    this.reports = [];
  }

  heard(line, lines) {
    super.heard(line, lines);
    if (lines === this.lines) this.reports?.push(JSON.parse(line));
  }

  /** How many reports there are; what comes later is found with `after`. */
  get mark() {
    return this.reports.length;
  }

  /**
   * The first report of a kind that fits, waited for.
   *
   * @param {string} event
   * @param {{ after?: number, where?: (report: any) => boolean, limitMs?: number }} [options]
   */
  async report(event, { after = 0, where = () => true, limitMs } = {}) {
    return until(`${this.name} reports ${event}`, () => {
      const found = this.reports.slice(after).find((report) => report.event === event && where(report));
      if (!found && this.ended) {
        throw new Error(`${this.name} ended (${this.ended.code}): ${this.errors.join('\n')}`);
      }
      return found;
    }, limitMs);
  }
}

/** A native client, with its reports as objects. */
export class Client extends Reporter {
  constructor(relay, args, env = {}, { program = 'client', before = ['--show', 'none'], machine = undefined } = {}) {
    const all = ['--json', ...before, '--server', relay.url, ...args];
    // `ip netns exec` becomes what it starts.
    const within = machine && ['ip', 'netns', 'exec', machine.name];
    const stdin = args.includes('--commands') ? 'pipe' : 'ignore';
    const name = `${program} ${args.join(' ')}`;
    super(join(binaries, program), all, { name, env, within, stdio: [stdin, 'pipe', 'pipe'] });
  }

  /** Types a line into it, where it was told to take commands. */
  type(line) {
    this.child.stdin?.write(`${line}\n`);
  }

  /** Starts it and waits until the relay knows it. */
  static start(relay, args, env) {
    return new Client(relay, args, env).ready();
  }

  async ready() {
    this.id = (await this.report('registered')).id;
    return this;
  }

  /** `count` statistics lines from now on. */
  async rates(count) {
    const after = this.mark;
    return until(`${count} statistics of ${this.name}`, () => {
      const found = this.reports.slice(after).filter((report) => report.event === 'stats');
      return found.length >= count && found.slice(0, count);
    });
  }

  /** Statistics from now on that are as they should be: a busy machine needs a moment. */
  async reaches(what, where) {
    const after = this.mark;
    return this.report('stats', { after, where }).catch((error) => {
      const seen = this.reports.slice(after).filter((report) => report.event === 'stats').slice(-3);
      throw new Error(`${what}: ${error.message}; ${JSON.stringify(seen)}`);
    });
  }

  /**
   * Waits until a call is over and the relay knows it again: who calls it before is told that nobody is
   * there. Returns how the call ended.
   *
   * @param {{ after?: number }} [options]
   */
  async free({ after = 0 } = {}) {
    const ended = await this.report('ended', { after });
    await this.report('registered', { after: this.reports.indexOf(ended) });
    return ended;
  }
}

/** A native participant of a room. */
export class RoomClient extends Client {
  constructor(relay, args) {
    super(relay, args, {}, { program: 'room-client', before: [] });
  }

  /** Waits until it is in the room. */
  async ready() {
    await super.ready();
    await this.report('joined');
    return this;
  }
}

/** Four colours, over which a black square moves from left to right: what lavfi draws. */
export function film(width, height, framerate) {
  const half = `${width / 2}x${height / 2}:r=${framerate}`;
  const quarter = (colour, name) => `color=${colour}:s=${half}[${name}]`;
  return [
    quarter('0xc00000', 'a'), quarter('0x00c000', 'b'), quarter('0x0000c0', 'c'), quarter('0xc0c0c0', 'd'),
    '[a][b]hstack[top]', '[c][d]hstack[bottom]', '[top][bottom]vstack[all]',
    `color=black:s=80x80:r=${framerate}[square]`,
    `[all][square]overlay=x='mod(t*240\\,${width - 80})':y=${height / 2 - 40}`,
  ].join(';');
}

/** An X server without a monitor, on which something known moves. */
export class Screen extends Program {
  /** On this display (`:7`), or on one that is free. */
  static async start(width = 1280, height = 720, display = undefined) {
    const named = display === undefined ? [] : [display];
    // Left to itself it begins anew when its last client goes, and turns away who comes in that instant.
    const args = [...named, '-noreset', '-displayfd', '3', '-screen', '0', `${width}x${height}x24`, '-nolisten', 'tcp'];
    const screen = new Screen('Xvfb', args, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
    let number = '';
    screen.child.stdio[3].on('data', (data) => (number += data));
    await until('Xvfb names its display', () => number.includes('\n') || screen.ended);
    if (screen.ended) throw new Error(`Xvfb ended: ${screen.errors.join('\n')}`);
    screen.display = `:${number.trim()}`;
    return screen;
  }

  /** Fills the screen with four colours, over which a black square moves from left to right. */
  async play(width = 1280, height = 720, framerate = 30) {
    const graph = film(width, height, framerate);
    this.player = new Program(
      'ffplay',
      ['-v', 'error', '-noborder', '-left', '0', '-top', '0', '-f', 'lavfi', '-i', graph],
      { env: { DISPLAY: this.display, SDL_AUDIODRIVER: 'dummy' }, name: 'ffplay' },
    );
    await until('the picture is on the screen', () => {
      if (this.player.ended) throw new Error(`ffplay ended: ${this.player.errors.join('\n')}`);
      const tree = spawnSync('xwininfo', ['-display', this.display, '-root', '-tree'], { encoding: 'utf8' });
      return tree.stdout.includes(`("ffplay" "ffplay")  ${width}x${height}+0+0`);
    });
  }

  async stop() {
    await this.player?.stop('SIGKILL');
    return super.stop('SIGTERM');
  }
}

/** A sound server of its own with one output that nobody hears, into which a tone is played. */
export class Sound extends Program {
  static async start() {
    const home = mkdtempSync(join(tmpdir(), 'aldis-sound-'));
    const args = [
      '-n', '--daemonize=no', '--exit-idle-time=-1', '--disallow-exit', '--use-pid-file=no',
      '--realtime=no', '--high-priority=no',
      '-L', `module-native-protocol-unix socket=${home}/native auth-anonymous=1`,
      '-L', 'module-null-sink sink_name=speaker rate=48000 channels=2',
    ];
    const env = { HOME: home, XDG_RUNTIME_DIR: home, PULSE_RUNTIME_PATH: `${home}/runtime` };
    const sound = new Sound('pulseaudio', args, { env });
    sound.home = home;
    sound.env = { PULSE_SERVER: `unix:${home}/native` };
    await until('the sound server answers', () => {
      if (sound.ended) throw new Error(`pulseaudio ended: ${sound.errors.join('\n')}`);
      const asked = spawnSync('pactl', ['list', 'short', 'sources'], { env: { ...process.env, ...sound.env } });
      return asked.stdout.toString().includes('speaker.monitor');
    });
    return sound;
  }

  /** Plays a tone until stopped. @param {number} volume 1 is a full scale @param {string} shape of its waves */
  async play(frequency, volume = 0.5, shape = 'sine') {
    const file = join(this.home, 'tone.wav');
    const made = spawnSync('sox', ['-n', '-r', '48000', '-c', '2', file, 'synth', '300', shape, String(frequency), 'vol', String(volume)]);
    if (made.status !== 0) throw new Error(`sox: ${made.stderr}`);
    this.player = new Program('paplay', ['--device=speaker', file], { env: this.env, name: 'paplay' });
    await until('the tone plays', () => {
      const asked = spawnSync('pactl', ['list', 'short', 'sink-inputs'], { env: { ...process.env, ...this.env } });
      return asked.stdout.toString().trim() !== '';
    });
  }

  async stop() {
    await this.player?.stop('SIGKILL');
    const exit = await super.stop('SIGKILL');
    rmSync(this.home, { recursive: true, force: true });
    return exit;
  }
}

/** A test picture and a tone, for what `args` does not name: a source that is named again is one more. */
export function testMedia(args) {
  return ['--video', '--audio'].filter((kind) => !args.includes(kind)).flatMap((kind) => [kind, 'test']);
}
