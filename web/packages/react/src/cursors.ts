// cursors.ts -- other people's cursors as smooth movement of elements.
//
// Positions come some 30 times a second and screens draw 60: what is drawn glides after what
// was told.  Elements are moved directly, so a moving cursor renders nothing anew, and in two
// dimensions: fifty layers are more than a browser without a graphics card can put together.
// Where they are is asked once a frame, before anything is moved, so the page is laid out once; and where the
// screen cannot be painted as often, every second frame is left to the rest of the page.
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

const SLOW_MS = 22;         // frames further apart than that are too few
const SPARE_MS = 3000;      // so long every second one is left out, and twice as long each time it is needed again ...
const SPARE_MOST_MS = 60000;
const JUDGED = 12;          // ... by so many frames in a row
const REST_MS = 100;        // no frames in a row: nobody moved

/** Which frames are drawn: all, or every second one where all are too many. */
class Pace {
  private at = -Infinity;
  private n = 0;
  private sum = 0;
  private until = 0;
  private spare = SPARE_MS;
  private isOdd = false;

  draws(now: number): boolean {
    const took = now - this.at;
    this.at = now;
    if (now < this.until) return (this.isOdd = !this.isOdd);
    if (took > REST_MS) this.n = this.sum = 0;
    else this.judge(now, took);
    return true;
  }

  private judge(now: number, took: number): void {
    this.sum += took;
    if (++this.n < JUDGED) return;
    const isSlow = this.sum / this.n > SLOW_MS;
    this.until = isSlow ? now + this.spare : 0;
    this.spare = isSlow ? Math.min(2 * this.spare, SPARE_MOST_MS) : SPARE_MS;
    this.n = this.sum = 0;
  }
}

interface Track<C> {
  element: HTMLElement | null;
  cursor: C;
  shown: Point | null; // where it is drawn
  goal: Point | null;  // where it is, if hasMoved does not say that this must be asked
  hasMoved: boolean;
  movedAt: number;
  beganAt: number;
}

export class CursorBoard<C> {
  /** User ids of those who have a cursor. */
  readonly users = new Store<readonly string[]>([]);
  private readonly tracks = new Map<string, Track<C>>();
  private readonly pace = new Pace();
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
      Object.assign(track, { cursor, movedAt: now, hasMoved: true });
    } else {
      this.tracks.set(userId, { element: null, cursor, shown: null, goal: null, hasMoved: true, movedAt: now, beganAt: now });
      this.tell();
    }
    this.draw();
  }

  /** The page has scrolled or changed: where the cursors are is asked again, and shown there at once. */
  refresh(): void {
    for (const track of this.tracks.values()) Object.assign(track, { hasMoved: true, shown: null });
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
    if (!this.pace.draws(now)) {
      this.frame = requestAnimationFrame(() => this.step());
      return;
    }
    const part = 1 - Math.exp(-(now - this.drawnAt) / GLIDE_MS);
    const jumps = matchMedia('(prefers-reduced-motion: reduce)').matches;
    let again = false;
    this.frame = 0;
    for (const track of this.tracks.values()) if (track.hasMoved) Object.assign(track, { goal: this.options.toPoint(track.cursor), hasMoved: false });
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
