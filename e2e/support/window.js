// A window of an X display, with a title and a colour.

import { spawnSync } from 'node:child_process';
import { Program } from './process.js';
import { until } from './until.js';

export class Window extends Program {
  /**
   * @param {import('./programs.js').Screen} screen
   * @param {string} title
   * @param {string} geometry as X has it, `WIDTHxHEIGHT+X+Y`
   * @param {string} [colour]
   */
  static async open(screen, title, geometry, colour = '#c000c0') {
    const args = ['-display', screen.display, '-geometry', geometry, '-title', title, '-bg', colour, '-xrm', '*background: ' + colour, ''];
    const window = new Window('xmessage', args, { name: `the window ${title}` });
    window.id = await until(`the window ${title} is there`, () => {
      if (window.ended) throw new Error(`xmessage ended: ${window.errors.join('\n')}`);
      const { stdout } = spawnSync('xwininfo', ['-display', screen.display, '-name', title], { encoding: 'utf8' });
      return stdout.includes('IsViewable') && Number(stdout.match(/Window id: (0x[0-9a-f]+)/)[1]);
    });
    return window;
  }

  /** Closes it. */
  stop() {
    return super.stop('SIGKILL');
  }
}
