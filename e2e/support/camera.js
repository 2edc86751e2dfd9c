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
  /** One that gives H.264 as well: with a key frame every second, or every so many frames. */
  static async startWithH264({ distance = 30 } = {}) {
    const camera = await Camera.start();
    camera.film = join(camera.home, 'pictures.h264');
    run('ffmpeg', [
      '-v', 'error', '-f', 'lavfi', '-i', film(960, 540, 30), '-frames:v', '240', '-pix_fmt', 'yuv420p', '-c:v', 'libx264',
      '-profile:v', 'baseline', '-preset', 'veryfast', '-g', String(distance), '-x264-params', 'aud=1:scenecut=0', '-b:v', '200k',
      '-f', 'h264', camera.film,
    ]);
    camera.env = { ...camera.env, CAMERA_H264: camera.film };
    return camera;
  }

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
