// project.ts -- one project that the page is in: who is there, what they look at and type,
// and its events in order.
//
// Joins when somebody holds it and leaves when nobody does.  After each (re)connection the
// server says who is there now; what was missed comes through sequence.ts before what is new.
// Whoever comes back hears what came since the project was given back.
//
// SPDX-License-Identifier: Apache-2.0
import type { Client, EventMeta } from './client.js';
import { RealtimeError } from './error.js';
import type { CursorMoved, ErrorData, Joined, Member as Present, PresenceState, StateUpdated, TypingBy, UserInProject } from './events.js';
import { type HistoryPage, Sequence } from './sequence.js';
import { Listeners, retryMs, shallowEqual, type Stop, Store, throttle } from './store.js';

export interface Member<P = unknown> {
  userId: string;
  name: string;
  /** What they set with `useMyPresence`; null: nothing yet. */
  presence: P | null;
}

export interface ProjectState {
  /** `denied`: no access, or no such project.  `revoked`: access was withdrawn, or the project deleted. */
  status: 'joining' | 'joined' | 'denied' | 'revoked';
  error: RealtimeError | null;
  /** Everybody who is there, oneself too, by name. */
  members: readonly Member[];
  /** Missed events are being read. */
  isCatchingUp: boolean;
  /** What the last reconnection has brought. */
  caughtUp: { changes: number; at: number } | null;
}

export type Presence = Record<string, unknown>;

const JOINING: ProjectState = { status: 'joining', error: null, members: [], isCatchingUp: false, caughtUp: null };
const LINGER_MS = 500;        // shorter than the client's: leaving is still said
const PRESENCE_MS = 50;       // own presence goes out at most so often
const MEMBERS_MS = 16;        // others are drawn anew at most so often: a server that ends takes fifty away at once
const TYPING_ENDS_MS = 6000;  // the server ends it after 5 s: this is for an end that was missed
const HISTORY_LIMIT = 1000;

export class Project {
  readonly state = new Store<ProjectState>(JOINING);
  /** Own presence. */
  readonly presence = new Store<Presence | null>(null);
  /** User ids by target, as its JSON. */
  readonly typing = new Store<ReadonlyMap<string, readonly string[]>>(new Map());
  readonly cursors = new Listeners<[userId: string, cursor: unknown]>();
  /** The lists must be loaded anew; they are then at `seq` or later. */
  readonly reloads = new Listeners<[seq: number]>();

  /** As the server says now; shown a little later when many come or go at once. */
  private members: readonly Member[] = [];
  private readonly showMembers = throttle(() => this.state.patch({ members: this.members }), MEMBERS_MS);
  private readonly sequence: Sequence;
  private readonly sendPresence = throttle(() => this.client.tell('presence:update', { project_id: this.id, state: this.presence.get() }), PRESENCE_MS);
  private holders = 0;
  private isIn = false; // by the server's word, on this connection
  private isAway = false;
  private missed = 0;
  private linger?: ReturnType<typeof setTimeout>;
  private retry?: ReturnType<typeof setTimeout>;
  private failures = 0;
  private readonly typingEnds = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(readonly client: Client, readonly id: string) {
    this.sequence = new Sequence({
      read: (after) => this.history(after),
      deliver: (name, data, missed, created_at) => {
        if (this.isAway) this.missed++;
        this.deliver(name, data, { missed: missed || this.isAway, ...(created_at && { created_at }) });
      },
      reload: (seq) => this.reloads.call(seq),
      settled: (error) => this.onSettled(error),
    });
  }

  // ---- life ------------------------------------------------------------------------

  /**
   * Be in the project while held.  `seq`: the number that the caller's lists are at, when they are loaded already; an
   * older one than was handled here before is that of lists which have heard of more since.
   */
  retain(initialPresence?: Presence | null, seq?: number): Stop {
    const giveBack = this.client.retain();
    clearTimeout(this.linger);
    // Effects of children come first: what they have set lies over it.
    if (initialPresence) this.updatePresence({ ...initialPresence, ...this.presence.get() });
    if (this.holders++ === 0) {
      if (seq !== undefined && seq > (this.sequence.known ?? -1)) this.sequence.known = seq;
      this.sequence.resume();
      if (!this.client.projects.has(this.id)) {
        this.client.projects.set(this.id, this);
        if (this.client.connection.get().status === 'connected') this.join();
      }
    }
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      giveBack();
      if (--this.holders > 0) return;
      this.sequence.pause();
      this.linger = setTimeout(() => this.leave(), LINGER_MS);
    };
  }

  join(): void {
    this.client.ask('join_project', { project_id: this.id }).catch((error: RealtimeError) => this.onRefused(error));
  }

  // A join has failed.  Without access that is final.  Everything else passes (a database that starts anew, too many
  // events at once, an answer that was lost); without a connection the next one joins.
  private onRefused(error: RealtimeError): void {
    const { status } = this.state.get();
    if (this.isIn || status === 'denied' || status === 'revoked') return;
    if (this.client.connection.get().status !== 'connected' || !this.client.projects.has(this.id)) return;
    if (error.code === 'access_denied') return this.state.patch({ status: 'denied', error });
    this.state.patch({ status: 'joining', error });
    this.joinLater();
  }

  private joinLater(): void {
    this.retry ??= setTimeout(() => {
      this.retry = undefined;
      this.join();
    }, retryMs(this.failures++));
  }

  private stopRetry(): void {
    clearTimeout(this.retry);
    this.retry = undefined;
  }

  private leave(): void {
    if (this.holders > 0) return;
    this.client.ask('leave_project', { project_id: this.id }).catch(() => {});
    this.client.projects.delete(this.id);
    this.sequence.stop();
    this.sendPresence.cancel();
    this.stopRetry();
    this.failures = 0;
    this.isIn = false;
    this.clearTyping();
    this.presence.set(null);
    this.showMembers.cancel();
    this.members = [];
    this.state.set(JOINING);
    this.isAway = false;
    this.missed = 0;
  }

  /** The connection is lost. */
  onAway(): void {
    this.isAway = true;
    this.isIn = false;
    this.sequence.stop();
    this.stopRetry();
    this.clearTyping();
  }

  private onSettled(error: RealtimeError | null): void {
    this.state.patch({ isCatchingUp: this.sequence.isCatchingUp });
    if (error) {
      if (error.status !== 403 && error.status !== 404) this.joinLater();
      return;
    }
    this.failures = 0;
    if (!this.isAway || this.state.get().status !== 'joined') return;
    const changes = this.missed;
    this.isAway = false;
    this.missed = 0;
    this.state.patch({ caughtUp: { changes, at: Date.now() } });
    this.client.onBack(changes);
  }

  private history(after: number): Promise<HistoryPage> {
    this.state.patch({ isCatchingUp: true });
    return this.client.request('GET', `/api/projects/${encodeURIComponent(this.id)}/events?after=${after}&limit=${HISTORY_LIMIT}`);
  }

  // ---- what comes ------------------------------------------------------------------

  /** An event of this project; `isGuess`: it does not say so, and this is the only project. */
  take(name: string, data: unknown, isGuess: boolean): void {
    const seq = (data as { seq?: unknown } | null)?.seq;
    const isDurable = name !== 'joined_project' && typeof seq === 'number' && Number.isInteger(seq);
    if (isDurable && !(isGuess && seq <= (this.sequence.known ?? 0))) this.sequence.take(seq, name, data);
    else this.deliver(name, data, { missed: false }, isGuess);
  }

  private deliver(name: string, data: unknown, when: Pick<EventMeta, 'missed' | 'created_at'>, isForeign = false): void {
    if (!isForeign) this.handlers[name]?.(data as never);
    this.client.events.call(data, { name, ...(!isForeign && { projectId: this.id }), ...when });
    if (name === 'joined_project') this.sequence.joined((data as Joined).seq);
  }

  private readonly handlers: Record<string, ((data: never) => void) | undefined> = {
    joined_project: (data: Joined) => {
      this.isIn = true;
      this.stopRetry();
      this.setAll(data.users);
      this.state.patch({ status: 'joined', error: null });
      if (this.presence.get()) this.sendPresence();
    },
    'presence:state': (data: PresenceState) => this.setAll(data.users),
    'user:joined': ({ user_id }: UserInProject) => {
      if (this.member(user_id)) return;
      this.setMembers([...this.members, { userId: user_id, name: user_id, presence: null }]);
      this.askNames();
    },
    'user:left': ({ user_id }: UserInProject) => {
      this.setMembers(this.members.filter((m) => m.userId !== user_id));
      this.endTyping(user_id);
      this.cursors.call(user_id, null);
    },
    'presence:updated': ({ user_id, state }: StateUpdated) =>
      this.setMembers(this.members.map((m) => (m.userId === user_id ? { ...m, presence: state } : m))),
    'cursor:moved': ({ user_id, cursor }: CursorMoved) => this.cursors.call(user_id, cursor),
    'typing:started': ({ user_id, target }: TypingBy) => this.startTyping(user_id, target),
    'typing:stopped': ({ user_id }: TypingBy) => this.endTyping(user_id),
    'access:revoked': () => {
      this.isIn = false;
      this.setAll([]);
      this.state.patch({ status: 'revoked' });
    },
    error: ({ code, message }: ErrorData) => {
      const error = new RealtimeError(message, code);
      // A join that went along with the handshake has no other answer.
      if (code === 'unavailable') this.onRefused(error);
      this.state.patch(code === 'access_denied' && this.state.get().status !== 'revoked' ? { status: 'denied', error } : { error });
    },
  };

  // ---- people ----------------------------------------------------------------------

  member(userId: string): Member | undefined {
    return this.members.find((m) => m.userId === userId);
  }

  private setMembers(members: Member[]): void {
    this.members = members.sort(byName);
    this.showMembers();
  }

  private setAll(users: readonly Present[]): void {
    const here = new Set(users.map((u) => u.user_id));
    for (const { userId } of this.members) if (!here.has(userId)) this.cursors.call(userId, null);
    this.showMembers.cancel();
    this.members = membersOf(users);
    this.state.patch({ members: this.members });
  }

  // user:joined says no name: the list does.
  private readonly askNames = throttle(() => {
    if (this.state.get().status === 'joined') this.client.ask('presence:list', { project_id: this.id }).catch(() => {});
  }, 250);

  /** Change own presence; members that are not named stay. */
  updatePresence(part: Presence): void {
    const next = { ...this.presence.get(), ...part };
    if (shallowEqual(next, this.presence.get())) return;
    this.presence.set(next);
    if (this.state.get().status === 'joined') this.sendPresence();
  }

  // ---- typing ----------------------------------------------------------------------

  private startTyping(userId: string, target: unknown): void {
    this.endTyping(userId);
    this.typingEnds.set(userId, setTimeout(() => this.endTyping(userId), TYPING_ENDS_MS));
    const key = JSON.stringify(target ?? null);
    this.typing.set(new Map(this.typing.get()).set(key, [...(this.typing.get().get(key) ?? []), userId]));
  }

  private endTyping(userId: string): void {
    clearTimeout(this.typingEnds.get(userId));
    if (!this.typingEnds.delete(userId)) return;
    const next = new Map<string, readonly string[]>();
    for (const [key, users] of this.typing.get()) {
      const others = users.filter((u) => u !== userId);
      if (others.length) next.set(key, others);
    }
    this.typing.set(next);
  }

  private clearTyping(): void {
    for (const timer of this.typingEnds.values()) clearTimeout(timer);
    this.typingEnds.clear();
    if (this.typing.get().size) this.typing.set(new Map());
  }
}

const byName = (a: Member, b: Member) => a.name.localeCompare(b.name) || (a.userId < b.userId ? -1 : 1);
const membersOf = (users: readonly Present[]): Member[] =>
  users.map((u) => ({ userId: u.user_id, name: u.name || u.user_id, presence: u.state ?? null })).sort(byName);
