// coturn, in a network where this machine has one address.

import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Program } from './process.js';
import { until } from './until.js';

/** An address of this machine that is not the loopback one; tests run where there is just one. */
export const ADDRESS = Object.values(networkInterfaces()).flat()
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

const PORT = 3478;

export class TurnServer extends Program {
  /** @param {string[]} credentials the options that say who may use it */
  static async start(credentials) {
    const home = mkdtempSync(join(tmpdir(), 'aldis-turn-'));
    const turn = new TurnServer('turnserver', [
      '-n', '--no-cli', `--listening-ip=${ADDRESS}`, `--relay-ip=${ADDRESS}`, `--listening-port=${PORT}`,
      '--realm=aldis', '--fingerprint', '--no-tls', '--no-dtls', ...credentials,
      '--min-port=49160', '--max-port=49200', `--userdb=${home}/db`, `--pidfile=${home}/pid`,
      '--log-file=stdout', '--simple-log',
    ]);
    turn.home = home;
    turn.host = `${ADDRESS}:${PORT}`;
    await until('coturn listens', () => {
      if (turn.ended) throw new Error(`coturn ended: ${[...turn.lines, ...turn.errors].join('\n')}`);
      return answers(ADDRESS, PORT);
    });
    return turn;
  }

  async stop() {
    const exit = await super.stop('SIGKILL');
    rmSync(this.home, { recursive: true, force: true });
    return exit;
  }
}

/** Whether something accepts connections there. */
function answers(host, port) {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}
