// fake.ts -- stands in for socket.io-client: sockets whose server is the test.
//
// Use: vi.mock('socket.io-client', () => import('./fake.js'));
import { vi } from 'vitest';

type Handler = (...args: never[]) => void;
type Auth = { token?: string; projects: string[] };

export class FakeSocket {
  connected = false;
  active = false;
  recovered = false;
  io = { engine: { close: () => this.drop('forced close') } as { close(): void } };
  auths: Auth[] = [];
  /** What was sent: with an answer or not. */
  sent: { name: string; data: unknown; isVolatile: boolean }[] = [];
  answers: Record<string, (data: never) => unknown> = {};
  private handlers = new Map<string, Set<Handler>>();
  private any = new Set<Handler>();

  constructor(readonly url: string, readonly options: { auth: (send: (data: Auth) => void) => void; path: string }) {
    sockets.push(this);
  }

  on(name: string, handler: Handler) {
    this.handlers.set(name, (this.handlers.get(name) ?? new Set()).add(handler));
    return this;
  }
  onAny(handler: Handler) {
    this.any.add(handler);
  }
  offAny() {
    this.any.clear();
  }
  removeAllListeners() {
    this.handlers.clear();
  }
  connect() {
    if (this.active) return;
    this.active = true;
    this.attempt();
  }
  disconnect() {
    const was = this.connected;
    this.connected = this.active = false;
    if (was) this.local('disconnect', 'io client disconnect');
  }
  emit(name: string, data: unknown) {
    this.sent.push({ name, data, isVolatile: false });
  }
  get volatile() {
    return { emit: (name: string, data: unknown) => void this.sent.push({ name, data, isVolatile: true }) };
  }
  timeout(ms: number) {
    return {
      emitWithAck: (name: string, data: unknown) => {
        this.sent.push({ name, data, isVolatile: false });
        const answer = this.answers[name];
        if (!answer) return new Promise((_, reject) => setTimeout(() => reject(new Error('operation has timed out')), ms));
        return Promise.resolve(answer(data as never));
      },
    };
  }

  // ---- the test is the server ----

  /** The transport is there: the client is asked for its auth. */
  attempt() {
    this.io = { engine: { close: () => this.drop('forced close') } };
    this.options.auth((data) => this.auths.push(data));
  }
  accept(userId = 'anna') {
    this.connected = true;
    this.local('connect');
    this.says('connected', { user_id: userId, message: `Successfully connected as ${userId}` });
  }
  refuse(code: string) {
    this.active = false;
    this.local('connect_error', Object.assign(new Error('Authentication required'), { data: { code } }));
  }
  unreachable() {
    this.local('connect_error', new Error('xhr poll error'));
  }
  /** The connection breaks; the stock client would try again by itself. */
  drop(reason = 'transport close') {
    const was = this.connected;
    this.connected = false;
    if (reason === 'io server disconnect') this.active = false;
    if (was) this.local('disconnect', reason);
  }
  says(name: string, data: unknown) {
    for (const handler of [...this.any]) (handler as (...args: unknown[]) => void)(name, data);
    this.local(name, data);
  }
  /** Data of what was sent under that name. */
  got(name: string) {
    return this.sent.filter((s) => s.name === name).map((s) => s.data);
  }
  private local(name: string, ...args: unknown[]) {
    for (const handler of [...(this.handlers.get(name) ?? [])]) (handler as (...args: unknown[]) => void)(...args);
  }
}

export const sockets: FakeSocket[] = [];
export const newest = () => sockets[sockets.length - 1]!;
export const io = (url: string, options: FakeSocket['options']) => new FakeSocket(url, options);

/** Answers of the REST API, one after the other or by a function of the path. */
export function fakeFetch(answer: (path: string, init: RequestInit) => { status?: number; body?: unknown } | Promise<never>) {
  const calls: { path: string; init: RequestInit }[] = [];
  vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
    calls.push({ path, init });
    const { status = 200, body } = await answer(path, init);
    return { status, text: async () => (body === undefined ? '' : JSON.stringify(body)) };
  });
  return calls;
}

/** Let what is resolved go on. */
export const settle = async () => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

let n = 0;
/** An address that no other test uses: clients are shared by address. */
export const freshUrl = () => `http://server-${++n}`;
