// index.ts -- the package as it is seen from outside.
//
// SPDX-License-Identifier: Apache-2.0
export type { Change, Connection, EventMeta, GetToken, LostListener, RealtimeSocket, RequestOptions, Status } from './client.js';
export type { CursorOptions, Point } from './cursors.js';
export { isConflict, isUnauthorized, isUnreachable, RealtimeError } from './error.js';
export type * from './events.js';
export * from './hooks.js';
export { Optimistic, type OptimisticOptions, type Outcome } from './optimistic.js';
export type { Member, Presence, ProjectState } from './project.js';
export { ProjectProvider, type ProjectProviderProps, RealtimeProvider, RealtimeProvider as CollabProvider, type RealtimeProviderProps } from './provider.js';
export type { HistoryEvent, HistoryPage } from './sequence.js';
