// lazily.ts -- parts of the page that are loaded when they are shown, and before that when there is
// time: who loses the network, or gets a new version of the server, has them already.
import { type ComponentType, lazy } from 'react';

const QUIET_MS = 2000; // the rows come first

const parts: (() => Promise<unknown>)[] = [];

/** As React's lazy; the part is loaded ahead, too. */
export function lazily<P>(load: () => Promise<ComponentType<P>>) {
  parts.push(load);
  return lazy(() => load().then((part) => ({ default: part })));
}

const idle = () => new Promise<void>((resolve) => ('requestIdleCallback' in globalThis ? requestIdleCallback(() => resolve()) : setTimeout(resolve, 200)));

let isBegun = false;
/** All parts, one after the other.  A part may name others, which come behind it. */
export async function loadAhead(): Promise<void> {
  if (isBegun) return;
  isBegun = true;
  await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  for (let i = 0; i < parts.length; i++) {
    await idle();
    await parts[i]!().catch(() => {}); // without a network it is tried again when it is shown
  }
}
