// A program that a test starts, listens to, and stops: by its pid, never by its name.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { readFileSync, readdirSync } from 'node:fs';
import { pause, until } from './until.js';

/** Everything still running, to be stopped whatever happens to the test. */
const running = new Set();

process.on('exit', () => {
  for (const program of running) program.child.kill('SIGKILL');
});

export class Program {
  /**
   * @param {string} file
   * @param {string[]} args
   * @param {{ env?: Record<string, string>, name?: string, within?: string[],
   *   stdio?: import('node:child_process').StdioOptions }} [options] `within` is what starts it
   *   somewhere else, as `ip netns exec NAME`
   */
  constructor(file, args, { env = {}, name = file, within = [], stdio = ['ignore', 'pipe', 'pipe'] } = {}) {
    this.name = name;
    /** @type {string[]} */
    this.lines = [];
    /** @type {string[]} */
    this.errors = [];
    const [first, ...rest] = [...within, file, ...args];
    this.child = spawn(first, rest, { env: { ...process.env, ...env }, stdio });
    running.add(this);
    /** @type {Promise<{ code: number | null, signal: string | null }>} */
    this.exit = new Promise((resolve) => {
      this.child.on('error', (error) => {
        this.errors.push(String(error));
        this.ended = { code: null, signal: null };
        resolve(this.ended);
      });
      this.child.on('close', (code, signal) => {
        running.delete(this);
        this.ended = { code, signal };
        resolve(this.ended);
      });
    });
    for (const [stream, lines] of [[this.child.stdout, this.lines], [this.child.stderr, this.errors]]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.heard(line, lines));
    }
  }

  /** @param {string} line @param {string[]} lines */
  heard(line, lines) {
    lines.push(line);
  }

  /** The first line of the output that fits, waited for. */
  async line(pattern, limitMs) {
    return until(`${this.name} prints ${pattern}`, () => {
      const found = this.lines.map((line) => line.match(pattern)).find(Boolean);
      if (!found && this.ended) throw new Error(`${this.name} ended: ${this.errors.join('\n')}`);
      return found;
    }, limitMs);
  }

  /** Sends a signal and waits for the end. */
  async stop(signal = 'SIGINT', limitMs = 30_000) {
    if (!this.ended) this.child.kill(signal);
    await until(`${this.name} ends after ${signal}`, () => this.ended, limitMs).catch((error) => {
      this.child.kill('SIGKILL');
      throw error;
    });
    return this.exit;
  }

  get pid() {
    return this.child.pid;
  }

  /** What the process holds once that has stopped changing. */
  async settled() {
    let last = this.resources();
    return until(`${this.name} comes to rest`, async () => {
      await pause(200);
      const now = this.resources();
      const still = now.threads === last.threads && now.descriptors === last.descriptors;
      last = now;
      return still && now;
    });
  }

  /** Waits until it holds no more than at another time, as before a call; pools keep idle threads for a while. */
  async frees(idle) {
    await until('everything is freed', () => {
      const { threads, descriptors } = this.resources();
      return threads <= idle.threads + 2 && descriptors <= idle.descriptors + 2;
    }, 120_000).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify([idle, this.resources()])}`);
    });
  }

  /** What the process holds at this moment. */
  resources() {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    const number = (key) => Number(status.match(new RegExp(`^${key}:\\s+(\\d+)`, 'm'))?.[1]);
    return {
      threads: number('Threads'),
      descriptors: readdirSync(`/proc/${this.pid}/fd`).length,
      memoryKb: number('VmRSS'),
    };
  }
}
