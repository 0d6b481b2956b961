// cursors.ts -- other people's cursors as smooth movement of elements.
//
// Positions come some 30 times a second and screens draw 60: what is drawn glides after what
// was told.  Elements are moved directly, so a moving cursor renders nothing anew, and in two
// dimensions: fifty layers are more than a browser without a graphics card can put together.
// The list of who has a cursor changes only when somebody's appears or goes.  Styles belong to the page: `data-moving`, `data-named` and `data-resting` say what to show.
//
// SPDX-License-Identifier: Apache-2.0
import { type Stop, Store } from './store.js';

export interface Point {
  x: number;
  y: number;
}

export interface CursorOptions<C> {
  /** Where a cursor is in the element that holds all of them, in CSS pixels; null: not to be seen now. */
  toPoint(cursor: C): Point | null;
  /** How long the name is shown after a cursor starts to move. */
  nameMs?: number;
  /** After so long without movement it has `data-resting`. */
  restMs?: number;
}

const GLIDE_MS = 45;  // in this time a cursor covers 63 % of what is left of its way
const STILL_MS = 400; // no movement for so long ends a movement
const NEAR_PX = 0.1;

interface Track<C> {
  element: HTMLElement | null;
  cursor: C;
  shown: Point | null; // where it is drawn
  goal: Point | null;
  movedAt: number;
  beganAt: number;
}

export class CursorBoard<C> {
  /** User ids of those who have a cursor. */
  readonly users = new Store<readonly string[]>([]);
  private readonly tracks = new Map<string, Track<C>>();
  private frame = 0;
  private drawnAt = 0;
  private wake?: ReturnType<typeof setTimeout>;

  constructor(private options: CursorOptions<C>) {}

  configure(options: CursorOptions<C>): void {
    this.options = options;
  }

  /** Somebody's cursor has moved; null: it is gone. */
  move(userId: string, cursor: C | null): void {
    const now = performance.now();
    if (cursor === null || cursor === undefined) {
      if (this.tracks.delete(userId)) this.tell();
      return;
    }
    const track = this.tracks.get(userId);
    if (track) {
      if (now - track.movedAt > STILL_MS) track.beganAt = now;
      Object.assign(track, { cursor, movedAt: now, goal: this.options.toPoint(cursor) });
    } else {
      this.tracks.set(userId, { element: null, cursor, shown: null, goal: this.options.toPoint(cursor), movedAt: now, beganAt: now });
      this.tell();
    }
    this.draw();
  }

  /** The page has scrolled or changed: where the cursors are is asked again, and shown there at once. */
  refresh(): void {
    for (const track of this.tracks.values()) {
      track.goal = this.options.toPoint(track.cursor);
      track.shown = track.goal;
    }
    this.draw();
  }

  attach(userId: string, element: HTMLElement | null): Stop {
    const track = this.tracks.get(userId);
    if (track) track.element = element;
    this.draw();
    return () => {
      if (track?.element === element) track.element = null;
    };
  }

  stop(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.wake);
    this.frame = 0;
    this.tracks.clear();
    this.tell();
  }

  private tell(): void {
    this.users.set([...this.tracks.keys()]);
  }

  private draw(): void {
    if (this.frame) return;
    this.drawnAt = performance.now();
    this.frame = requestAnimationFrame(() => this.step());
  }

  private step(): void {
    const now = performance.now();
    const part = 1 - Math.exp(-(now - this.drawnAt) / GLIDE_MS);
    const jumps = matchMedia('(prefers-reduced-motion: reduce)').matches;
    let again = false;
    this.frame = 0;
    for (const track of this.tracks.values()) {
      const { goal } = track;
      if (goal && track.shown && !jumps) {
        const [dx, dy] = [goal.x - track.shown.x, goal.y - track.shown.y];
        const isNear = Math.abs(dx) < NEAR_PX && Math.abs(dy) < NEAR_PX;
        track.shown = isNear ? goal : { x: track.shown.x + dx * part, y: track.shown.y + dy * part };
        again ||= !isNear;
      } else track.shown = goal;
      this.show(track, now);
    }
    this.drawnAt = now;
    clearTimeout(this.wake);
    if (again) this.frame = requestAnimationFrame(() => this.step());
    else this.sleep(now);
  }

  private show(track: Track<C>, now: number): void {
    const { element, shown } = track;
    if (!element) return;
    element.style.visibility = shown ? 'visible' : 'hidden';
    if (shown) element.style.transform = `translate(${shown.x.toFixed(1)}px, ${shown.y.toFixed(1)}px)`;
    element.toggleAttribute('data-moving', now - track.movedAt < STILL_MS);
    element.toggleAttribute('data-named', now - track.beganAt < (this.options.nameMs ?? 2000));
    element.toggleAttribute('data-resting', now - track.movedAt >= (this.options.restMs ?? 5000));
  }

  // Nothing moves: draw again when the next mark is due.
  private sleep(now: number): void {
    const marks = [...this.tracks.values()].flatMap((t) => [t.movedAt + STILL_MS, t.beganAt + (this.options.nameMs ?? 2000), t.movedAt + (this.options.restMs ?? 5000)]);
    const next = Math.min(...marks.filter((at) => at > now));
    if (Number.isFinite(next)) this.wake = setTimeout(() => this.draw(), next - now + 1);
  }
}
