// What a process takes of the machine, and what others take meanwhile, from /proc.

import { loadavg } from 'node:os';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { pause } from '../e2e/support/until.js';

const TICKS_PER_SECOND = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100;

/** The processor time of a process with all its threads, in seconds, and its memory in MB. */
export function usage(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    at: performance.now() / 1000,
    seconds: secondsOf(`/proc/${pid}/stat`).seconds,
    memoryMb: Number(status.match(/^VmRSS:\s+(\d+)/m)?.[1]) / 1024,
  };
}

/** The processor time of each living thread, in seconds, by the thread's number. */
export function threads(pid) {
  const found = new Map();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      found.set(thread, secondsOf(`/proc/${pid}/task/${thread}/stat`));
    } catch {
      // It has ended since.
    }
  }
  return found;
}

/** The share of one core that each thread took between two readings, in percent, the largest first. */
export function threadShares(before, after, seconds) {
  return [...after]
    .map(([thread, { name, seconds: used }]) => ({
      name, percent: (100 * (used - (before.get(thread)?.seconds ?? 0))) / seconds,
    }))
    .filter(({ percent }) => percent >= 0.1)
    .sort((a, b) => b.percent - a.percent);
}

/** The processor time of the whole machine: all there was, and what went to others than this run, in ticks. */
export function machine() {
  const ticks = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0].trim().split(/\s+/).slice(1, 9).map(Number);
  const all = ticks.reduce((sum, part) => sum + part, 0);
  const [idle, waiting] = [ticks[3], ticks[4]];
  return { all, others: all - idle - waiting - ourSeconds() * TICKS_PER_SECOND };
}

/** The share of the machine that others took between two readings, in percent of all its cores. */
export function othersPercent(before, after) {
  return Math.max(0, (100 * (after.others - before.others)) / (after.all - before.all));
}

/**
 * Waits until others leave the machine alone: below `limit` percent in three seconds. After `limitMs` it
 * goes on all the same; the figures say what others took while they were measured.
 */
export async function calm(limit = 4, limitMs = 60_000) {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const before = machine();
    await pause(3000);
    if (othersPercent(before, machine()) < limit || performance.now() > deadline) return;
  }
}

/** How busy the machine has been in the last minute, for the record. */
export function load() {
  return Number(loadavg()[0].toFixed(2));
}

/**
 * Everything in our network namespace, which this run has for itself, and what has ended in it: a parent
 * inherits the time of its children.
 */
function ourSeconds() {
  const ours = readlinkSync('/proc/self/ns/net');
  let seconds = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readlinkSync(`/proc/${pid}/ns/net`) === ours) {
        const { seconds: own, inherited } = secondsOf(`/proc/${pid}/stat`);
        seconds += own + inherited;
      }
    } catch {
      // It has ended since.
    }
  }
  return seconds;
}

/** The name stands in brackets and may hold anything; behind it, the 12th to the 15th are times. */
function secondsOf(path) {
  const stat = readFileSync(path, 'utf8');
  const [nameFrom, nameTo] = [stat.indexOf('(') + 1, stat.lastIndexOf(')')];
  const [user, system, childrenUser, childrenSystem] = stat.slice(nameTo + 2).split(' ').slice(11, 15).map(Number);
  return {
    name: stat.slice(nameFrom, nameTo),
    seconds: (user + system) / TICKS_PER_SECOND,
    inherited: (childrenUser + childrenSystem) / TICKS_PER_SECOND,
  };
}
