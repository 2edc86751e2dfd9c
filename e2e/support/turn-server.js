// coturn, in a network where this machine has one address.

import { mkdtempSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Program } from './process.js';
import { until } from './until.js';

/** An address of this machine that is not the loopback one; tests run where there is just one. */
export const ADDRESS = Object.values(networkInterfaces()).flat()
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

const PORT = 3478;
const TLS_PORT = 5349;

export class TurnServer extends Program {
  /**
   * @param {string[]} credentials the options that say who may use it
   * @param {{ address?: string, tls?: boolean, name?: string, within?: string[] }} [options] where it
   *   listens; whether it speaks TLS as well, with a certificate that `name` is in; what starts it somewhere else
   */
  static async start(credentials, { address = ADDRESS, tls = false, name = `IP:${address}`, within = [] } = {}) {
    const home = mkdtempSync(join(tmpdir(), 'aldis-turn-'));
    const certificate = join(home, 'certificate.pem');
    if (tls) makeCertificate(certificate, join(home, 'key.pem'), name);
    const args = [
      '-n', '--no-cli', `--listening-ip=${address}`, `--relay-ip=${address}`, `--listening-port=${PORT}`,
      '--realm=aldis', '--fingerprint', '--no-dtls', ...credentials,
      ...(tls ? [`--tls-listening-port=${TLS_PORT}`, `--cert=${certificate}`, `--pkey=${home}/key.pem`] : ['--no-tls']),
      '--min-port=49160', '--max-port=49200', `--userdb=${home}/db`, `--pidfile=${home}/pid`,
      '--log-file=stdout', '--simple-log',
    ];
    const turn = new TurnServer('turnserver', args, { name: 'coturn', within });
    turn.home = home;
    turn.certificate = certificate;
    turn.host = `${address}:${PORT}`;
    turn.tlsHost = `${address}:${TLS_PORT}`;
    // Asked from where it stands, which may be another network.
    const ask = `exec 3<>/dev/tcp/${address}/${tls ? TLS_PORT : PORT}`;
    const [asking, ...words] = [...within, 'bash', '-c', ask];
    await until('coturn listens', () => {
      if (turn.ended) throw new Error(`coturn ended: ${[...turn.lines, ...turn.errors].join('\n')}`);
      return spawnSync(asking, words).status === 0;
    }).catch(async (error) => {
      await turn.stop();
      throw error;
    });
    return turn;
  }

  async stop() {
    const exit = await super.stop('SIGKILL');
    rmSync(this.home, { recursive: true, force: true });
    return exit;
  }
}

/** A certificate that vouches for itself; `name` is as openssl has it, IP:ADDRESS or DNS:NAME. */
function makeCertificate(certificate, key, name) {
  const made = spawnSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
    '-subj', '/CN=turn', '-addext', `subjectAltName=${name}`, '-addext', 'basicConstraints=critical,CA:FALSE',
    '-keyout', key, '-out', certificate,
  ], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`openssl: ${made.stderr}`);
}
