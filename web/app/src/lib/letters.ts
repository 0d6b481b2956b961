// letters.ts -- comments, new tasks and changes of tasks on their way to the server, kept until they
// are there.
//
// As outbox.ts does for items: written to IndexedDB, sent in order, one at a time, each with an
// idempotency key, and taken out when the server has answered.  What it refuses stays as well, with
// the reason, until the person has read it: nothing that was written is lost without a word.
// What is kept is one list for all windows of a user: each changes its own letters in it.
import { RealtimeError, type Request } from '@skybuild/realtime-react';
import { get, update } from 'idb-keyval';
import { type Comment, isLater, pathOf, RETRY_MS, type Task } from './api';

export type TaskChange = Partial<Pick<Task, 'title' | 'description' | 'status' | 'assignee_id' | 'due_date' | 'position'>>;
type Content =
  | { kind: 'comment'; body: { text: string; item_id?: string; task_id?: number } }
  | { kind: 'task'; body: { title: string } }
  /** `was`: what the changed members were when the person saw them. */
  | { kind: 'change'; taskId: number; body: TaskChange; was: TaskChange };
export type Letter = Content & { key: string; at: string; refusal?: string };

export interface LetterHooks {
  request: Request;
  /** Resolves when there is a connection, never for a page that has ended; null: there is one now. */
  connected(): Promise<void> | null;
  taskOf(id: number): Task | undefined;
  nameOf(userId: string): string;
  /** The server's row, when a letter has come to it. */
  onComment(row: Comment): void;
  onTask(row: Task): void;
}

const VERSIONS_MAX = 20;
const isWaiting = (l: Letter) => l.refusal === undefined;

export class Letters {
  private letters: readonly Letter[] = [];
  private isSending = false;
  private isRestored = false;
  private isRead = false;
  private readonly watchers = new Set<() => void>();

  constructor(private readonly store: string, private readonly projectId: string, public hooks: LetterHooks) {}

  readonly list = (): readonly Letter[] => this.letters;
  readonly subscribe = (watcher: () => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  /** What an earlier page has left goes out first: nothing is sent before it was read. */
  async restore(): Promise<void> {
    if (this.isRestored) return;
    this.isRestored = true;
    const kept = (await get<Letter[]>(this.store).catch(() => undefined)) ?? [];
    const ours = new Set(this.letters.map((l) => l.key));
    this.set([...kept.filter((l) => !ours.has(l.key)), ...this.letters]);
    this.isRead = true;
    void this.sendAll();
  }

  post(content: Content): void {
    const letter: Letter = { ...content, key: crypto.randomUUID(), at: new Date().toISOString() };
    this.keep((letters) => [...letters, letter]);
    void this.sendAll();
  }

  /** A refused one: again, or not at all. */
  again(key: string): void {
    const another = crypto.randomUUID();
    this.keep((letters) => letters.map((l) => (l.key === key ? { ...l, refusal: undefined, key: another } : l)));
    void this.sendAll();
  }
  discard(key: string): void {
    this.keep((letters) => letters.filter((l) => l.key !== key));
  }

  /** Here and in what is kept, where there may be others'. */
  private keep(make: (letters: readonly Letter[]) => readonly Letter[]): void {
    void update<readonly Letter[]>(this.store, (kept = []) => make(kept)).catch(() => {}); // a private window may have no store: then the page keeps them
    this.set(make(this.letters));
  }

  private set(letters: readonly Letter[]): void {
    this.letters = letters;
    for (const watcher of this.watchers) watcher();
  }

  private async sendAll(): Promise<void> {
    if (this.isSending || !this.isRead) return;
    this.isSending = true;
    for (let letter = this.letters.find(isWaiting); letter; letter = this.letters.find(isWaiting)) {
      const { key } = letter;
      try {
        const row = await this.attempt(letter);
        // The row first: what was shown as a letter is then shown as a row, and never as neither.
        if (letter.kind === 'comment') this.hooks.onComment(row as Comment);
        else this.hooks.onTask(row as Task);
        this.discard(key);
      } catch (error) {
        const refusal = (error as Error).message;
        this.keep((letters) => letters.map((l) => (l.key === key ? { ...l, refusal } : l)));
      }
    }
    this.isSending = false;
  }

  private attempt(letter: Letter): Promise<unknown> {
    const path = pathOf(this.projectId);
    if (letter.kind === 'comment') return this.write('POST', `${path}/comments`, letter.body, letter.key);
    if (letter.kind === 'task') return this.write('POST', `${path}/tasks`, letter.body, letter.key);
    return this.change(letter, `${path}/tasks/${letter.taskId}`);
  }

  private async change({ taskId, body, was, key }: Extract<Letter, { kind: 'change' }>, path: string): Promise<Task> {
    let row = this.hooks.taskOf(taskId);
    const names = Object.keys(body) as (keyof TaskChange)[];
    for (let n = 0; row && n < VERSIONS_MAX; n++) {
      const now: Task = row;
      if (names.every((name) => now[name] === body[name])) return now;
      if (names.some((name) => now[name] !== was[name])) throw new Error(`${this.hooks.nameOf(now.updated_by)} has changed “${now.title}” meanwhile: it stays as they left it`);
      try {
        return await this.write<Task>('PATCH', path, { ...body, version: now.version }, `${key}-${now.version}`);
      } catch (error) {
        const current = error instanceof RealtimeError && error.code === 'conflict' ? (error.current as Task | undefined) : undefined;
        if (!current) throw error;
        row = current;
        this.hooks.onTask(current);
      }
    }
    throw new Error(row ? `“${row.title}” changes too often` : 'the task is not there any more');
  }

  /** Until there is an answer. */
  private async write<T>(method: string, path: string, body: object, idempotencyKey: string): Promise<T> {
    for (;;) {
      const connected = this.hooks.connected();
      if (connected) await connected;
      try {
        return await this.hooks.request<T>(method, path, body, { idempotencyKey });
      } catch (error) {
        if (!isLater(error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }
}

/** The tasks with what is under way laid over them. */
export function laidOver(tasks: readonly Task[], letters: readonly Letter[]): Task[] {
  const changes = letters.filter((l): l is Extract<Letter, { kind: 'change' }> => l.kind === 'change' && isWaiting(l));
  return tasks.map((t) => changes.reduce((task, c) => (c.taskId === t.task_id ? { ...task, ...c.body } : task), t));
}
