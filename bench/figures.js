// Figures: from many readings to one, and onto the terminal.

import { parseArgs } from 'node:util';

/** The middle of some numbers; of an even count, the mean of the two in the middle. */
export function median(numbers) {
  const sorted = numbers.filter(Number.isFinite).sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Prints rows below a heading, every column as wide as its widest cell and all but the first flush right. */
export function printTable(heading, rows) {
  const lines = [heading, ...rows].map((row) => row.map(String));
  const widths = heading.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  for (const line of lines) {
    const [first, ...others] = line.map((cell, column) => cell.padStart(widths[column]));
    console.log([first.trimStart().padEnd(widths[0]), ...others].join('  '));
  }
}

/**
 * The options of the command line, by name; what is not given has its value from `defaults`, which also
 * says whether it is a number, a word or a switch. What makes no sense ends the program.
 */
export function settings(defaults) {
  const options = Object.fromEntries(Object.entries(defaults).map(([name, value]) => [
    name, { type: typeof value === 'boolean' ? 'boolean' : 'string' },
  ]));
  try {
    const found = { ...defaults, ...parseArgs({ options }).values };
    for (const name of Object.keys(defaults).filter((name) => typeof defaults[name] === 'number')) {
      found[name] = Number(found[name]);
      if (!Number.isInteger(found[name]) || found[name] < 1) throw new Error(`--${name} takes a number from 1`);
    }
    return found;
  } catch (error) {
    console.error(error.message);
    return process.exit(2);
  }
}
