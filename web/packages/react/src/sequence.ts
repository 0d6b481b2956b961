// sequence.ts -- a project's durable events, each once and in order, whatever the network does.
//
// The server numbers them 1, 2, 3 ... in each project.  One number is kept here, the last that
// was handled.  What comes with the next number goes on at once; a gap is filled from the event
// history first, while later events wait.  Knows no socket: it is told what came, asks for pages
// and says what is due.
//
// SPDX-License-Identifier: Apache-2.0
import { RealtimeError } from './error.js';

export interface HistoryEvent {
  seq: number;
  type: string;
  data: unknown;
  created_at?: string;
}

export interface HistoryPage {
  items: HistoryEvent[];
  oldest_seq: number | null;
  last_seq: number;
  next_after: number | null;
  /** What follows the number asked for is not kept any more. */
  must_reload: boolean;
}

export interface SequenceHooks {
  /** A page of the history behind that number. */
  read(after: number): Promise<HistoryPage>;
  /** Handle this event: it is the next. */
  deliver(name: string, data: unknown, missed: boolean, created_at?: string): void;
  /** The history does not reach back: load the lists anew.  They are at `seq` or later. */
  reload(seq: number): void;
  /** Everything up to now is handled; or reading has failed, for now or (`forbidden`, `not_found`) for good. */
  settled(error: RealtimeError | null): void;
}

interface Held {
  seq: number;
  name: string;
  data: unknown;
  round: number; // in which it came
}

export class Sequence {
  /** The last number that was handled; null before the first join. */
  known: number | null;
  private held: Held[] = [];
  private reading = false;
  private round = 0; // what a round before a stop() reads is dropped
  private isPaused = false;
  private isBehind = false; // the history has more, to be read later

  constructor(private readonly hooks: SequenceHooks, known: number | null = null) {
    this.known = known;
  }

  /** The project was joined; `last` is the number of its newest event before. */
  joined(last: number): void {
    if (this.known === null) this.known = last;
    if (this.isPaused) this.isBehind = true;
    else if (last > this.known) {
      this.isBehind = this.reading; // what is being read may end in front of it
      this.catchUp();
    } else if (last < this.known) this.reload(last); // the database is an older copy
    else this.drain();
  }

  /** Events stop for now: what is being read is dropped, and asked for anew by joined(). */
  stop(): void {
    this.round++;
    this.reading = this.isBehind = false;
    this.held = [];
  }

  /** Nobody listens: what comes waits. */
  pause(): void {
    this.isPaused = true;
    this.isBehind = this.reading;
    this.round++;
    this.reading = false;
  }

  /** Somebody listens again: what came meanwhile is read, from the number on that was handled last. */
  resume(): void {
    this.isPaused = false;
    if (this.known !== null && (this.isBehind || this.held.length)) this.catchUp();
  }

  /** A durable event has come. */
  take(seq: number, name: string, data: unknown): void {
    if (this.known !== null && seq <= this.known) return;
    if (this.known === null || this.isPaused || this.reading || seq > this.known + 1) {
      this.held.push({ seq, name, data, round: this.round });
      if (this.known !== null && !this.isPaused) this.catchUp();
      return;
    }
    this.known = seq;
    this.hooks.deliver(name, data, false);
  }

  get isCatchingUp(): boolean {
    return this.reading;
  }

  private catchUp(): void {
    if (this.reading) return;
    this.reading = true;
    this.isBehind = false;
    void this.readAll(++this.round);
  }

  private async readAll(round: number): Promise<void> {
    try {
      for (let after: number | null = this.known; after !== null; ) {
        const page = await this.hooks.read(after);
        if (round !== this.round) return;
        if (page.must_reload) {
          this.reload(page.last_seq);
          break;
        }
        for (const event of page.items) this.past(event);
        after = page.next_after;
      }
    } catch (cause) {
      if (round !== this.round) return;
      this.reading = false;
      this.hooks.settled(cause instanceof RealtimeError ? cause : new RealtimeError(String(cause), 'unreachable'));
      return;
    }
    this.reading = false;
    this.drain();
  }

  private past(event: HistoryEvent): void {
    if (event.seq <= this.known!) return;
    this.known = event.seq;
    this.hooks.deliver(event.type, event.data, true, event.created_at);
  }

  // After a round of reading, what waited either follows or was read.  One that still leaves a
  // gap carries a number that is not the server's (a back end's own `seq`): it goes on as it is.
  // Unless it came in this round: what is in front of it may be newer than what was read.
  private drain(): void {
    const held = this.held.sort((a, b) => a.seq - b.seq);
    this.held = [];
    for (const one of held) {
      const { seq, name, data, round } = one;
      if (seq <= this.known!) continue;
      if (seq === this.known! + 1) this.known = seq;
      else if (round === this.round) {
        this.held.push(one);
        continue;
      }
      this.hooks.deliver(name, data, false);
    }
    if (this.held.length || this.isBehind) this.catchUp();
    else this.hooks.settled(null);
  }

  private reload(seq: number): void {
    this.known = seq;
    this.hooks.reload(seq);
    if (!this.reading) this.drain();
  }
}
