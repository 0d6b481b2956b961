// The stock clients, by the versions that people have, and a thin wrapper that
// keeps every event until a test asks for it.
import { io as io3 } from 'socket.io-client-3';
import { io as io40 } from 'socket.io-client-4.0';
import { io as io45 } from 'socket.io-client-4.5';
import { io as ioLatest } from 'socket.io-client';
import { Queue, within, PATIENCE } from './queue.mjs';

const ALL = [
  ['3.1', io3],
  ['4.0', io40],
  ['4.5.4', io45],
  ['latest', ioLatest],
];
// make check is to be fast: the newest client stands for all.
export const VERSIONS = process.env.TEST_CORE ? ALL.slice(-1) : ALL;
export const io = ioLatest;

export const TRANSPORTS = [
  ['polling only', { transports: ['polling'] }],
  ['websocket only', { transports: ['websocket'] }],
  ['upgrade', { transports: ['polling', 'websocket'] }],
];

// For clients that come back by themselves, soon.
export const COMES_BACK = { transports: ['websocket'], reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 60 };

export class Client {
  constructor(url, options = {}, create = ioLatest) {
    this.events = new Queue(`client ${options.name ?? ''}`);
    this.socket = create(url, { path: '/socket.io', forceNew: true, reconnection: false, ...options });
    this.socket.onAny((name, ...args) => this.events.push({ name, args }));
    for (const name of ['connect', 'disconnect', 'connect_error'])
      this.socket.on(name, (...args) => this.events.push({ name, args, local: true }));
  }

  // First argument of the next event of that name (that fulfils match).
  async event(name, match = () => true, opts = {}) {
    const got = await this.events.next((e) => e.name === name && match(...e.args), { what: `event ${name}`, ...opts });
    return got.args[0];
  }

  all(name) {
    return this.events.peek((e) => e.name === name).map((e) => e.args[0]);
  }

  emit(...args) {
    this.socket.emit(...args);
    return this;
  }

  // Emit and wait for the acknowledgement.
  ask(name, ...args) {
    return within(new Promise((resolve) => this.socket.emit(name, ...args, resolve)), PATIENCE, `acknowledgement of ${name}`);
  }

  async connected() {
    const first = await this.events.next((e) => e.local, { what: 'connect' });
    if (first.name !== 'connect') throw new Error(`did not connect: ${first.name} ${first.args[0]?.message ?? first.args[0]}`);
    return this;
  }

  // Its connection is lost.
  lost() {
    return this.events.next((e) => e.local && e.name === 'disconnect', { what: 'disconnect' });
  }

  // It is back, and the server has said so: whether it was recovered.
  async back() {
    await this.events.next((e) => e.local && e.name === 'connect', { what: 'connect' });
    await this.event('connected');
    return this.socket.recovered;
  }

  transport() {
    return this.socket.io.engine?.transport?.name;
  }

  // Wait until the connection has moved to WebSocket.
  async upgraded() {
    const engine = this.socket.io.engine;
    if (engine.transport.name !== 'websocket')
      await within(new Promise((resolve) => engine.once('upgrade', resolve)), PATIENCE, 'upgrade to websocket');
    return this;
  }

  // Round trip: whatever the server had queued for us before is here afterwards.
  async settle(project_id = 'proj-123') {
    await this.ask('presence:list', { project_id });
    return this;
  }

  close() {
    this.socket.disconnect();
    this.socket.io.engine?.close?.();
  }
}

// Clients opened by a test file, closed in one go.
export function clientPool() {
  const open = new Set();
  const add = (url, options, create) => {
    const c = new Client(url, options, create);
    open.add(c);
    return c;
  };
  return {
    open: add,
    // A user, connected; joined to project when one is named.
    async user(server, user, { project, create, ...options } = {}) {
      const c = add(server.url, { auth: { token: server.token(user) }, name: user, transports: ['websocket'], ...options }, create);
      await c.connected();
      if (project) {
        c.emit('join_project', { project_id: project });
        c.joined = await c.event('joined_project', (d) => d.project_id === project);
      }
      return c;
    },
    close() {
      for (const c of open) c.close();
      open.clear();
    },
  };
}
