// What is in a recorded file, as ffmpeg sees it: no word of Aldis' own is taken for it.

import { spawnSync } from 'node:child_process';

/** Streams and length of a file, with every frame counted. */
export function probe(file) {
  const asked = spawnSync('ffprobe', [
    '-v', 'error', '-count_frames', '-of', 'json',
    '-show_entries', 'stream=codec_name,codec_type,width,height,nb_read_frames:format=duration,format_name', file,
  ], { encoding: 'utf8' });
  if (asked.status !== 0) throw new Error(`${file}: ${asked.stderr}`);
  const { streams, format } = JSON.parse(asked.stdout);
  return {
    seconds: Number(format.duration),
    format: format.format_name,
    streams: streams.map((stream) => ({ ...stream, frames: Number(stream.nb_read_frames) })),
  };
}

/**
 * A sum over each picture of a file: over its bytes as they stand there, or over what is seen.
 *
 * @param {string} file
 * @param {'bytes' | 'pictures'} what
 */
export function sums(file, what) {
  const copied = what === 'bytes' ? ['-c', 'copy'] : [];
  const asked = spawnSync('ffmpeg', [
    '-v', 'error', '-i', file, '-map', '0:v', ...copied, '-fps_mode', 'passthrough', '-f', 'framemd5', '-',
  ], { encoding: 'utf8' });
  if (asked.stderr !== '') throw new Error(`${file}: ${asked.stderr}`);
  const lines = asked.stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => line.split(',').at(-1)?.trim());
}

/**
 * How many pictures of a recording are those of a film, which is played again and again. Each of them has
 * to be the next one of the film, unless others came in between.
 *
 * @param {(string | undefined)[]} recorded sums of pictures
 * @param {(string | undefined)[]} film
 */
export function picturesOf(recorded, film) {
  let count = 0;
  let last = -1;
  for (const [place, sum] of recorded.entries()) {
    const at = last < 0 ? film.indexOf(sum) : (last + 1) % film.length;
    if (film.includes(sum) && film[at] !== sum) throw new Error(`picture ${place} is not the next one of the film`);
    last = film.includes(sum) ? at : -1;
    count += Number(last >= 0);
  }
  return count;
}

/** What decoders complain of. */
export function complaints(file) {
  const decoded = spawnSync('ffmpeg', [
    '-v', 'error', '-i', file, '-map', '0', '-f', 'null', '-fps_mode', 'passthrough', '-enc_time_base', '1:90000', '-',
  ], { encoding: 'utf8' });
  return decoded.stderr;
}

export const RATE = 48_000;

/** The sound of a recording, which is Opus: a number for each sample. */
export function samples(file) {
  // ffmpeg's own decoder gives bursts at full scale where there are none when a sound begins.
  const decoded = spawnSync('ffmpeg', [
    '-v', 'error', '-c:a', 'libopus', '-i', file, '-map', '0:a:0', '-f', 'f32le', '-ac', '1', '-ar', String(RATE), '-',
  ], { maxBuffer: 1 << 28 });
  const bytes = decoded.stdout;
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + (bytes.length & ~3)));
}

/** How loud a frequency is in the last seconds of a sound, in decibels below a full scale. */
export function loudness(sound, frequency, seconds) {
  const end = sound.subarray(Math.max(0, sound.length - seconds * RATE));
  // A tenth of a second at a time, so that a gap costs a tenth of a second.
  const length = RATE / 10;
  let power = 0;
  let parts = 0;
  for (let from = 0; from + length <= end.length; from += length, parts += 1) {
    let [real, imaginary] = [0, 0];
    for (let at = 0; at < length; at += 1) {
      const angle = (2 * Math.PI * frequency * at) / RATE;
      real += end[from + at] * Math.cos(angle);
      imaginary += end[from + at] * Math.sin(angle);
    }
    power += 2 * (real ** 2 + imaginary ** 2) / length ** 2;
  }
  return 10 * Math.log10(power / Math.max(1, parts) + 1e-12);
}

/** The frame of a file at a second, as red, green and blue at some points (0 to 1). */
export function pixels(file, second, points) {
  const [width, height] = [64, 36];
  const decoded = spawnSync('ffmpeg', [
    '-v', 'error', '-i', file, '-ss', String(second), '-map', '0:v:0', '-frames:v', '1',
    '-vf', `scale=${width}:${height}`, '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-',
  ], { maxBuffer: 1 << 24 });
  return points.map(([x, y]) => {
    const at = 3 * (Math.floor(y * height) * width + Math.floor(x * width));
    return [...decoded.stdout.subarray(at, at + 3)];
  });
}

/** How loud a sound is, in decibels below a full scale. */
export function power(sound) {
  let sum = 0;
  for (const sample of sound) sum += sample ** 2;
  return 10 * Math.log10(sum / Math.max(1, sound.length) + 1e-12);
}
