// hooks.ts -- what components use.
//
// Each reads a store and renders anew only when what it has read is another thing.  Handlers
// may be written in place: the newest one is called, and no hook subscribes again for it.
//
// SPDX-License-Identifier: Apache-2.0
import { type RefObject, useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import type { Connection, EventMeta, LostListener, RealtimeSocket, RequestOptions, Status } from './client.js';
import { CursorBoard, type CursorOptions, type Point } from './cursors.js';
import type { Answers, ClientToServerEvents, ServerToClientEvents } from './events.js';
import { Optimistic, type OptimisticOptions, type Outcome } from './optimistic.js';
import type { Member, Presence, ProjectState } from './project.js';
import { useClient, useInitialPresence, useMaybeProject, useProjectOf } from './provider.js';
import { shallowEqual, type Store, throttle } from './store.js';

type Equal<S> = (a: S, b: S) => boolean;

/** What select makes of a store's value; the same object while isEqual says so. */
function useSelected<T, S>(store: Store<T>, select: (value: T) => S, isEqual: Equal<S> = Object.is): S {
  const last = useRef<{ value: T; select: (value: T) => S; made: S } | null>(null);
  const read = (value: T): S => {
    const seen = last.current;
    if (seen && seen.value === value && seen.select === select) return seen.made;
    const made = select(value);
    const kept = seen && isEqual(seen.made, made) ? seen.made : made;
    last.current = { value, select, made: kept };
    return kept;
  };
  return useSyncExternalStore(store.subscribe, () => read(store.get()), () => read(store.initial));
}

const itself = <T>(value: T): T => value;

/** A function that is always the same and calls the newest fn. */
function useLatest<A extends unknown[], R>(fn: (...args: A) => R): (...args: A) => R {
  const ref = useRef(fn);
  useEffect(() => {
    ref.current = fn;
  });
  return useCallback((...args: A) => ref.current(...args), []);
}

// ---- the connection ----------------------------------------------------------------------

/** How the connection stands. */
export function useStatus(): Status {
  return useSelected(useClient().connection, (c) => c.status);
}

/** The same with the reason, since when, who one is, and `reconnect()`. */
export function useConnection(): Connection & { reconnect(): void } {
  const client = useClient();
  const connection = useSelected(client.connection, itself);
  return useMemo(() => ({ ...connection, reconnect: () => client.reconnect() }), [client, connection]);
}

/** The stock socket, for what the hooks do not do; null until it is made, and on a server. */
export function useSocket(): RealtimeSocket | null {
  const client = useClient();
  useStatus();
  return client.socket;
}

/** Called when the connection is `lost` for a while, `restored` (with the number of missed events), or `failed`. */
export function useLostConnection(listener: LostListener): void {
  const client = useClient();
  const latest = useLatest(listener);
  useEffect(() => client.lost.add(latest), [client, latest]);
}

// ---- events ------------------------------------------------------------------------------

type Payload<E extends keyof ServerToClientEvents> = Parameters<ServerToClientEvents[E]>[0];

/**
 * Called for each event of that name.  Inside a <ProjectProvider>: those of the project (missed
 * ones first, in order, each once) and those of none, such as `notification:new`.  A name that
 * is not in the list, from a back end, has data of type unknown.
 */
export function useEvent<E extends keyof ServerToClientEvents>(name: E, handler: (data: Payload<E>, meta: EventMeta) => void): void;
export function useEvent(name: string & {}, handler: (data: unknown, meta: EventMeta) => void): void;
export function useEvent(name: string, handler: (data: never, meta: EventMeta) => void): void {
  useAnyEvent((data, meta) => {
    if (meta.name === name) handler(data as never, meta);
  });
}

/** Called for each event of whatever name, which is in `meta.name`. */
export function useAnyEvent(handler: (data: unknown, meta: EventMeta) => void): void {
  const client = useClient();
  const id = useMaybeProject()?.id;
  const latest = useLatest(handler);
  useEffect(
    () =>
      client.events.add((data, meta) => {
        if (id === undefined || meta.projectId === undefined || meta.projectId === id) latest(data, meta);
      }),
    [client, id, latest],
  );
}

type Sent<E extends keyof ClientToServerEvents> = Parameters<ClientToServerEvents[E]>[0];
export interface Emit {
  /** Resolves with the acknowledgement; rejects with a RealtimeError when refused, not answered in time, or not connected. */
  <E extends keyof Answers>(name: E, data: Sent<E>, options?: { timeoutMs?: number }): Promise<Extract<Answers[E], { ok: true }>>;
  /** Without an answer, and lost when it cannot go at once. */
  volatile<E extends keyof Answers>(name: E, data: Sent<E>): void;
}

/** Sends events. */
export function useEmit(): Emit {
  const client = useClient();
  return useMemo(
    () =>
      Object.assign(((name, data, options) => client.ask(name, data, options?.timeoutMs)) as Emit, {
        volatile: ((name, data) => client.tell(name, data, true)) as Emit['volatile'],
      }),
    [client],
  );
}

export type Request = <T = unknown>(method: string, path: string, data?: unknown, options?: RequestOptions) => Promise<T>;

/** Calls of the REST API with the user's token; an answer other than 2xx is a RealtimeError. */
export function useRequest(): Request {
  const client = useClient();
  return useMemo<Request>(() => (method, path, data, options) => client.request(method, path, data, options), [client]);
}

// ---- the project -------------------------------------------------------------------------

export interface ProjectView extends ProjectState {
  projectId: string;
  joined: boolean;
}

/** The project that one is in: joined or not, who is there, what the last reconnection has brought. */
export function useProject(): ProjectView {
  const project = useProjectOf();
  const state = useSelected(project.state, itself);
  return useMemo(() => ({ ...state, projectId: project.id, joined: state.status === 'joined' }), [project, state]);
}

/** Called when missed events are not kept any more: load the lists anew, they are at `seq` or later. */
export function useReload(handler: (seq: number) => void): void {
  const project = useProjectOf();
  const latest = useLatest(handler);
  useEffect(() => project.reloads.add(latest), [project, latest]);
}

export interface Members<P> {
  self: Member<P> | null;
  others: readonly Member<P>[];
  members: readonly Member<P>[];
}

/** Everybody who is in the project, oneself apart. */
export function useMembers<P = Presence>(): Members<P> {
  const members = useSelected(useProjectOf().state, (s) => s.members) as readonly Member<P>[];
  const userId = useSelected(useClient().connection, (c) => c.userId);
  return useMemo(
    () => ({ self: members.find((m) => m.userId === userId) ?? null, others: members.filter((m) => m.userId !== userId), members }),
    [members, userId],
  );
}

/** The others, or what select makes of them; renders anew when that is another thing (looking one level deep). */
export function useOthers<P = Presence>(): readonly Member<P>[];
export function useOthers<P, S>(select: (others: readonly Member<P>[]) => S, isEqual?: Equal<S>): S;
export function useOthers<P, S>(select?: (others: readonly Member<P>[]) => S, isEqual: Equal<S> = shallowEqual): S | readonly Member<P>[] {
  const project = useProjectOf();
  const userId = useSelected(useClient().connection, (c) => c.userId);
  const pick = useCallback(
    (state: ProjectState) => {
      const others = state.members.filter((m) => m.userId !== userId) as unknown as readonly Member<P>[];
      return select ? select(others) : others;
    },
    [userId, select], // one that is written in place may read other props now
  );
  return useSelected<ProjectState, S | readonly Member<P>[]>(project.state, pick, isEqual as Equal<unknown>);
}

/** Oneself as the others see it, or what select makes of it; null before one is there. */
export function useSelf<P = Presence>(): Member<P> | null;
export function useSelf<P, S>(select: (self: Member<P>) => S, isEqual?: Equal<S>): S | null;
export function useSelf<P, S>(select?: (self: Member<P>) => S, isEqual: Equal<S> = shallowEqual): S | Member<P> | null {
  const project = useProjectOf();
  const userId = useSelected(useClient().connection, (c) => c.userId);
  const pick = useCallback(
    (state: ProjectState) => {
      const self = state.members.find((m) => m.userId === userId) as Member<P> | undefined;
      return self ? (select ? select(self) : self) : null;
    },
    [userId, select],
  );
  return useSelected<ProjectState, S | Member<P> | null>(project.state, pick, isEqual as Equal<unknown>);
}

/** Own presence (at most 1 KiB of JSON) and a function that changes members of it. */
export function useMyPresence<P extends Presence = Presence>(): [P | null, (part: Partial<P>) => void] {
  const project = useProjectOf();
  const initial = useInitialPresence();
  const presence = (useSelected(project.presence, itself) ?? initial) as P | null;
  const update = useCallback((part: Partial<P>) => project.updatePresence(part), [project]);
  return [presence, update];
}

// ---- cursors and typing ------------------------------------------------------------------

export interface UseCursorsOptions<C> extends CursorOptions<C> {
  /** The own cursor is sent at most once in so many milliseconds. */
  throttleMs?: number;
}

export interface CursorView {
  userId: string;
  name: string;
  /** Give it to the element that shall move: `position: absolute`, at the top left of what holds all of them. */
  ref: (element: HTMLElement | null) => void;
}

/**
 * The others' cursors, gliding, and `move` for one's own (null hides it).  `cursors` changes when
 * somebody's appears or goes, not when one moves; after scrolling call `refresh`.
 */
export function useCursors<C>({ throttleMs = 33, ...options }: UseCursorsOptions<C>) {
  const project = useProjectOf();
  const [board] = useState(() => new CursorBoard<C>(options));
  useEffect(() => board.configure(options));
  useEffect(() => {
    const stop = project.cursors.add((userId, cursor) => {
      if (userId !== project.client.connection.get().userId) board.move(userId, cursor as C | null);
    });
    return () => {
      stop();
      board.stop();
    };
  }, [board, project]);

  const users = useSelected(board.users, itself);
  const names = useSelected(project.state, (s) => s.members);
  const refs = useRef(new Map<string, (element: HTMLElement | null) => void>());
  const refOf = useCallback(
    (userId: string) => {
      let ref = refs.current.get(userId);
      if (!ref) refs.current.set(userId, (ref = (element) => void board.attach(userId, element)));
      return ref;
    },
    [board],
  );
  const cursors = useMemo<CursorView[]>(
    () => users.map((userId) => ({ userId, name: names.find((m) => m.userId === userId)?.name ?? userId, ref: refOf(userId) })),
    [users, names, refOf],
  );

  const move = useMove<C>(throttleMs);
  const refresh = useCallback(() => board.refresh(), [board]);
  return { cursors, move, refresh };
}

/** Sends the own cursor, not too often; it is hidden when the component goes. */
function useMove<C>(throttleMs: number): (cursor: C | null) => void {
  const project = useProjectOf();
  const move = useMemo(() => throttle((cursor: C | null) => project.client.tell('cursor:move', { project_id: project.id, cursor }, true), throttleMs), [project, throttleMs]);
  useEffect(
    () => () => {
      move.cancel();
      project.client.tell('cursor:move', { project_id: project.id, cursor: null });
    },
    [move, project],
  );
  return move;
}

/** Sends where the pointer is over that element, in CSS pixels from its top left, and nothing when it is elsewhere. */
export function useCursor(ref: RefObject<HTMLElement | null>, { throttleMs = 33 }: { throttleMs?: number } = {}): void {
  const move = useMove<Point>(throttleMs);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    const over = (event: PointerEvent) => {
      const { left, top } = element.getBoundingClientRect();
      move({ x: event.clientX - left, y: event.clientY - top });
    };
    const leave = () => move(null);
    element.addEventListener('pointermove', over);
    element.addEventListener('pointerleave', leave);
    return () => {
      element.removeEventListener('pointermove', over);
      element.removeEventListener('pointerleave', leave);
    };
  }, [move, ref]);
}

const RENEW_MS = 3000; // the server ends typing five seconds after the last word of it
const PAUSE_MS = 2500;

/**
 * Who types at target (any JSON), and `start` to call with each key.  Stops by itself after a
 * pause, when `stop` is called, and when the component goes.
 */
export function useTyping(target: unknown): { typing: readonly Member[]; start(): void; stop(): void } {
  const project = useProjectOf();
  const key = JSON.stringify(target ?? null);
  const userId = useSelected(useClient().connection, (c) => c.userId);
  const users = useSelected(project.typing, (map) => (map.get(key) ?? NOBODY).filter((u) => u !== userId), shallowEqual);
  const members = useSelected(project.state, (s) => s.members);
  const typing = useMemo<readonly Member[]>(() => users.map((u) => members.find((m) => m.userId === u) ?? { userId: u, name: u, presence: null }), [users, members]);

  const own = useMemo(() => {
    let pause: ReturnType<typeof setTimeout> | undefined;
    let toldAt = -Infinity;
    const data = () => ({ project_id: project.id, target: JSON.parse(key) as unknown });
    const stop = () => {
      clearTimeout(pause);
      pause = undefined;
      if (toldAt > -Infinity) project.client.tell('typing:stop', data());
      toldAt = -Infinity;
    };
    const start = () => {
      clearTimeout(pause);
      pause = setTimeout(stop, PAUSE_MS);
      if (Date.now() - toldAt < RENEW_MS) return;
      toldAt = Date.now();
      project.client.tell('typing:start', data());
    };
    return { start, stop };
  }, [project, key]);
  useEffect(() => () => own.stop(), [own]);
  return { typing, ...own };
}

const NOBODY: readonly string[] = [];

// ---- notifications -----------------------------------------------------------------------

export interface Notification {
  id: number;
  data: { message?: string; kind?: string; project_id?: string; [member: string]: unknown };
  created_at: string;
  read_at: string | null;
}

export interface Notifications {
  /** The newest first. */
  items: readonly Notification[];
  unread: number;
  markRead(id: number): Promise<void>;
  markAllRead(): Promise<void>;
}

/** The user's notifications: those that are kept, and new ones as they come, for each of which onNew is called. */
export function useNotifications({ limit = 50, onNew }: { limit?: number; onNew?: (notification: Notification) => void } = {}): Notifications {
  const request = useRequest();
  const client = useClient();
  const isConnected = useSelected(client.connection, (c) => c.status === 'connected');
  const [list, setList] = useState<{ items: readonly Notification[]; unread: number }>({ items: [], unread: 0 });
  const tell = useLatest((notification: Notification) => onNew?.(notification));

  const load = useCallback(async () => {
    const page = await request<{ items: Notification[]; unread: number }>('GET', `/api/notifications?limit=${limit}`);
    // One that came live while the list was on its way is newer than all of the list.
    setList((l) => {
      const newer = l.items.filter((n) => n.id > (page.items[0]?.id ?? 0));
      return { items: [...newer, ...page.items].slice(0, limit), unread: page.unread + newer.filter((n) => !n.read_at).length };
    });
  }, [request, limit]);
  // After each connection: what came meanwhile is in the list.
  useEffect(() => {
    if (!isConnected) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const attempt = (n: number) => load().catch(() => (timer = setTimeout(() => attempt(n + 1), Math.min(500 * 2 ** n, 30000))));
    void attempt(0);
    return () => clearTimeout(timer);
  }, [isConnected, load]);

  const seen = useRef(new Set<number>());
  useEffect(
    () =>
      client.events.add((data, { name }) => {
        if (name !== 'notification:new') return;
        const { id, notification_id } = data as { id?: unknown; notification_id?: unknown };
        const notification = { id: Number(notification_id ?? id), data: data as Notification['data'], created_at: new Date().toISOString(), read_at: null };
        if (seen.current.has(notification.id)) return;
        seen.current.add(notification.id);
        setList((l) => (l.items.some((n) => n.id === notification.id) ? l : { items: [notification, ...l.items].slice(0, limit), unread: l.unread + 1 }));
        tell(notification);
      }),
    [client, limit, tell],
  );

  const markRead = useCallback(
    async (id: number) => {
      const at = new Date().toISOString();
      setList((l) => ({
        items: l.items.map((n) => (n.id === id ? { ...n, read_at: n.read_at ?? at } : n)),
        unread: l.unread - (l.items.some((n) => n.id === id && !n.read_at) ? 1 : 0),
      }));
      await request('POST', `/api/notifications/${id}/read`).catch(async (error) => {
        await load().catch(() => {});
        throw error;
      });
    },
    [request, load],
  );
  const markAllRead = useCallback(async () => {
    await request('POST', '/api/notifications/read-all');
    await load();
  }, [request, load]);
  return useMemo(() => ({ ...list, markRead, markAllRead }), [list, markRead, markAllRead]);
}

// ---- optimistic changes ------------------------------------------------------------------

export interface OptimisticRows<Row> {
  /** The rows with everything that is under way laid over them. */
  rows: readonly Row[];
  /** Show patch at once and send it; a refusal takes it back.  Never rejects: see Outcome. */
  change(row: Row, patch: Partial<Row>, send: (newest: Row) => Promise<Row>): Promise<Outcome<Row>>;
  /** Not confirmed yet? */
  isPending(row: Row, member?: keyof Row): boolean;
}

/** Rows of the server and changes of them that show before the server has agreed. */
export function useOptimistic<Row extends object>(rows: readonly Row[], options: OptimisticOptions<Row>): OptimisticRows<Row> {
  const [overlay] = useState(() => new Optimistic<Row>(options));
  const revision = useSelected(overlay.revision, itself);
  const keyOf = useLatest(options.keyOf);
  return useMemo(
    () => ({
      rows: rows.map((row) => overlay.view(row)),
      change: (row, patch, send) => overlay.change(row, patch, send),
      isPending: (row, member) => overlay.isPending(keyOf(row), member),
    }),
    [rows, overlay, revision, keyOf],
  );
}
