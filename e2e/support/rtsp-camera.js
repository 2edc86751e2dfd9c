// A camera of the network: one picture by RTSP (RFC 2326) and RTP over UDP, to whoever asks.

import { createServer } from 'node:net';
import { createSocket } from 'node:dgram';
import { Program } from './process.js';

const SDP = [
  'v=0', 'o=- 0 0 IN IP4 127.0.0.1', 's=camera', 'c=IN IP4 127.0.0.1', 't=0 0',
  'm=video 0 RTP/AVP 96', 'a=rtpmap:96 VP8/90000', 'a=control:track', '',
].join('\r\n');

export class RtspCamera {
  /** A camera that shows one colour; `port` is where it was before. */
  static async start(colour, port = 0) {
    const camera = new RtspCamera();
    camera.viewers = new Map();
    camera.rtp = createSocket('udp4');
    await new Promise((done) => camera.rtp.bind(0, '127.0.0.1', () => done(undefined)));
    camera.rtp.on('message', (packet) => {
      for (const viewer of camera.viewers.values()) camera.rtp.send(packet, viewer, '127.0.0.1');
    });
    const own = camera.rtp.address().port;
    camera.encoder = new Program('ffmpeg', [
      '-v', 'error', '-re', '-f', 'lavfi', '-i', `color=c=${colour}:s=320x180:r=15`,
      '-c:v', 'libvpx', '-deadline', 'realtime', '-b:v', '300k', '-g', '15',
      '-f', 'rtp', '-payload_type', '96', `rtp://127.0.0.1:${own}`,
    ]);
    camera.sockets = new Set();
    camera.server = createServer((socket) => camera.serve(socket, own));
    await new Promise((done) => camera.server.listen(port, '127.0.0.1', () => done(undefined)));
    camera.port = camera.server.address().port;
    return camera;
  }

  /** The address of its picture. */
  get url() {
    return `rtsp://127.0.0.1:${this.port}/live`;
  }

  serve(socket, own) {
    this.sockets.add(socket);
    let port;
    let text = '';
    socket.on('error', () => {});
    socket.on('close', () => {
      this.sockets.delete(socket);
      this.viewers.delete(socket);
    });
    socket.on('data', (data) => {
      text += data;
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const request = text.slice(0, end);
        text = text.slice(end + 4);
        const ports = request.match(/client_port=(\d+)-(\d+)/);
        if (ports) port = Number(ports[1]);
        if (request.startsWith('PLAY')) this.viewers.set(socket, port);
        socket.write(answer(request, ports, own));
      }
    });
  }

  async stop() {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    this.rtp.close();
    await this.encoder.stop('SIGKILL');
  }
}

/** What a request is answered. */
function answer(request, ports, own) {
  const lines = [`CSeq: ${request.match(/CSeq: *(\d+)/i)?.[1]}`];
  let status = '200 OK';
  let body = '';
  if (request.startsWith('OPTIONS')) lines.push('Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN');
  if (request.startsWith('DESCRIBE')) {
    body = SDP;
    lines.push('Content-Type: application/sdp', `Content-Length: ${body.length}`);
  }
  if (request.startsWith('SETUP') && ports) {
    lines.push(`Transport: RTP/AVP;unicast;client_port=${ports[1]}-${ports[2]};server_port=${own}-${own + 1}`);
  } else if (request.startsWith('SETUP')) {
    status = '461 Unsupported Transport';
  }
  if (/^(SETUP|PLAY)/.test(request)) lines.push('Session: 1');
  return `RTSP/1.0 ${status}\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
}
