// client.ts -- one connection to one server as one user, shared by everything in the page that
// asks for the same.
//
// Knows the socket, the token, and how the connection stands.  What happens inside a project is
// project.ts's; React is not known here at all: a component that mounts twice (StrictMode) or
// again takes a reference and gives it back, and the socket neither knows nor flickers.
//
// SPDX-License-Identifier: Apache-2.0
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import { isUnauthorized, problemOf, RealtimeError } from './error.js';
import type { Answers, ClientToServerEvents, ServerToClientEvents } from './events.js';
import { Project } from './project.js';
import { Listeners, retryMs, type Stop, Store } from './store.js';

export type RealtimeSocket = Socket<ServerToClientEvents, ClientToServerEvents>;

/**
 * `initial`: not asked to connect yet.  `connecting`: for the first time.  `reconnecting`: the
 * connection was lost and is tried again by itself.  `disconnected`: given up; see `error`, and
 * call `reconnect()`.
 */
export type Status = 'initial' | 'connecting' | 'connected' | 'reconnecting' | 'disconnected';

export interface Connection {
  status: Status;
  /** Why it is not connected, as far as it is known. */
  error: RealtimeError | null;
  /** Who one is, by the server's word. */
  userId: string | null;
  /** Since when the status is what it is, in ms since 1970. */
  since: number;
}

type Token = string | null | undefined;
/** A token, or null when nobody is signed in.  `force`: the one before was refused or ends soon, so it must be another one. */
export type GetToken = (about: { force: boolean }) => Token | Promise<Token>;

export interface ClientOptions {
  /** Path of Socket.IO on the server. */
  path?: string;
  /** Options for socket.io-client as it is: transports, reconnectionDelayMax ... */
  socketOptions?: Partial<ManagerOptions & SocketOptions>;
  /** A loss that lasts longer than this is told as `lost`. */
  lostAfterMs?: number;
  /** Reads a JSON answer of the API; a caller who needs every digit of a decimal brings one. */
  parse?: (text: string) => unknown;
  /** The token was refused, of a request or of the connection, and `getToken` has no better one: sign in anew.  Told once. */
  onUnauthorized?: (error: RealtimeError) => void;
}

export interface RequestOptions {
  /** Makes a repeat of a write harmless. */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

export type Change = 'lost' | 'restored' | 'failed';
/** `missed`: how many durable events of the past the restoration has brought. */
export type LostListener = (change: Change, about: { missed: number; error: RealtimeError | null }) => void;
/** `missed`: an event of the past, brought by the event history or by recovery. */
export interface EventMeta {
  name: string;
  projectId?: string;
  missed: boolean;
  /** When it happened, in UTC, of an event that was read from the history; any other has just come. */
  created_at?: string;
}

const LINGER_MS = 1000; // how long a socket that nobody holds stays open
const RETRIES_OF_A_REFUSED_TOKEN = 3;
const PROJECTS_IN_AUTH = 100; // the server takes no more there
const ASK_MS = 10000;

const CLOSED: Connection = { status: 'initial', error: null, userId: null, since: 0 };

export class Client {
  readonly connection = new Store<Connection>(CLOSED);
  readonly events = new Listeners<[data: unknown, meta: EventMeta]>();
  readonly lost = new Listeners<Parameters<LostListener>>();
  /** Those that somebody holds: they are joined. */
  readonly projects = new Map<string, Project>();
  socket: RealtimeSocket | null = null;
  getToken: GetToken = () => null;
  options: ClientOptions = {};

  private readonly known = new Map<string, Project>();
  private holders = 0;
  private refusals = 0;
  private isRefused = false; // the token of the last attempt
  private isToldRefused = false;
  private forced?: Promise<string | null>;
  private named: string[] = []; // projects that went along with the last CONNECT
  private isLost = false;
  private timers: { linger?: Timer; retry?: Timer; lost?: Timer } = {};

  constructor(readonly url: string) {}

  // ---- life ------------------------------------------------------------------------

  /** Connect when this is the first holder.  The last one's giving back closes, a little later. */
  retain(): Stop {
    clearTimeout(this.timers.linger);
    if (this.holders++ === 0 && !this.socket) this.open();
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      if (--this.holders === 0) this.timers.linger = setTimeout(() => this.close(), LINGER_MS);
    };
  }

  private open(): void {
    const { path = '/socket.io', socketOptions } = this.options;
    const socket: RealtimeSocket = io(this.url, { ...socketOptions, path, forceNew: true, autoConnect: false, auth: (send) => this.authenticate(send) });
    this.socket = socket;
    socket.on('connect', () => this.onConnect());
    socket.on('disconnect', (reason) => this.onDisconnect(reason));
    socket.on('connect_error', (error) => this.onRefused(error));
    socket.onAny((name: string, data: unknown) => this.onEvent(name, data));
    this.move('connecting');
    socket.connect();
  }

  // A later retain makes another socket.
  private close(): void {
    for (const timer of Object.values(this.timers)) clearTimeout(timer);
    this.timers = {};
    this.socket?.removeAllListeners();
    this.socket?.offAny();
    this.socket?.disconnect();
    this.socket = null;
    this.isLost = this.isRefused = this.isToldRefused = false;
    this.connection.set(CLOSED);
  }

  /** Try again now, after `disconnected`. */
  reconnect(): void {
    this.refusals = 0;
    this.isRefused = this.isToldRefused = false;
    if (!this.socket || this.socket.active) return;
    this.move('connecting', null);
    this.socket.connect();
  }

  private move(status: Status, error = this.connection.get().error): void {
    const now = this.connection.get();
    this.connection.patch({ status, error, since: now.status === status ? now.since : Date.now() });
  }

  // ---- the token -------------------------------------------------------------------

  // Whoever needs another one at the same time shares it.
  private token(force = false): Promise<string | null> {
    const ask = async () => {
      try {
        return (await this.getToken({ force })) ?? null;
      } catch (cause) {
        throw new RealtimeError(`There is no token: ${messageOf(cause)}`, 'token_unavailable');
      }
    };
    return force ? (this.forced ??= ask().finally(() => (this.forced = undefined))) : ask();
  }

  /** What there is in place of a token that was refused; the same when there is nothing better. */
  private async tokenAfter(refused: string | null): Promise<string | null> {
    const token = await this.token(); // somebody else may have got one
    return token === refused ? this.token(true) : token;
  }

  private onUnauthorized(error: RealtimeError): void {
    if (this.isToldRefused) return;
    this.isToldRefused = true;
    this.options.onUnauthorized?.(error);
  }

  // The token for each attempt.  An answer that comes when that attempt is over is dropped.
  private async authenticate(send: (data: object) => void): Promise<void> {
    const engine = this.socket?.io.engine;
    const isCurrent = () => engine !== undefined && this.socket?.io.engine === engine;
    let token: string | null;
    try {
      token = await this.token(this.isRefused);
    } catch (error) {
      if (!isCurrent()) return;
      this.move(this.connection.get().status, error as RealtimeError);
      this.timers.retry = setTimeout(() => isCurrent() && engine?.close(), retryMs(this.refusals++));
      return;
    }
    if (!isCurrent()) return;
    this.named = [...this.projects.keys()].slice(0, PROJECTS_IN_AUTH);
    send({ ...(token !== null && { token }), projects: this.named });
  }

  private async refresh(): Promise<void> {
    const token = await this.token(true);
    if (token) await this.ask('auth:refresh', { token });
  }

  // ---- what the socket says --------------------------------------------------------

  private onConnect(): void {
    this.refusals = 0;
    this.isRefused = this.isToldRefused = false;
    clearTimeout(this.timers.lost);
    this.move('connected', null);
    // Projects that were entered while the handshake was under way.
    for (const project of this.projects.values()) if (!this.named.includes(project.id)) project.join();
    this.named = [];
    if (this.projects.size === 0) this.onBack(0);
  }

  private onDisconnect(reason: string): void {
    for (const project of this.projects.values()) project.onAway();
    if (reason === 'io server disconnect') return this.fail(new RealtimeError('The server has ended the connection', 'disconnected'));
    this.onAway(new RealtimeError(`The connection was lost (${reason})`, 'unreachable'));
  }

  private onRefused(error: Error & { data?: { code?: string } }): void {
    if (this.socket?.active) return this.onAway(new RealtimeError(error.message, 'unreachable'));
    const refusal = new RealtimeError(error.message, error.data?.code ?? 'refused');
    const isToken = (this.isRefused = isUnauthorized(refusal));
    if (isToken && ++this.refusals >= RETRIES_OF_A_REFUSED_TOKEN) {
      this.fail(refusal);
      return this.onUnauthorized(refusal);
    }
    this.onAway(refusal);
    this.timers.retry = setTimeout(() => this.socket?.connect(), isToken && this.refusals === 1 ? 0 : retryMs(this.refusals));
    if (!isToken) this.refusals++;
  }

  // Not connected, and being tried again.
  private onAway(error: RealtimeError): void {
    const { status } = this.connection.get();
    this.move(status === 'connected' || status === 'reconnecting' ? 'reconnecting' : 'connecting', error);
    if (status !== 'connected') return;
    this.timers.lost = setTimeout(() => {
      this.isLost = true;
      this.lost.call('lost', { missed: 0, error });
    }, this.options.lostAfterMs ?? 5000);
  }

  private fail(error: RealtimeError): void {
    clearTimeout(this.timers.lost);
    this.isLost = true;
    this.move('disconnected', error);
    this.lost.call('failed', { missed: 0, error });
  }

  /** A project, or the connection without one, is as if nothing had been. */
  onBack(missed: number): void {
    if (!this.isLost) return;
    this.isLost = false;
    this.lost.call('restored', { missed, error: null });
  }

  private onEvent(name: string, data: unknown): void {
    const of = idOf(data);
    if (name === 'connected') this.connection.patch({ userId: (data as { user_id: string }).user_id });
    if (name === 'token:expiring') this.refresh().catch(() => {}); // then it ends, and the next attempt asks again
    const project = of !== undefined ? this.projects.get(of) : this.projects.size === 1 ? [...this.projects.values()][0] : undefined;
    if (project) project.take(name, data, of === undefined);
    else this.events.call(data, { name, ...(of !== undefined && { projectId: of }), missed: false });
  }

  // ---- asking ----------------------------------------------------------------------

  /** Send an event and wait for its acknowledgement.  A refusal and a time-out are a RealtimeError. */
  async ask<E extends keyof Answers>(name: E, data: Parameters<ClientToServerEvents[E]>[0], timeoutMs = ASK_MS): Promise<Extract<Answers[E], { ok: true }>> {
    if (!this.socket?.connected) throw new RealtimeError('There is no connection', 'not_connected');
    let answer: { ok: boolean; error?: { code: string; message: string } };
    try {
      // One event of several, each with its own types: TypeScript cannot follow the choice here.
      answer = await (this.socket.timeout(timeoutMs) as unknown as Asking).emitWithAck(name, data);
    } catch {
      throw new RealtimeError(`${name} was not answered within ${timeoutMs} ms`, 'timeout');
    }
    if (!answer.ok) throw new RealtimeError(answer.error!.message, answer.error!.code);
    return answer as Extract<Answers[E], { ok: true }>;
  }

  /** Send an event of the moment: nothing is kept for a later connection.  `isVolatile`: nor for a busy one. */
  tell<E extends keyof Answers>(name: E, data: Parameters<ClientToServerEvents[E]>[0], isVolatile = false): void {
    if (!this.socket?.connected) return;
    ((isVolatile ? this.socket.volatile : this.socket) as unknown as Telling).emit(name, data);
  }

  /** A call of the REST API with the user's token.  `data` undefined: no body.  204 gives undefined. */
  async request<T = unknown>(method: string, path: string, data?: unknown, options: RequestOptions = {}): Promise<T> {
    let token = await this.token();
    for (let isLast = false; ; isLast = true) {
      try {
        const answer = await this.call(token, method, path, data, options);
        this.isToldRefused = false;
        return answer as T;
      } catch (error) {
        if (!isUnauthorized(error)) throw error;
        const other = isLast ? token : await this.tokenAfter(token);
        if (other === token) {
          this.onUnauthorized(error);
          throw error;
        }
        token = other;
      }
    }
  }

  private async call(token: string | null, method: string, path: string, data: unknown, options: RequestOptions): Promise<unknown> {
    let status: number;
    let text: string;
    try {
      const answer = await fetch(this.url + path, {
        method,
        headers: {
          ...(token !== null && { Authorization: `Bearer ${token}` }),
          ...(data !== undefined && { 'Content-Type': 'application/json' }),
          ...(options.idempotencyKey && { 'Idempotency-Key': options.idempotencyKey }),
        },
        ...(data !== undefined && { body: JSON.stringify(data) }),
        ...(options.signal && { signal: options.signal }),
      });
      status = answer.status;
      text = await answer.text();
    } catch (cause) {
      if (options.signal?.aborted) throw cause;
      throw new RealtimeError(`The server could not be reached: ${messageOf(cause)}`, 'unreachable');
    }
    const body = read(text, this.options.parse);
    if (status < 200 || status > 299) throw problemOf(status, body);
    return body;
  }

  // ---- projects --------------------------------------------------------------------

  project(id: string): Project {
    let project = this.known.get(id);
    if (!project) this.known.set(id, (project = new Project(this, id)));
    return project;
  }
}

type Timer = ReturnType<typeof setTimeout>;
type Asking = { emitWithAck(name: string, data: unknown): Promise<never> };
type Telling = { emit(name: string, data: unknown): void };

const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause));
const idOf = (data: unknown): string | undefined => {
  const id = data && typeof data === 'object' ? (data as { project_id?: unknown }).project_id : undefined;
  return typeof id === 'string' ? id : undefined;
};
function read(text: string, parse: (text: string) => unknown = JSON.parse): unknown {
  if (text === '') return undefined;
  try {
    return parse(text);
  } catch {
    return undefined; // a proxy's page, say: the status tells
  }
}

// ---- one for each server and user --------------------------------------------------------

const clients = new Map<string, Client>();

/**
 * The client of that server and session.  On a server (no `window`) each call makes one of its
 * own, which is never opened: nothing of one visitor can reach another.
 */
export function clientOf(url: string, session: string, path = '/socket.io'): Client {
  url = url.replace(/\/+$/, ''); // paths begin with one
  if (typeof window === 'undefined') return new Client(url);
  const key = JSON.stringify([url, path, session]);
  let client = clients.get(key);
  if (!client) clients.set(key, (client = new Client(url)));
  return client;
}
