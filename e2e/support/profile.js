// The folder of a browser, and the processes that run on it: both are gone when the tests are over,
// whatever becomes of the browser or of the tests.

import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.js';

/** What is not removed yet. @type {Set<Profile>} */
const kept = new Set();

process.on('exit', () => {
  for (const profile of kept) profile.clear();
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

export class Profile {
  /** @param {string} name of the browser */
  constructor(name) {
    this.name = name;
    this.folder = mkdtempSync(join(tmpdir(), `aldis-${name}-`));
    kept.add(this);
  }

  /** The processes that were started with it, and their children. */
  processes() {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
    const found = new Set(pids.filter((pid) => read(pid, 'cmdline').includes(this.folder)));
    for (let grown = true; grown; ) {
      grown = false;
      for (const pid of pids) {
        const parent = Number(read(pid, 'stat').match(/\) \S (\d+)/)?.[1]);
        if (!found.has(pid) && found.has(parent)) grown = Boolean(found.add(pid));
      }
    }
    return [...found];
  }

  /** Lets the browser end by itself, if it does so in time; then nothing is left of it. @param {Promise<unknown>} closing */
  async remove(closing) {
    const ended = () => this.processes().length === 0;
    await Promise.race([closing.catch(() => {}), until(`${this.name} ends`, ended, 10_000).catch(() => {})]);
    kill(this.processes(), 'SIGKILL');
    await until(`${this.name} is gone`, ended, 10_000).catch(() => {});
    this.clear();
  }

  /** Without waiting for anything. */
  clear() {
    kill(this.processes(), 'SIGKILL');
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
    kept.delete(this);
  }
}

/** @param {number[]} pids @param {string} signal */
export function kill(pids, signal) {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It went with its parent.
    }
  }
}

/** A file that the kernel keeps of a process; empty when the process has gone. */
function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
