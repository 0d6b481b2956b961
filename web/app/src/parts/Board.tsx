// Board.tsx -- the tasks in four columns, moved by drag and drop or by keyboard.
import { type Announcements, closestCorners, DndContext, type DragEndEvent, DragOverlay, type DragStartEvent, KeyboardSensor, MouseSensor, TouchSensor, useDroppable, useSensor, useSensors } from '@dnd-kit/core';
import { SortableContext, sortableKeyboardCoordinates, useSortable, verticalListSortingStrategy } from '@dnd-kit/sortable';
import { Badge, Button, Group, Modal, Select, Skeleton, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { useConnection } from '@skybuild/realtime-react';
import { IconPlus } from './icons';
import { useMemo, useState } from 'react';
import { canEdit, type Task, type TaskStatus } from '../lib/api';
import { laidOver, type Letter, type TaskChange } from '../lib/letters';
import { Comments } from './Comments';
import { Face } from './Face';
import { NotRead } from './NotRead';
import { Refused } from './Refused';
import { useDraft } from './useDraft';
import { useLetterList } from './useLetters';
import { useWorkspace } from './workspace';

const COLUMNS: readonly { id: TaskStatus; title: string }[] = [
  { id: 'todo', title: 'To do' },
  { id: 'in_progress', title: 'In progress' },
  { id: 'blocked', title: 'Blocked' },
  { id: 'done', title: 'Done' },
];
const GAP = 2 ** 20; // between two new tasks, as the server leaves it
const INSTRUCTIONS = { draggable: 'Space picks the task up, the arrow keys move it, Space puts it down, Escape puts it back. Enter opens it.' };
const NONE: readonly Task[] = [];
const byPosition = (a: Task, b: Task) => a.position - b.position || a.task_id - b.task_id;

/** A place between two tasks; null when there is no whole number between them any more. */
function between(above: Task | undefined, below: Task | undefined): number | null {
  const [low, high] = [above?.position ?? 0, below?.position ?? (above?.position ?? 0) + 2 * GAP];
  const middle = Math.floor((low + high) / 2);
  return middle > low || (!above && middle >= 0 && middle < high) ? middle : null;
}

export function Board() {
  const { project, tasks, lists, letters } = useWorkspace();
  const waiting = useLetterList(letters);
  const rows = useMemo(() => laidOver(tasks ?? NONE, waiting), [tasks, waiting]);
  const isPending = (task: Task) => waiting.some((l) => l.kind === 'change' && l.taskId === task.task_id && l.refusal === undefined);
  const [dragged, setDragged] = useState<Task | null>(null);
  const [opened, setOpened] = useState<number | null>(null);
  const isEditable = canEdit(project.role);
  const sensors = useSensors(
    // Not the pointer's: it would take a finger before the touch sensor can, and lose it to scrolling.
    useSensor(MouseSensor, { activationConstraint: { distance: 4 } }),
    useSensor(TouchSensor, { activationConstraint: { delay: 200, tolerance: 6 } }),
    useSensor(KeyboardSensor, { coordinateGetter: sortableKeyboardCoordinates, keyboardCodes: { start: ['Space'], end: ['Space'], cancel: ['Escape'] } }),
  );
  const columnOf = (status: TaskStatus) => rows.filter((t) => t.status === status).sort(byPosition);

  /** `was`: what the person saw, if that is not what there is now. */
  const edit = (task: Task, patch: TaskChange, was: TaskChange = Object.fromEntries(Object.keys(patch).map((name) => [name, task[name as keyof TaskChange]]))) =>
    letters.post({ kind: 'change', taskId: task.task_id, body: patch, was });

  const drop = ({ active, over }: DragEndEvent) => {
    setDragged(null);
    const task = rows.find((t) => t.task_id === active.id);
    if (!task || !over || over.id === active.id) return;
    const onto = rows.find((t) => t.task_id === over.id);
    const status = onto?.status ?? (over.id as TaskStatus);
    const before = columnOf(status);
    const from = before.findIndex((t) => t.task_id === task.task_id);
    const column = before.filter((t) => t.task_id !== task.task_id);
    const place = onto ? column.findIndex((t) => t.task_id === onto.task_id) + (from >= 0 && from <= before.indexOf(onto) ? 1 : 0) : column.length;
    let position = between(column[place - 1], column[place]);
    if (position === null) {
      // No number is left between the two: the column is numbered anew.
      column.forEach((t, i) => edit(t, { position: (i < place ? i + 1 : i + 2) * GAP }));
      position = (place + 1) * GAP;
    }
    edit(task, { ...(status !== task.status && { status }), position });
  };

  // What a screen reader is told: titles and columns, not numbers.
  const titleOf = (id: unknown) => `“${rows.find((t) => t.task_id === id)?.title ?? ''}”`;
  const placeOf = (over: { id: unknown }) => COLUMNS.find((c) => c.id === (rows.find((t) => t.task_id === over.id)?.status ?? over.id))?.title;
  const announcements: Announcements = {
    onDragStart: ({ active }) => `Picked up ${titleOf(active.id)}.`,
    onDragOver: ({ active, over }) => `${titleOf(active.id)} is over ${over ? placeOf(over) : 'no column'}.`,
    onDragEnd: ({ active, over }) => (over ? `${titleOf(active.id)} was put into ${placeOf(over)}.` : `${titleOf(active.id)} was put back.`),
    onDragCancel: ({ active }) => `${titleOf(active.id)} was put back.`,
  };

  const add = (title: string) => letters.post({ kind: 'task', body: { title } });
  const shown = rows.find((t) => t.task_id === opened);

  if (lists.tasks.isError) return <NotRead what="The tasks" onAgain={() => void lists.tasks.reload()} />;
  if (!tasks) return <div className="board">{COLUMNS.map((c) => <Skeleton key={c.id} height={240} />)}</div>;
  return (
    <section className="tab" aria-label="Tasks">
      {waiting.filter((l) => l.kind !== 'comment' && l.refusal !== undefined).map((l) => (
        <Refused key={l.key} letter={l} />
      ))}
      <DndContext sensors={sensors} accessibility={{ announcements, screenReaderInstructions: INSTRUCTIONS }} collisionDetection={closestCorners} onDragStart={(e: DragStartEvent) => setDragged(rows.find((t) => t.task_id === e.active.id) ?? null)} onDragCancel={() => setDragged(null)} onDragEnd={drop}>
        <div className="board">
          {COLUMNS.map((c) => (
            <BoardColumn key={c.id} id={c.id} title={c.title} tasks={columnOf(c.id)} isEditable={isEditable} isPending={isPending} onOpen={setOpened} fresh={c.id === 'todo' ? waiting.filter(isFresh) : NONE_FRESH} onAdd={c.id === 'todo' && isEditable ? add : undefined} />
          ))}
        </div>
        <DragOverlay>{dragged && <Card task={dragged} />}</DragOverlay>
      </DndContext>
      {shown && <TaskDialog key={shown.task_id} task={shown} isEditable={isEditable} onEdit={(patch, was) => edit(shown, patch, was)} onClose={() => setOpened(null)} />}
    </section>
  );
}

type FreshTask = Extract<Letter, { kind: 'task' }>;
const isFresh = (l: Letter): l is FreshTask => l.kind === 'task' && l.refusal === undefined;
const NONE_FRESH: readonly FreshTask[] = [];

interface ColumnProps {
  id: TaskStatus;
  title: string;
  tasks: Task[];
  isEditable: boolean;
  isPending(task: Task): boolean;
  onOpen(id: number): void;
  /** New ones that are on their way. */
  fresh: readonly FreshTask[];
  onAdd?: (title: string) => void;
}

function BoardColumn({ id, title, tasks, isEditable, isPending, onOpen, fresh, onAdd }: ColumnProps) {
  const { setNodeRef, isOver } = useDroppable({ id });
  const [text, setText] = useState('');
  return (
    <div className={`board-column${isOver ? ' over' : ''}`} ref={setNodeRef} data-status={id}>
      <h2>
        {title} <span className="quiet">{tasks.length}</span>
      </h2>
      <SortableContext items={tasks.map((t) => t.task_id)} strategy={verticalListSortingStrategy}>
        <ul aria-label={title}>
          {tasks.map((t) => (
            <SortableCard key={t.task_id} task={t} isEditable={isEditable} isPending={isPending(t)} onOpen={() => onOpen(t.task_id)} />
          ))}
          {fresh.map((l) => (
            <li key={l.key} className="pending" data-waiting={l.key}>
              <div className="card">
                <Text size="sm">{l.body.title}</Text>
                <Text size="xs" c="dimmed" mt={6}>
                  waiting to be sent
                </Text>
              </div>
            </li>
          ))}
        </ul>
      </SortableContext>
      {onAdd && (
        <TextInput size="xs" placeholder="New task, then Enter" aria-label="New task" leftSection={<IconPlus size={14} />} value={text} onChange={(e) => setText(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key !== 'Enter' || !text.trim()) return;
            onAdd(text.trim());
            setText('');
          }} />
      )}
    </div>
  );
}

function SortableCard({ task, isEditable, isPending, onOpen }: { task: Task; isEditable: boolean; isPending: boolean; onOpen(): void }) {
  const { attributes, listeners, setNodeRef, transform, transition, isDragging } = useSortable({ id: task.task_id, disabled: !isEditable });
  const style = { transform: transform ? `translate3d(${transform.x}px, ${transform.y}px, 0)` : undefined, transition };
  return (
    <li ref={setNodeRef} style={style} className={isDragging ? 'dragging' : isPending ? 'pending' : ''} data-task={task.task_id}>
      <div {...attributes} {...listeners} className="card-handle" onClick={onOpen} onKeyDown={(e) => (e.key === 'Enter' ? onOpen() : listeners?.onKeyDown?.(e))}>
        <Card task={task} isWaiting={isPending} />
      </div>
    </li>
  );
}

function Card({ task, isWaiting = false }: { task: Task; isWaiting?: boolean }) {
  const { people, comments } = useWorkspace();
  const { status } = useConnection();
  const said = comments?.filter((c) => c.task_id === task.task_id).length ?? 0;
  return (
    <div className="card">
      <Text size="sm">{task.title}</Text>
      <Group gap={6} mt={6}>
        {task.due_date && (
          <Badge size="sm" variant="light" color="gray">
            {new Date(`${task.due_date}T00:00`).toLocaleDateString(undefined, { day: 'numeric', month: 'short' })}
          </Badge>
        )}
        {isWaiting && status !== 'connected' && (
          <Text size="xs" c="dimmed">
            waiting to be sent
          </Text>
        )}
        {said > 0 && (
          <Text size="xs" c="dimmed">
            {said} comment{said > 1 ? 's' : ''}
          </Text>
        )}
        <span className="grow" />
        {task.assignee_id && <Face userId={task.assignee_id} people={people} size={22} title={people.nameOf(task.assignee_id)} />}
      </Group>
    </div>
  );
}

function TaskDialog({ task, isEditable, onEdit, onClose }: { task: Task; isEditable: boolean; onEdit(patch: TaskChange, was?: TaskChange): void; onClose(): void }) {
  const { people } = useWorkspace();
  const title = useDraft(task.title, (text, base) => text.trim() && text.trim() !== base && onEdit({ title: text.trim() }, { title: base }));
  const description = useDraft(task.description, (text, base) => onEdit({ description: text }, { description: base }));
  const due = useDraft(task.due_date ?? '', (text, base) => onEdit({ due_date: text || null }, { due_date: base || null }));
  return (
    <Modal opened onClose={onClose} title={`Task ${task.task_id}`} size="lg">
      <Stack>
        <TextInput label="Title" readOnly={!isEditable} {...title} />
        <Group grow>
          <Select label="Assignee" readOnly={!isEditable} clearable searchable value={task.assignee_id} data={people.list.map((p) => ({ value: p.user_id, label: p.name }))} onChange={(assignee_id) => onEdit({ assignee_id })} />
          <Select label="Status" readOnly={!isEditable} allowDeselect={false} value={task.status} data={COLUMNS.map((c) => ({ value: c.id, label: c.title }))} onChange={(status) => status && onEdit({ status: status as TaskStatus })} />
          <TextInput label="Due" type="date" readOnly={!isEditable} {...due} />
        </Group>
        <Textarea label="Description" autosize minRows={2} readOnly={!isEditable} {...description} />
        <Comments target={{ task_id: task.task_id }} />
        <Group justify="flex-end">
          <Button onClick={onClose}>Done</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
