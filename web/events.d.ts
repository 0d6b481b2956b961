// The events of SkyBuild Realtime.  Made from docs/api/asyncapi.yaml by scripts/make-types: do
// not edit.
//
//   import { io, type Socket } from 'socket.io-client';
//   import type { Answers, Auth, ClientToServerEvents, ServerToClientEvents } from './events';
//
//   const auth: Auth = { token, projects: ['proj-123'] };
//   const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(url, { auth });
//   socket.on('boq:item:updated', (data) => show(data.item_id, data.updates));
//   const answer: Answers['join_project'] = await socket.emitWithAck('join_project', { project_id: 'proj-123' });
//
// An acknowledgement is optional, and the client's types give `any` for the answer of such an
// event: say its type by Answers.

export interface Auth {
  /** a JWT */
  token?: string;
  /** whether missed events shall be replayed; without it as the client is known to be able */
  recovery?: boolean;
  projects?: Id[];
}

export interface ProjectRef {
  project_id: Id;
}

export interface StateUpdate {
  project_id: Id;
  /** any JSON of at most 1024 bytes */
  state: unknown;
}

export interface CursorMove {
  project_id: Id;
  /** any JSON of at most 1024 bytes */
  cursor: unknown;
}

export interface Typing {
  project_id: Id;
  /** any JSON of at most 256 bytes; `null` when it is not there */
  target?: unknown;
}

export interface Refresh {
  /** a JWT */
  token: string;
}

export interface Refusal {
  message: string;
  data?: {
    code: "token_missing" | "token_invalid" | "token_expired" | "too_many_connections" | "unavailable";
  };
}

export type ErrorCode = "access_denied"
  | "unavailable"
  | "not_joined"
  | "invalid_payload"
  | "too_large"
  | "too_many_rooms"
  | "too_many_projects"
  | "rate_limited"
  | "unknown_event"
  | "token_missing"
  | "token_invalid"
  | "token_expired"
  | "user_mismatch";

export interface ErrorData {
  /** a sentence; "Access denied to project" is fixed, others may change */
  message: string;
  code: ErrorCode;
  /** the project that was named */
  project_id?: string;
  /** of `rate_limited` */
  retry_after_ms?: number;
}

export interface Connected {
  user_id: UserId;
  message: string;
}

export interface Member {
  user_id: UserId;
  name: string;
  /** what the user set with `presence:update`; any JSON */
  state?: unknown;
}

export interface Joined {
  project_id: Id;
  message: string;
  /** number of the last durable event before the join */
  seq: number;
  users: Member[];
  /** the list is longer than 256 KiB and was cut */
  truncated?: true;
  /** of a list that was cut */
  users_total?: number;
}

export interface Left {
  project_id: Id;
  message: string;
}

export interface PresenceState {
  project_id: Id;
  users: PresentUser[];
  /** the list is longer than 256 KiB and was cut */
  truncated?: true;
  /** of a list that was cut */
  users_total?: number;
}

export interface UserInProject {
  user_id: UserId;
  project_id: Id;
}

export interface StateUpdated {
  project_id: Id;
  user_id: UserId;
  /** any JSON; `null`: none */
  state: unknown;
}

export interface CursorMoved {
  project_id: Id;
  user_id: UserId;
  /** any JSON */
  cursor: unknown;
}

export interface TypingBy {
  project_id: Id;
  user_id: UserId;
  /** any JSON */
  target: unknown;
}

export interface Expiring {
  /** seconds */
  expires_in: number;
}

/** any JSON */
export type Anything = unknown;

/** number of this event in its project */
export type Seq = number;

export interface ItemCreated {
  project_id: Id;
  item_id: Id;
  item: Item;
  /** user id */
  updated_by: string;
  seq: Seq;
}

export interface ItemUpdated {
  project_id: Id;
  /** a number only when a back end gave one */
  item_id: string | number;
  updates: {
    code?: string;
    description?: string;
    unit?: string;
    /** exact in its text */
    qty?: number;
    /** exact in its text */
    unit_price?: number;
    section?: string;
    [member: string]: unknown;
  };
  version?: Version;
  /** exact in its text */
  total?: number;
  /** user id */
  updated_by: string;
  seq: Seq;
}

export interface ItemDeleted {
  project_id: Id;
  item_id: Id;
  /** user id */
  updated_by: string;
  seq: Seq;
}

export interface BulkUpdated {
  project_id: Id;
  /** from a back end whatever it gave */
  summary: {
    total?: number;
    updated?: number;
    skipped?: number;
    [member: string]: unknown;
  };
  /** user id */
  updated_by: string;
  /** those that were changed; missing where they take more than 64 KiB, and from a back end */
  item_ids?: Id[];
  seq: Seq;
}

export interface TaskCreated {
  project_id: Id;
  task_id: RowNumber;
  task: Task;
  /** user id */
  updated_by: string;
  seq: Seq;
}

export interface TaskUpdated {
  project_id: Id;
  /** text only when a back end gave it */
  task_id: number | string;
  updates: {
    title?: string;
    description?: string;
    status?: TaskStatus;
    assignee_id?: string | null;
    due_date?: string | null;
    position?: Position;
    item_id?: string | null;
    [member: string]: unknown;
  };
  version?: Version;
  /** user id */
  updated_by: string;
  seq: Seq;
}

export interface TaskDeleted {
  project_id: Id;
  task_id: RowNumber;
  /** user id */
  updated_by: string;
  seq: Seq;
}

export interface CommentCreated {
  project_id: Id;
  /** text only when a back end gave it */
  comment_id: number | string;
  comment: {
    comment_id?: number | string;
    text?: string;
    author_id?: string;
    item_id?: string | null;
    task_id?: number | null;
    created_at?: string;
    [member: string]: unknown;
  };
  seq: Seq;
}

export interface CommentDeleted {
  project_id: Id;
  comment_id: RowNumber;
  /** user id */
  updated_by: string;
  seq: Seq;
}

export interface ProjectUpdated {
  project_id: Id;
  updates: {
    name?: string;
    description?: string;
  };
  version: Version;
  /** user id */
  updated_by: string;
  seq: Seq;
}

export interface ProjectDeleted {
  project_id: Id;
  /** user id */
  updated_by: string;
}

export interface CollaboratorChanged {
  project_id: Id;
  user_id: UserId;
  role: "owner" | "editor" | "commenter" | "viewer" | null;
  /** user id; `null`: by the command line */
  updated_by: string | null;
  seq: Seq;
}

export interface AckRefused {
  ok: false;
  error: {
    code: ErrorCode;
    message: string;
  };
}

export type AckDone = {
  ok: true;
} | AckRefused;

export type AckJoined = {
  ok: true;
  project_id: Id;
  message: string;
  seq: number;
  users: Member[];
  truncated?: true;
  users_total?: number;
} | AckRefused;

export type AckLeft = {
  ok: true;
  project_id: Id;
  message: string;
} | AckRefused;

export type AckPresence = {
  ok: true;
  project_id: Id;
  users: PresentUser[];
  truncated?: true;
  users_total?: number;
} | AckRefused;

export type AckRefreshed = {
  ok: true;
  /** seconds; not there when the token has no end */
  expires_in?: number;
} | AckRefused;

export interface PresentUser {
  user_id: UserId;
  name: string;
  /** 0: the network dropped a moment ago */
  connections: number;
  joined_at: Time;
  /** what the user set with `presence:update`; any JSON */
  state?: unknown;
}

/** UTC */
export type Time = string;

/** id of a user: as other ids, and `@`, `|`, `+`, `:` */
export type UserId = string;

/** id of a project or an item: letters, digits, `.`, `_` and `-`, the first a letter or digit, no `..` */
export type Id = string;

/** goes up with each change */
export type Version = number;

/** a number that the server gave; never used again */
export type RowNumber = number;

/**
 * Place on a board, small ones first. A new task goes behind the last; to put one between two others, send a
 * number between theirs.
 */
export type Position = number;

export type TaskStatus = "todo" | "in_progress" | "blocked" | "done";

export interface Task {
  task_id: RowNumber;
  title: string;
  description: string;
  status: TaskStatus;
  assignee_id: string | null;
  due_date: string | null;
  position: Position;
  item_id: string | null;
  version: Version;
  created_at: Time;
  updated_at: Time;
  /** user id */
  updated_by: string;
}

export interface Item {
  item_id: Id;
  code: string;
  description: string;
  unit: string;
  /** exact in its text */
  qty: number;
  /** exact in its text */
  unit_price: number;
  /** the exact product */
  total: number;
  section: string;
  version: Version;
  updated_at: Time;
  /** user id */
  updated_by: string;
}

/**
 * What `notification:new` carries. `kind` is `task_assigned` (with `task_id`) or `mention` (with `comment_id`
 * and `item_id` or `task_id`); from a back end it is what that gave. `id` is the notification's number;
 * `notification_id` instead when the back end's object has an `id` of its own.
 */
export interface NotificationData {
  /** a sentence to show */
  message?: unknown;
  kind?: unknown;
  id?: unknown;
  [member: string]: unknown;
}

/** What a client hears. A back end may send events of other names. */
export interface ServerToClientEvents {
  /** Let in. Once after each connect. */
  'connected': (data: Connected) => void;
  /**
   * Something was refused. Something that this client sent was refused, or its token has ended; then the transport
   * is closed.
   */
  'error': (data: ErrorData) => void;
  /**
   * One is in the project. `seq` is the number of the last durable event before the join: what comes next is `seq
   * + 1`.
   */
  'joined_project': (data: Joined) => void;
  /** One is out of the project. */
  'left_project': (data: Left) => void;
  /** Who is there. */
  'presence:state': (data: PresenceState) => void;
  /** Somebody has come. */
  'user:joined': (data: UserInProject) => void;
  /** Somebody has gone. At once when the user left, after `PRESENCE_GRACE` when the network dropped. */
  'user:left': (data: UserInProject) => void;
  /** What somebody looks at. */
  'presence:updated': (data: StateUpdated) => void;
  /** Somebody's cursor. Volatile. */
  'cursor:moved': (data: CursorMoved) => void;
  /** Somebody types. */
  'typing:started': (data: TypingBy) => void;
  /** Somebody types no more. */
  'typing:stopped': (data: TypingBy) => void;
  /** A BoQ item was made. */
  'boq:item:created': (data: ItemCreated) => void;
  /** A BoQ item was changed. `updates` holds what was changed. From a back end without `version` and `total`. */
  'boq:item:updated': (data: ItemUpdated) => void;
  /** A BoQ item is gone. */
  'boq:item:deleted': (data: ItemDeleted) => void;
  /** Many BoQ items were changed. Not sent when nothing was changed. */
  'boq:bulk:updated': (data: BulkUpdated) => void;
  /** A task was made. */
  'task:created': (data: TaskCreated) => void;
  /** A task was changed. `updates` holds what was changed. From a back end without `version`. */
  'task:updated': (data: TaskUpdated) => void;
  /** A task is gone. */
  'task:deleted': (data: TaskDeleted) => void;
  /** A comment was made. `comment` is the whole row; from a back end its `comment_data`. */
  'comment:created': (data: CommentCreated) => void;
  /** A comment is gone. */
  'comment:deleted': (data: CommentDeleted) => void;
  /** The project's name or description was changed. */
  'project:updated': (data: ProjectUpdated) => void;
  /** The project is gone. Then everybody gets `access:revoked`. */
  'project:deleted': (data: ProjectDeleted) => void;
  /** Somebody has another role. `role: null`: none any more. */
  'collaborator:changed': (data: CollaboratorChanged) => void;
  /** One may not be in the project any more. The socket is out of the project. */
  'access:revoked': (data: ProjectRef) => void;
  /** Something concerns the user. To every connection of the user, whatever it has joined. */
  'notification:new': (data: NotificationData) => void;
  /**
   * The token ends soon. 60 seconds before its end, or at once when less is left. Send `auth:refresh`, or come
   * back with a fresh one.
   */
  'token:expiring': (data: Expiring) => void;
}

/** What a client sends. */
export interface ClientToServerEvents {
  /**
   * Hear of a project from now on. Answered with `joined_project`; others hear `user:joined` when it is the user's
   * first connection there. Joining twice is answered like the first time.
   */
  'join_project': (data: ProjectRef, ack?: (answer: AckJoined) => void) => void;
  /**
   * Hear of it no more. Answered with `left_project`; others hear `user:left` when it was the user's last
   * connection there.
   */
  'leave_project': (data: ProjectRef, ack?: (answer: AckLeft) => void) => void;
  /** Who is there? Answered with `presence:state`. */
  'presence:list': (data: ProjectRef, ack?: (answer: AckPresence) => void) => void;
  /**
   * Say what one looks at. The last value is kept and shown to those who join; `null` clears it. Others hear
   * `presence:updated`.
   */
  'presence:update': (data: StateUpdate, ack?: (answer: AckDone) => void) => void;
  /**
   * Move one's cursor. Others hear `cursor:moved`. Passed on byte for byte; a receiver that lags gets only the
   * newest.
   */
  'cursor:move': (data: CursorMove, ack?: (answer: AckDone) => void) => void;
  /**
   * Type at something. Others hear `typing:started`. It ends by itself five seconds after the last one, with
   * another target, and with the connection.
   */
  'typing:start': (data: Typing, ack?: (answer: AckDone) => void) => void;
  /** Type no more. Others hear `typing:stopped`. Without `target` it ends whatever was typed at. */
  'typing:stop': (data: Typing, ack?: (answer: AckDone) => void) => void;
  /** Stay longer. A fresh token of the same user. An older one does not shorten what was granted. */
  'auth:refresh': (data: Refresh, ack?: (answer: AckRefreshed) => void) => void;
}

/** What an acknowledgement says. */
export interface Answers {
  'join_project': AckJoined;
  'leave_project': AckLeft;
  'presence:list': AckPresence;
  'presence:update': AckDone;
  'cursor:move': AckDone;
  'typing:start': AckDone;
  'typing:stop': AckDone;
  'auth:refresh': AckRefreshed;
}
