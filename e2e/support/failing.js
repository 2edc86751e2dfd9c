// A client that cannot do what it is told.

import assert from 'node:assert/strict';
import { Client, testMedia } from './programs.js';

/** Runs a client to its end and returns the last thing it reports, which agrees with its exit code. */
export async function failing(relay, args, env) {
  const client = new Client(relay, [...testMedia(args), ...args], env);
  let timer;
  const tooLong = new Promise((_, reject) => {
    timer = setTimeout(reject, 90_000, new Error(`${client.name} does not end`));
  });
  const { code } = await Promise.race([client.exit, tooLong]).finally(() => clearTimeout(timer));
  const failed = client.reports.at(-1);
  assert.equal(failed?.event, 'failed', client.errors.join('\n'));
  assert.equal(failed.exit_code, code);
  assert.ok(client.errors.includes(`client: ${failed.reason}`), client.errors.join('\n'));
  assert.ok(!client.errors.join('\n').includes('panicked'), client.errors.join('\n'));
  return failed;
}
