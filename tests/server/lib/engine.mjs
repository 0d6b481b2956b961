// The stock engine.io-client, by the versions that people have, and a thin wrapper that
// keeps what happens until a test asks for it.
import * as latest from 'engine.io-client';
import * as v62 from 'engine.io-client-6.2';
import v5 from 'engine.io-client-5';
import v4 from 'engine.io-client-4';
import { PATIENCE, Queue, within } from './queue.mjs';

// name, module, what it can do beside the protocol, where it is
const ALL = [
  ['4.1', v4, {}, 'engine.io-client-4'],
  ['5.2', v5, { unref: true }, 'engine.io-client-5'],
  ['6.2', v62, { unref: true, maxPayload: true, details: true }, 'engine.io-client-6.2'],
  ['latest', latest, { unref: true, maxPayload: true, details: true, cookies: true, tryAll: true, fetch: true }, 'engine.io-client'],
];
export const VERSIONS = process.env.TEST_CORE ? ALL.slice(-1) : ALL;
export const engine = latest;

export const TRANSPORTS = [
  ['polling only', { transports: ['polling'] }],
  ['websocket only', { transports: ['websocket'] }],
  ['upgrade', { transports: ['polling', 'websocket'] }],
];

export class EngineClient {
  constructor(url, options = {}, module = latest) {
    this.events = new Queue('engine.io client');
    this.messages = new Queue('messages');
    this.socket = new module.Socket(url, { ...options });
    this.socket.binaryType = options.binaryType ?? 'nodebuffer';
    // Whoever asks later finds the request taken apart.
    this.socket.on('error', (error) => (this.errorBody = error.context?.responseText));
    for (const name of ['open', 'close', 'error', 'upgrade', 'upgradeError', 'upgrading', 'ping', 'packetCreate'])
      this.socket.on(name, (...args) => this.events.push({ name, args }));
    this.socket.on('message', (data) => this.messages.push(data));
  }

  async event(name) {
    return (await this.events.next((e) => e.name === name, { what: `event ${name}` })).args;
  }

  // The client has answered another ping.
  heartbeat() {
    return this.events.next((e) => e.name === 'packetCreate' && e.args[0].type === 'pong', { what: 'a pong' });
  }

  all(name) {
    return this.events.peek((e) => e.name === name);
  }

  // Open; the first of open, error and close decides.
  async opened() {
    const first = await this.events.next((e) => ['open', 'error', 'close'].includes(e.name), { what: 'open' });
    if (first.name !== 'open') throw new Error(`did not open: ${first.name} ${first.args[0]?.message ?? first.args[0]} ${first.args[0]?.description ?? ''}`);
    return this;
  }

  async upgraded() {
    if (this.socket.transport.name !== 'websocket') await this.event('upgrade');
    return this;
  }

  message(opts) {
    return this.messages.next(undefined, { what: 'a message', ...opts });
  }

  send(data) {
    this.socket.send(data);
    return this;
  }

  // Send and get what comes back.
  async ask(data) {
    this.socket.send(data);
    return this.message();
  }

  close() {
    this.socket.close();
  }

  async closed() {
    if (this.socket.readyState === 'closed') return;
    await within(new Promise((resolve) => this.socket.once('close', resolve)), PATIENCE, 'close');
  }
}

// Clients opened by a test, closed in one go.
export function enginePool() {
  const open = new Set();
  return {
    open(url, options, module) {
      const c = new EngineClient(url, options, module);
      open.add(c);
      return c;
    },
    close() {
      for (const c of open) c.close();
      open.clear();
    },
  };
}
