// How the relay bears a load, beside what the kernel and a library take for the same. See README.md.

import { createServer, connect } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { binaries } from '../e2e/support/programs.js';
import { Program } from '../e2e/support/process.js';
import { until } from '../e2e/support/until.js';
import { median, printTable, settings } from './figures.js';
import { calm, load, machine, othersPercent } from './usage.js';

const { rounds: ROUNDS, seconds: SECONDS, against: AGAINST, only: ONLY } = settings({
  rounds: 5, seconds: 3, against: '', only: '',
});

/** The load is made on the first core and borne on the second, where there are two. */
const [LOAD_CORE, SERVER_CORE] = availableParallelism() > 1 ? [0, 1] : [0, 0];

/** A comparison in which others took more of the machine than so many percent is made again. */
const MAX_OTHERS = 8;

/** The longest load: one that stopped reading is waited for, then everything that is on its way. */
const LOAD_LIMIT_MS = 120_000;

/** The servers in the order of the columns. */
const SERVERS = {
  raw: { command: [join(binaries, 'relay-bench'), 'serve', 'raw'], says: /(tcp:\S+)/ },
  'raw at once': { command: [join(binaries, 'relay-bench'), 'serve', 'raw', '--at-once'], says: /(tcp:\S+)/ },
  websocket: { command: [join(binaries, 'relay-bench'), 'serve', 'websocket'], says: /(ws:\S+)/ },
  aldis: { command: [join(binaries, 'signalling'), '--listen', '127.0.0.1:0'], says: /WebSocket (ws:\S+)/ },
  ...(AGAINST && { against: { foreign: AGAINST } }),
};
const EVERY = Object.keys(SERVERS);
const RELAYS = EVERY.filter((name) => !['raw', 'raw at once', 'websocket'].includes(name));
const ALL = ['raw', 'websocket', ...RELAYS];

const perSecond = { what: 'messages/s', of: (report) => report.messages_per_second, digits: 0 };
const cpu = { what: 'CPU s per million', of: (report) => report.server_cpu_s_per_million, digits: 2 };
const p99 = { what: 'p99 us', of: (report) => report.latency_us.p99, digits: 0 };
const callsPerSecond = { what: 'calls/s', of: (report) => report.calls_per_second, digits: 0 };
const memory = { what: 'bytes per peer', of: (report) => report.anonymous_bytes_per_peer, digits: 0 };
const slowdown = { what: "others' p99, beside / before", of: (report) => report.beside_us.p99 / report.before_us.p99, digits: 2 };
const growth = { what: 'memory growth, MB', of: (report) => report.growth_bytes / 1e6, digits: 2 };
const cut = { what: 'cut after ms', of: (report) => report.cut_after_ms ?? NaN, digits: 0 };

/**
 * The loads. A goal with `share` holds for the ratio to `raw`, others hold for the figure itself.
 *
 * @type {Record<string, { name: string, args: string[], raw?: string[], servers?: string[], lasts?: boolean, rounds?: number, figures: any[] }>}
 */
const LOADS = {
  pairs: {
    name: '50 pairs, 1.5 KB, one in flight', args: ['pairs'],
    figures: [{ ...perSecond, share: true, least: 0.95 }, { ...cpu, share: true }],
  },
  flight: {
    name: '50 pairs, 150 B, 16 in flight', args: ['pairs', '--bytes', '150', '--in-flight', '16'],
    figures: [{ ...perSecond, share: true, least: 0.6 }, { ...cpu, share: true }],
  },
  rate: {
    name: '50 pairs, 1.5 KB, 20 k/s', args: ['pairs', '--rate', '20000'],
    figures: [{ ...cpu, share: true, most: 1.15 }, { ...p99, share: true, most: 1.2 }],
  },
  rooms: {
    name: '6 rooms of 8, 150 B, all to all', args: ['rooms'], servers: EVERY,
    figures: [{ ...perSecond, share: true, least: 0.9 }, { ...cpu, share: true }],
  },
  calls: {
    name: 'whole calls; raw: connect, forward, close', args: ['calls'],
    figures: [{ ...callsPerSecond, share: true, least: 0.85 }],
  },
  turns: {
    name: 'whole calls; raw: as many turns', args: ['calls'], raw: ['--turns', '2'],
    figures: [{ ...callsPerSecond, share: true }],
  },
  active: {
    name: '4000 pairs, 150 B, one in flight', args: ['active'],
    figures: [{ ...perSecond, share: true }, { ...cpu, share: true }],
  },
  idle: {
    name: '2000 idle peers', args: ['idle'], lasts: false, rounds: 3,
    figures: [{ ...memory, most: 3000 }],
  },
  exchanged: {
    name: '2000 peers after three exchanges', args: ['idle', '--exchanges', '3'], lasts: false, rounds: 3,
    figures: [{ ...memory, most: 6500 }],
  },
  stopped: {
    name: 'a session stops reading', args: ['stopped-reader'], servers: RELAYS, rounds: 3,
    figures: [{ ...slowdown, most: 1.3 }, { ...growth, most: 2.5 }, cut],
  },
  'stopped-room': {
    name: 'a member of a room stops reading', args: ['stopped-reader', '--room'], servers: RELAYS, rounds: 3,
    figures: [{ ...slowdown, most: 1.3 }, { ...growth, most: 2.5 }, { ...cut, most: 5000 }],
  },
};

/** The loads that were asked for, all unless some are named. */
function chosen() {
  const names = ONLY === '' ? Object.keys(LOADS) : ONLY.split(',');
  const unknown = names.filter((name) => !(name in LOADS));
  if (unknown.length === 0) return names;
  console.error(`--only takes ${Object.keys(LOADS).join(', ')}, separated by commas; not ${unknown.join(', ')}`);
  return process.exit(2);
}

function onCore(core, command) {
  return ['taskset', ['--cpu-list', String(core), ...command]];
}

/** Starts a server, lets something happen to it, and stops it. */
async function withServer(name, act) {
  const { command, says, foreign } = SERVERS[name];
  if (foreign?.startsWith('ws://')) return act({ url: foreign });
  const port = foreign && await freePort();
  const asked = foreign ? ['sh', '-c', `exec ${foreign.replaceAll('{port}', port)}`] : command;
  const server = new Program(...onCore(SERVER_CORE, asked), { name });
  try {
    const url = foreign ? await listening(server, port) : (await server.line(says))[1];
    return await act({ url, pid: server.pid });
  } finally {
    await server.stop('SIGTERM').catch((error) => console.error(String(error)));
  }
}

/** A port that nobody uses at the moment. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The address of a server that does not say when it is ready. */
async function listening(server, port) {
  await until(`${AGAINST} listens on port ${port}`, () => {
    if (server.ended) throw new Error(`${AGAINST} ended: ${server.errors.join('\n')}`);
    return new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
  });
  return `ws://127.0.0.1:${port}/`;
}

/** One load on one server: what the generator reports, and what others took of the machine meanwhile. */
async function measure(name, { args, raw = [], lasts = true }) {
  return withServer(name, async ({ url, pid }) => {
    const all = [
      ...args, '--url', url, ...(name.startsWith('raw') ? raw : []), ...(pid ? ['--pid', String(pid)] : []),
      ...(lasts ? ['--seconds', String(SECONDS)] : []),
    ];
    const before = machine();
    const generator = new Program(...onCore(LOAD_CORE, [join(binaries, 'relay-bench'), ...all]), { name: 'relay-bench' });
    await until(`relay-bench ${all.join(' ')} ends`, () => generator.ended, LOAD_LIMIT_MS)
      .finally(() => generator.stop('SIGKILL'));
    if (generator.ended.code !== 0) throw new Error(`${name}, ${args.join(' ')}: ${generator.errors.join('\n')}`);
    return { ...JSON.parse(generator.lines[0]), others: othersPercent(before, machine()) };
  });
}

/**
 * All servers one after the other, round by round, each time beginning with another. A disturbed round
 * counts only when there are not enough others after twice the rounds.
 */
async function compare({ servers = ALL, rounds = ROUNDS, ...what }) {
  const [undisturbed, all] = [[], []];
  const wanted = Math.min(rounds, ROUNDS);
  while (undisturbed.length < wanted && all.length < 2 * wanted) {
    await calm();
    const round = {};
    const shift = all.length % servers.length;
    for (const name of [...servers.slice(shift), ...servers.slice(0, shift)]) round[name] = await measure(name, what);
    all.push(round);
    if (Object.values(round).every(({ others }) => others <= MAX_OTHERS)) undisturbed.push(round);
  }
  return { rounds: undisturbed.length < wanted ? all : undisturbed, disturbed: all.length - undisturbed.length };
}

/** One row of the table, and the same for the line at the end. */
function summarize(servers, { what, of, digits, share, least, most }, rounds) {
  const figures = Object.fromEntries(servers.map((name) => [
    name, median(rounds.map((round) => (round[name] ? of(round[name]) : NaN))),
  ]));
  const ratios = rounds.map((round) => (round.raw ? of(round.aldis) / of(round.raw) : NaN));
  const ratio = median(ratios);
  const judged = share ? ratio : figures.aldis;
  const goal = least !== undefined ? `>= ${least}` : most !== undefined ? `<= ${most}` : '';
  const isMet = judged >= (least ?? -Infinity) && judged <= (most ?? Infinity);
  const number = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : '-');
  const range = share ? `${number(ratio, 3)} (${number(Math.min(...ratios), 2)}-${number(Math.max(...ratios), 2)})` : '';
  return {
    row: [what, ...servers.map((name) => number(figures[name], digits)), range, goal, goal && (isMet ? 'yes' : 'no')],
    figure: {
      what, ...figures, ...(share && { ratio: Number(ratio.toFixed(3)) }), ...(goal && { goal, met: isMet }),
    },
  };
}

/** How busy the cores were: beside a generator near 100 % a server could have done more. */
function showCores(servers, rounds) {
  const share = (name, field) => median(rounds.map((round) => round[name]?.[field] ?? NaN));
  const shares = servers.filter((name) => Number.isFinite(share(name, 'generator_cpu'))).map((name) =>
    `${name} ${(100 * share(name, 'server_cpu')).toFixed(0)} / ${(100 * share(name, 'generator_cpu')).toFixed(0)}`);
  if (shares.length > 0) console.log(`Server / generator, % of their cores: ${shares.join(', ')}`);
}

const names = chosen();
console.log(`The relay runs as \`${SERVERS.aldis.command.slice(1).join(' ')}\` with all else by default, on core ${SERVER_CORE}; `
  + `the load comes from core ${LOAD_CORE}.${AGAINST && ` Against: ${AGAINST}`}`);
const line = { bench: 'relay', rounds: ROUNDS, seconds: SECONDS, ...(AGAINST && { against: AGAINST }), loads: {} };
for (const name of names) {
  const { servers = ALL } = LOADS[name];
  const { rounds, disturbed } = await compare(LOADS[name]);
  const summaries = LOADS[name].figures.map((figure) => summarize(servers, figure, rounds));
  console.log(`\n${name}: ${LOADS[name].name}; median of ${rounds.length}`);
  printTable(['', ...servers, ...(servers.includes('raw') ? ['aldis / raw (min-max)'] : ['']), 'goal', 'met'], summaries.map(({ row }) => row));
  showCores(servers, rounds);
  const others = Math.max(...rounds.flatMap((round) => Object.values(round).map((reading) => reading.others)));
  console.log(`Others took at most ${others.toFixed(0)} % of the machine.`
    + `${disturbed ? ` Rounds that they disturbed: ${disturbed}.` : ''}`);
  line.loads[name] = { disturbed, figures: summaries.map(({ figure }) => figure) };
}
console.log(`\n${JSON.stringify({ ...line, load: load() })}`);
