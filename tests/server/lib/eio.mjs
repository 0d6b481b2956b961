// Engine.IO by hand: polling sessions and WebSockets whose every byte a test chooses.
import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import { constants, inflateRawSync } from 'node:zlib';
import { request } from './http.mjs';
import { Queue, PATIENCE, within } from './queue.mjs';

export const RS = '\x1e';
export const SOCKET_IO = '/socket.io/', ENGINE_IO = '/engine.io/';

export class Polling {
  constructor(port, { headers = {}, base = SOCKET_IO, query = '' } = {}) {
    this.port = port;
    this.headers = headers;
    this.base = base;
    this.query = query;
    this.inbox = [];
  }

  path(sid = this.sid) {
    return `${this.base}?EIO=4&transport=polling${this.query}${sid ? `&sid=${sid}` : ''}`;
  }

  async open() {
    const res = await request(this.port, 'GET', this.path(null), { headers: this.headers });
    if (res.status !== 200 || res.body[0] !== '0') throw new Error(`handshake: ${res.status} ${res.body}`);
    this.handshake = JSON.parse(res.body.slice(1));
    this.sid = this.handshake.sid;
    this.opened = res;
    return this;
  }

  get(opts) {
    return request(this.port, 'GET', this.path(), { headers: this.headers, ...opts });
  }

  post(body, { headers = {}, ...opts } = {}) {
    const type = { 'content-type': 'text/plain;charset=UTF-8' };
    return request(this.port, 'POST', this.path(), { headers: { ...type, ...this.headers, ...headers }, body, ...opts });
  }

  // Packets as they come, in order; pings are answered on the way.
  async packet() {
    while (!this.inbox.length) {
      const res = await this.get();
      if (res.status !== 200) throw new Error(`GET: ${res.status} ${res.body}`);
      for (const p of res.body.split(RS)) {
        if (p === '2') await this.post('3');
        else if (p !== '6') this.inbox.push(p);
      }
    }
    return this.inbox.shift();
  }

  async next(prefix) {
    for (let i = 0; i < 2000; i++) {
      const p = await this.packet();
      if (p.startsWith(prefix)) return p;
    }
    throw new Error(`no packet ${prefix}…`);
  }

  // Socket.IO CONNECT to "/".
  async connect(auth) {
    await this.post(`40${auth === undefined ? '' : JSON.stringify(auth)}`);
    this.connectAnswer = await this.next('4');
    return this;
  }

  // Is the session gone, or closing?  Gone: its sid is unknown.  Closing: what is
  // queued still comes, with "1" as the last, and then the sid is unknown.
  async isGone() {
    let closing = false;
    for (let i = 0; i < 5; i++) {
      if (!closing && (await this.post('3')).status === 400) return true;
      const res = await this.get({ timeout: 2000 }).catch(() => ({ status: 0, body: '' }));
      if (res.status !== 200) return res.status === 400;
      closing ||= res.body.split(RS).includes('1');
    }
    return false;
  }
}

export function frame(payload, { opcode, fin = true, rsv = 0, mask = true, length, lengthForm } = {}) {
  const data = Buffer.isBuffer(payload) ? payload : Buffer.from(payload ?? '');
  const op = opcode ?? (Buffer.isBuffer(payload) ? 2 : 1);
  const n = BigInt(length ?? data.length); // a length other than the data's: a lie
  const form = lengthForm ?? (n < 126n ? 7 : n < 65536n ? 16 : 64);
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | op];
  const bit = mask ? 0x80 : 0;
  if (form === 7) head.push(bit | Number(n));
  else if (form === 16) head.push(bit | 126, Number(n >> 8n) & 255, Number(n & 255n));
  else {
    const b = Buffer.alloc(8);
    b.writeBigUInt64BE(n);
    head.push(bit | 127, ...b);
  }
  if (!mask) return Buffer.concat([Buffer.from(head), data]);
  const key = randomBytes(4);
  const masked = Buffer.from(data);
  for (let i = 0; i < masked.length; i++) masked[i] ^= key[i & 3];
  return Buffer.concat([Buffer.from(head), key, masked]);
}

// What permessage-deflate makes of a payload, and back.
export const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
export const inflated = (payload) => inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH });

// A WebSocket on a bare TCP connection.  Messages (text as string, binary as
// Buffer; inflated when they came with RSV1) and the close go to the queue.
export class RawWs {
  constructor(port, { query = 'EIO=4&transport=websocket', sid, target, headers = {}, omit = [], method = 'GET', tail, answersClose = true, socket, base = SOCKET_IO } = {}) {
    this.inbox = new Queue('websocket');
    this.answersClose = answersClose;
    this.buf = Buffer.alloc(0);
    this.parts = [];
    this.key = randomBytes(16).toString('base64');
    const all = {
      Host: `127.0.0.1:${port}`,
      Upgrade: 'websocket',
      Connection: 'Upgrade',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': this.key,
      ...headers,
    };
    for (const name of omit) delete all[name];
    const lines = Object.entries(all).flatMap(([k, v]) => (Array.isArray(v) ? v : [v]).map((x) => `${k}: ${x}\r\n`));
    this.tcp = socket ?? net.connect(port, '127.0.0.1'); // socket: one that speaks TLS
    this.tcp.setNoDelay(true);
    this.closed = new Promise((resolve) => this.tcp.once('close', resolve));
    this.tcp.on('error', () => {});
    this.tcp.on('close', () => {
      this.head ??= this.buf.toString('latin1');
      this.inbox.end('the TCP connection was closed');
      this.onHead?.(this);
    });
    const head = `${method} ${target ?? `${base}?${query}${sid ? `&sid=${sid}` : ''}`} HTTP/1.1\r\n${lines.join('')}\r\n`;
    this.tcp.write(tail ? Buffer.concat([Buffer.from(head, 'latin1'), tail]) : Buffer.from(head, 'latin1'));
    this.ready = new Promise((resolve) => (this.onHead = resolve));
    this.tcp.on('data', (d) => this.take(d));
  }

  take(data) {
    this.buf = Buffer.concat([this.buf, data]);
    if (this.head === undefined) {
      const end = this.buf.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.head = this.buf.subarray(0, end).toString('latin1');
      this.status = Number(this.head.split(' ')[1]);
      if (this.status !== 101) return; // the refusal's body is read until the close
      this.buf = this.buf.subarray(end + 4);
      this.onHead(this);
    }
    if (this.status === 101) while (this.takeFrame());
  }

  takeFrame() {
    const b = this.buf;
    if (b.length < 2) return false;
    let n = b[1] & 127, at = 2;
    if (n === 126) {
      if (b.length < 4) return false;
      n = b.readUInt16BE(2);
      at = 4;
    } else if (n === 127) {
      if (b.length < 10) return false;
      n = Number(b.readBigUInt64BE(2));
      at = 10;
    }
    if (b[1] & 128) throw new Error('the server masked a frame');
    if (b.length < at + n) return false;
    const payload = Buffer.from(b.subarray(at, at + n));
    this.buf = b.subarray(at + n);
    this.takeWhole(b[0] & 15, !!(b[0] & 128), payload, (b[0] >> 4) & 7);
    return true;
  }

  takeWhole(opcode, fin, payload, rsv) {
    if (rsv & 3 || (rsv && (opcode === 0 || opcode >= 8))) throw new Error(`the server sent RSV bits ${rsv} with opcode ${opcode}`);
    if (opcode >= 8) {
      if (opcode === 8) {
        this.closeCode = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
        this.closeReason = payload.subarray(2).toString();
        if (this.answersClose && !this.sentClose) this.send(payload.subarray(0, 2), { opcode: 8 });
      }
      this.inbox.push({ op: opcode, data: payload });
      return;
    }
    if (opcode) [this.op, this.rsv] = [opcode, rsv];
    this.parts.push(payload);
    if (!fin) return;
    const sent = Buffer.concat(this.parts), whole = this.rsv ? inflated(sent) : sent;
    this.parts = [];
    this.inbox.push({ op: this.op, rsv: this.rsv, sent: sent.length, data: this.op === 1 ? whole.toString() : whole });
  }

  // 101 received; anything else is an error.
  async open() {
    await within(this.ready, PATIENCE, 'answer to the WebSocket handshake');
    if (this.status !== 101) throw new Error(`WebSocket handshake: ${this.head}`);
    const accept = createHash('sha1').update(`${this.key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    if (!this.head.includes(accept)) throw new Error(`wrong Sec-WebSocket-Accept: ${this.head}`);
    return this;
  }

  // Open and past the Engine.IO handshake of a WebSocket-only session.
  async handshakeDone() {
    await this.open();
    this.handshake = JSON.parse((await this.text('0')).slice(1));
    this.sid = this.handshake.sid;
    return this;
  }

  async connect(auth) {
    this.send(`40${auth === undefined ? '' : JSON.stringify(auth)}`);
    this.connectAnswer = await this.text('4');
    return this;
  }

  send(payload, opts) {
    this.sentClose ||= opts?.opcode === 8;
    this.tcp.write(frame(payload, opts));
    return this;
  }

  write(bytes) {
    this.tcp.write(bytes);
    return this;
  }

  async text(prefix = '', opts) {
    return (await this.inbox.next((m) => m.op === 1 && m.data.startsWith(prefix), { what: `text ${prefix}…`, ...opts })).data;
  }

  async binary(opts) {
    return (await this.inbox.next((m) => m.op === 2, { what: 'a binary message', ...opts })).data;
  }

  async control(op, opts) {
    return (await this.inbox.next((m) => m.op === op, { what: `control frame ${op}`, ...opts })).data;
  }

  // Wait for the end: the close code, or 1006 when there was no close frame.
  async end(ms = PATIENCE) {
    await within(this.closed, ms, 'end of the WebSocket');
    return this.closeCode ?? 1006;
  }

  destroy() {
    this.tcp.destroy();
  }
}

// Send bytes, collect what comes back until the peer closes or stays silent.
export function tcpTalk(port, chunks, { quiet = 300, pause = 0, limit = 10000, patient = false } = {}) {
  return new Promise((resolve) => {
    const tcp = net.connect(port, '127.0.0.1');
    const got = [];
    let timer;
    const done = (closed) => {
      clearTimeout(timer);
      clearTimeout(hard);
      tcp.destroy();
      const text = Buffer.concat(got).toString('latin1');
      resolve({ text, closed, status: Number(text.match(/^HTTP\/1\.[01] (\d{3})/)?.[1] ?? 0), answers: text.split(/HTTP\/1\.[01] \d{3} /).length - 1 });
    };
    const hard = setTimeout(() => done(false), limit);
    const arm = () => {
      clearTimeout(timer);
      if (!patient || got.length) timer = setTimeout(() => done(false), quiet);
    };
    tcp.setNoDelay(true);
    tcp.on('error', () => {});
    tcp.on('close', () => done(true));
    tcp.on('data', (d) => (got.push(d), arm()));
    tcp.on('connect', async () => {
      for (const chunk of [chunks].flat()) {
        if (tcp.destroyed) return;
        tcp.write(Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk, 'latin1'));
        if (pause) await new Promise((r) => setTimeout(r, pause));
      }
      arm();
    });
  });
}
