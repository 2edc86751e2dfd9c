// Many calls in a row between two clients: does the one that is called stay as small as it was? See README.md.

import { Client, Relay } from '../e2e/support/programs.js';
import { printTable, settings } from './figures.js';

const { calls: CALLS, every: EVERY } = settings({ calls: 500, every: 100 });

/** Small pictures: what a call takes and gives back does not depend on their size. */
const SENT = ['--video', 'test', '--audio', 'test', '--width', '320', '--height', '180', '--framerate', '15'];

const relay = await Relay.start();
const called = await new Client(relay, ['--our-id', 'cam', ...SENT]).ready();
const rows = [['0', ...Object.values(await called.settled())]];
const began = performance.now();
for (let call = 1; call <= CALLS; call += 1) {
  // What was said of earlier calls is of no use, and would be memory of ours.
  called.reports.length = called.lines.length = called.errors.length = 0;
  const caller = await new Client(relay, ['--peer-id', 'cam', ...SENT]).ready();
  await Promise.all([called, caller].map((client) => client.report('first-frame-received', { where: ({ kind }) => kind === 'video' })));
  await caller.stop();
  const ended = await called.report('ended');
  await called.report('registered', { after: called.reports.indexOf(ended) });
  if (call === 10 || call % EVERY === 0 || call === CALLS) {
    rows.push([String(call), ...Object.values(await called.settled())]);
    console.error(`${call} calls: ${JSON.stringify(called.resources())}`);
  }
}
const seconds = (performance.now() - began) / 1000;
const { memoryKb } = relay.resources();
await called.stop();
await relay.stop();

printTable(['calls', 'threads', 'descriptors', 'memory_kb'], rows);
console.log(`${(seconds / CALLS).toFixed(2)} s a call; the relay has ${memoryKb} KB at the end`);
console.log(JSON.stringify({ calls: CALLS, seconds: Math.round(seconds), rows }));
