// A peer made with aiortc, in a Python of its own that `scripts/test` sets up.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Reporter, binaries } from './programs.js';
import { until } from './until.js';

const PYTHON = process.env.ALDIS_PYTHON ?? join(binaries, '../e2e-python/bin/python');
const PEER = join(import.meta.dirname ?? '.', 'aiortc_peer.py');

export class AiortcPeer extends Reporter {
  /** @param {string[]} args see `aiortc_peer.py` */
  constructor(relay, args) {
    if (!existsSync(PYTHON)) throw new Error(`no aiortc in ${PYTHON}: scripts/test installs it`);
    super(PYTHON, [PEER, '--server', relay.url, ...args], { name: `aiortc ${args.join(' ')}` });
  }

  /** Waits until it has decoded so many more frames of both kinds, and returns what it counted last. */
  async decodes(frames, limitMs) {
    const after = this.mark;
    const counts = () => this.reports.filter(({ event }) => event === 'counted');
    const before = counts().at(-1) ?? { video: 0, audio: 0 };
    return until(`${this.name} decodes ${frames} frames`, () => {
      if (this.ended) throw new Error(`${this.name} ended: ${this.errors.join('\n')}`);
      const now = this.reports.slice(after).filter(({ event }) => event === 'counted').at(-1);
      return now?.video >= before.video + frames && now.audio >= before.audio + frames && now;
    }, limitMs);
  }
}
