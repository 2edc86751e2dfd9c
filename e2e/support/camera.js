// A camera for machines without one: see camera.c.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { spawnSync } from 'node:child_process';
import { film } from './programs.js';

/** Why there can be no such camera here; false where there can. */
export const noCamera = process.getuid?.() !== 0 && 'a node of a device can be made by root alone';

function run(file, args) {
  const { status, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file}: ${stderr}`);
}

export class Camera {
  static async start() {
    const camera = new Camera();
    camera.home = mkdtempSync(join(tmpdir(), 'aldis-camera-'));
    camera.node = join(camera.home, 'video7');
    camera.busy = join(camera.home, 'busy');
    const library = join(camera.home, 'camera.so');
    run('gcc', ['-O2', '-shared', '-fPIC', '-o', library, join(import.meta.dirname ?? '.', 'camera.c'), '-ldl', '-lpthread']);
    const pictures = join(camera.home, 'pictures.mjpeg');
    run('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', film(1280, 720, 30), '-frames:v', '150', '-q:v', '4', '-f', 'mjpeg', pictures]);
    camera.env = { LD_PRELOAD: library, CAMERA_NODE: camera.node, CAMERA_MJPEG: pictures, CAMERA_BUSY: camera.busy };
    camera.plug();
    return camera;
  }

  plug() {
    run('mknod', [this.node, 'c', '1', '3']);
  }

  unplug() {
    rmSync(this.node);
  }

  /** From now on another program has it, as far as the driver is concerned. */
  occupy() {
    writeFileSync(this.busy, '');
  }

  async stop() {
    rmSync(this.home, { recursive: true, force: true });
  }
}
