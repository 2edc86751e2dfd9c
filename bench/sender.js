// What sending a screen costs, beside gst-launch-1.0 with the same capture and encoder. See README.md.

import { spawnSync } from 'node:child_process';
import { Browser } from '../e2e/support/browser.js';
import { Client, Relay, Screen } from '../e2e/support/programs.js';
import { Program } from '../e2e/support/process.js';
import { pause, until } from '../e2e/support/until.js';
import { median, printTable, settings } from './figures.js';
import { calm, load, machine, othersPercent, threadShares, threads, usage } from './usage.js';

const { rounds: ROUNDS, seconds: SECONDS, codec: CODEC, together: IS_TOGETHER, threads: SHOWS_THREADS } = settings({
  rounds: 5, seconds: 8, codec: 'vp8', together: false, threads: false,
});
const [WIDTH, HEIGHT, FRAMERATE] = [1280, 720, 30];

/** From the start of either until it is measured: what happens once is no part of the figure. */
const SETTLING_MS = 2000;

/** A round in which others took more of the machine than so many percent is measured again. */
const MAX_OTHERS = 8;

/** Puts a picture on the screen of which every part moves and has detail. */
async function playDetail(screen) {
  const picture = `testsrc2=size=${WIDTH}x${HEIGHT}:rate=${FRAMERATE}`;
  const args = ['-v', 'error', '-noborder', '-left', '0', '-top', '0', '-f', 'lavfi', '-i', picture];
  const env = { DISPLAY: screen.display, SDL_AUDIODRIVER: 'dummy' };
  screen.player = new Program('ffplay', args, { env, name: 'ffplay' });
  await until('the picture is on the screen', () => {
    if (screen.player.ended) throw new Error(`ffplay ended: ${screen.player.errors.join('\n')}`);
    const tree = spawnSync('xwininfo', ['-display', screen.display, '-root', '-tree'], { encoding: 'utf8' });
    return tree.stdout.includes(`("ffplay" "ffplay")  ${WIDTH}x${HEIGHT}+0+0`);
  });
}

/** What the client has to send, as its arguments. */
function sent(screen) {
  return [
    '--video', 'screen', '--display', screen.display, '--audio', 'none', '--video-codec', CODEC,
    '--width', String(WIDTH), '--height', String(HEIGHT), '--framerate', String(FRAMERATE), '--bitrate-kbps', '2500',
  ];
}

/** The client's own capture and encoder, as the arguments of gst-launch-1.0. */
function launchArguments(client, screen) {
  const asked = spawnSync(client.child.spawnfile, ['--print-pipeline', ...sent(screen)], { encoding: 'utf8' });
  if (asked.status !== 0) throw new Error(`client --print-pipeline: ${asked.stderr}`);
  return asked.stdout.trim().split(' ');
}

/** What a process takes for some seconds from now on. */
async function measure(pid) {
  const [before, threadsBefore, machineBefore] = [usage(pid), threads(pid), machine()];
  await pause(SECONDS * 1000);
  const [after, threadsAfter, machineAfter] = [usage(pid), threads(pid), machine()];
  const seconds = after.at - before.at;
  return {
    percent: (100 * (after.seconds - before.seconds)) / seconds,
    memoryMb: after.memoryMb,
    others: othersPercent(machineBefore, machineAfter),
    threads: threadShares(threadsBefore, threadsAfter, seconds),
  };
}

/** While the client sends to the page, which does not look at anything else. */
async function duringCall(client, page, act) {
  const after = client.mark;
  await page.page.evaluate((callee) => {
    history.replaceState(null, '', '#');
    location.hash = `call=${callee}`;
  }, client.id);
  await page.sees();
  await pause(SETTLING_MS);
  const first = await page.inbound('video');
  const taken = await act();
  const last = await page.inbound('video');
  await page.page.getByRole('button', { name: /hang up/i }).click();
  await page.until('the page is registered again', (state) => state.state === 'registered');
  await client.report('registered', { after });
  return { ...taken, fps: (1000 * (last.decoded - first.decoded)) / (last.at - first.at) };
}

/** While gst-launch-1.0 does the same capture and encoding, and nobody takes the frames. */
async function duringLaunch(args, act) {
  const launch = new Program('gst-launch-1.0', ['-q', ...args], { name: 'gst-launch-1.0' });
  await pause(SETTLING_MS);
  if (launch.ended) throw new Error(`gst-launch-1.0 ended: ${launch.errors.join('\n')}`);
  const taken = await act(launch.pid);
  await launch.stop();
  return taken;
}

/** One after the other. */
async function alternatingRound(client, page, args, launchFirst) {
  const round = {};
  const turns = [
    async () => (round.client = await duringCall(client, page, () => measure(client.pid))),
    async () => (round.launch = await duringLaunch(args, measure)),
  ];
  for (const turn of launchFirst ? turns.reverse() : turns) await turn();
  return round;
}

/** Both in the same seconds, so that the browser beside them slows both down alike. */
async function commonRound(client, page, args) {
  const { fps, taken: [ours, launch] } = await duringCall(client, page, async () => ({
    taken: await duringLaunch(args, (pid) => Promise.all([measure(client.pid), measure(pid)])),
  }));
  return { client: { ...ours, fps }, launch };
}

/**
 * In rounds one after the other, either is first in every other round. A disturbed round counts only when
 * there are not enough others after twice the rounds.
 */
async function measureRounds(client, page, args) {
  const [undisturbed, all] = [[], []];
  while (undisturbed.length < ROUNDS && all.length < 2 * ROUNDS) {
    await calm();
    const round = IS_TOGETHER
      ? await commonRound(client, page, args)
      : await alternatingRound(client, page, args, all.length % 2);
    all.push(round);
    if (Math.max(round.client.others, round.launch.others) <= MAX_OTHERS) undisturbed.push(round);
  }
  const rounds = undisturbed.length < ROUNDS ? all : undisturbed;
  return { rounds, disturbed: all.length - undisturbed.length };
}

/** Threads that do the same work have the same name but for a number. */
function showThreads(name, rounds) {
  const shares = new Map();
  for (const { name, percent } of rounds.flatMap(({ threads }) => threads)) {
    const work = name.replace(/\d+/g, '');
    shares.set(work, (shares.get(work) ?? 0) + percent / rounds.length);
  }
  console.log(`\n${name}, by thread, mean of the rounds in percent of a core`);
  printTable(['thread', '%'], [...shares].sort((a, b) => b[1] - a[1]).map(([work, share]) => [work, share.toFixed(2)]));
}

function show({ rounds, disturbed }) {
  const ratios = rounds.map(({ client, launch }) => client.percent / launch.percent);
  const of = (who, what) => median(rounds.map((round) => round[who][what]));
  const how = IS_TOGETHER ? 'together' : 'in turns';
  console.log(`\nSending ${WIDTH}x${HEIGHT} at ${FRAMERATE} frames a second, ${CODEC}, ${how}; in percent of one core`);
  const row = (name, [client, launch, ratio, memory, bare, fps, others, othersBare]) => [
    name, client.toFixed(1), launch.toFixed(1), ratio.toFixed(3), memory.toFixed(0), bare.toFixed(0), fps.toFixed(1),
    `${others.toFixed(0)} / ${othersBare.toFixed(0)}`,
  ];
  const columns = [['client', 'percent'], ['launch', 'percent'], null, ['client', 'memoryMb'], ['launch', 'memoryMb'],
    ['client', 'fps'], ['client', 'others'], ['launch', 'others']];
  printTable(['', 'client', 'gst-launch', 'ratio', 'client MB', 'gst-launch MB', 'decoded fps', 'others %'], [
    ...rounds.map((round, index) => row(`round ${index + 1}`,
      columns.map((column) => (column ? round[column[0]][column[1]] : ratios[index])))),
    row('median', columns.map((column) => (column ? of(...column) : median(ratios)))),
  ]);
  if (disturbed) {
    const fate = rounds.length > ROUNDS ? 'count here for want of others' : 'do not count';
    console.log(`Rounds that others disturbed: ${disturbed}; they ${fate}.`);
  }
  if (SHOWS_THREADS) {
    showThreads('client', rounds.map(({ client }) => client));
    showThreads('gst-launch-1.0', rounds.map(({ launch }) => launch));
  }
  const [round1, round3] = [(value) => Number(value.toFixed(1)), (value) => Number(value.toFixed(3))];
  return {
    ratio: round3(median(ratios)), ratios: ratios.map(round3),
    clientPercent: round1(of('client', 'percent')), launchPercent: round1(of('launch', 'percent')),
    clientMb: round1(of('client', 'memoryMb')), launchMb: round1(of('launch', 'memoryMb')),
    disturbed, decodedFps: round1(of('client', 'fps')),
  };
}

const started = [];
const keep = (part) => (started.push(part), part);
try {
  const relay = keep(await Relay.start());
  const screen = keep(await Screen.start(WIDTH, HEIGHT));
  await playDetail(screen);
  const client = keep(await Client.start(relay, ['--our-id', 'cam', ...sent(screen)]));
  const page = await keep(await Browser.start()).open(relay, 'id=page');
  await page.until('the page is registered', (state) => state.state === 'registered');
  const figures = show(await measureRounds(client, page, launchArguments(client, screen)));
  const line = { bench: 'sender', codec: CODEC, together: IS_TOGETHER, load: load(), ...figures };
  console.log(`\n${JSON.stringify(line)}`);
} finally {
  for (const part of started.reverse()) await part.stop().catch((error) => console.error(String(error)));
}
