// A server in the place of the relay, for answers that a relay gives only in need: it serves the page,
// and says to the rest what a test tells it to.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const HTML = join(import.meta.dirname ?? '.', '../../html');
const TYPES = { html: 'text/html', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' };

/** What RFC 6455 has a server add to the key of an opening. */
const WEBSOCKET = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export class StandIn {
  /** What the questions for ICE servers are answered with; `body` is sent as JSON. */
  api = { status: 404, body: {}, delayMs: 0 };
  /** Which pages are let in, by their origin. @type {(origin: string | undefined) => boolean} */
  allows = () => true;
  /** The status of the answer to those who open a WebSocket; 101 opens it and says HELLO. */
  socket = 101;
  /** The tokens that were shown with questions; null for none. @type {(string | null)[]} */
  asked = [];
  /** The addresses of the WebSockets that were asked for. @type {string[]} */
  opened = [];
  sockets = new Set();

  static async start(settings = {}) {
    const relay = Object.assign(new StandIn(), settings);
    relay.server = createServer((request, response) => relay.answer(request, response));
    relay.server.on('connection', (socket) => relay.sockets.add(socket));
    relay.server.on('upgrade', (request, socket) => relay.upgrade(request, socket));
    await new Promise((resolve) => relay.server.listen(0, '127.0.0.1', resolve));
    relay.page = `http://127.0.0.1:${relay.server.address().port}/`;
    return relay;
  }

  answer(request, response) {
    const { pathname } = new URL(request.url, this.page);
    if (pathname === '/api/ice-servers') {
      const { status, body, delayMs } = this.api;
      if (request.method === 'OPTIONS') {
        const { origin } = request.headers;
        response.writeHead(204, this.allows(origin) ? { 'access-control-allow-origin': origin } : {}).end();
        return;
      }
      this.asked.push(request.headers.authorization ?? null);
      // Who waits for it keeps no test from ending.
      setTimeout(() => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)), delayMs ?? 0).unref();
      return;
    }
    const name = pathname === '/' ? 'index.html' : pathname.slice(1);
    const type = TYPES[name.split('.').at(-1)];
    if (type === undefined || name.includes('/')) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': type }).end(readFileSync(join(HTML, name)));
  }

  upgrade(request, socket) {
    this.opened.push(request.url);
    socket.on('error', () => {});
    if (this.socket !== 101) return socket.end(`HTTP/1.1 ${this.socket} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
    const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + WEBSOCKET).digest('base64');
    socket.write(`HTTP/1.1 101 Yes\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`);
    // The first thing a page says is HELLO with its id; a text frame of five bytes is the answer.
    socket.once('data', () => socket.write(Buffer.concat([Buffer.from([0x81, 5]), Buffer.from('HELLO')])));
  }

  async stop() {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}
