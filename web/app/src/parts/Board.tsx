// Board.tsx -- the tasks in four columns, moved by drag and drop or by keyboard.
import { closestCorners, DndContext, type DragEndEvent, DragOverlay, type DragStartEvent, KeyboardSensor, PointerSensor, TouchSensor, useDroppable, useSensor, useSensors } from '@dnd-kit/core';
import { SortableContext, sortableKeyboardCoordinates, useSortable, verticalListSortingStrategy } from '@dnd-kit/sortable';
import { Badge, Button, Group, Modal, Select, Skeleton, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { useOptimistic, useRequest } from '@skybuild/realtime-react';
import { IconPlus } from './icons';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { canEdit, pathOf, type Task, type TaskStatus } from '../lib/api';
import { Comments } from './Comments';
import { Face } from './Face';
import { useWorkspace } from './workspace';

const COLUMNS: readonly { id: TaskStatus; title: string }[] = [
  { id: 'todo', title: 'To do' },
  { id: 'in_progress', title: 'In progress' },
  { id: 'blocked', title: 'Blocked' },
  { id: 'done', title: 'Done' },
];
const GAP = 2 ** 20; // between two new tasks, as the server leaves it
const NONE: readonly Task[] = [];
const keys = { keyOf: (t: Task) => String(t.task_id), versionOf: (t: Task) => t.version };
const byPosition = (a: Task, b: Task) => a.position - b.position || a.task_id - b.task_id;

/** A place between two tasks; null when there is no whole number between them any more. */
function between(above: Task | undefined, below: Task | undefined): number | null {
  const [low, high] = [above?.position ?? 0, below?.position ?? (above?.position ?? 0) + 2 * GAP];
  const middle = Math.floor((low + high) / 2);
  return middle > low || (!above && middle >= 0 && middle < high) ? middle : null;
}

export function Board() {
  const { project, tasks, people } = useWorkspace();
  const request = useRequest();
  const queries = useQueryClient();
  const { rows, change, isPending } = useOptimistic<Task>(tasks ?? NONE, keys);
  const [dragged, setDragged] = useState<Task | null>(null);
  const [opened, setOpened] = useState<number | null>(null);
  const [error, setError] = useState('');
  const isEditable = canEdit(project.role);
  const sensors = useSensors(
    useSensor(PointerSensor, { activationConstraint: { distance: 4 } }),
    useSensor(TouchSensor, { activationConstraint: { delay: 200, tolerance: 6 } }),
    useSensor(KeyboardSensor, { coordinateGetter: sortableKeyboardCoordinates }),
  );
  const columnOf = (status: TaskStatus) => rows.filter((t) => t.status === status).sort(byPosition);
  const path = (id: number) => `${pathOf(project.project_id)}/tasks/${id}`;

  const edit = async (task: Task, patch: Partial<Task>) => {
    setError('');
    const outcome = await change(task, patch, (newest) => request<Task>('PATCH', path(task.task_id), { ...patch, version: newest.version }, { idempotencyKey: crypto.randomUUID() }));
    if (outcome.ok) queries.setQueryData<Task[]>(['tasks', project.project_id], (old) => old?.map((t) => (t.task_id === task.task_id && outcome.row.version > t.version ? outcome.row : t)));
    else setError(outcome.theirs ? `${people.nameOf(outcome.theirs.updated_by)} has just changed “${task.title}”: it stays as they left it.` : `“${task.title}” was not changed: ${outcome.error.message}`);
  };

  const drop = async ({ active, over }: DragEndEvent) => {
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
      await Promise.all(column.map((t, i) => edit(t, { position: (i < place ? i + 1 : i + 2) * GAP })));
      position = (place + 1) * GAP;
    }
    await edit(task, { ...(status !== task.status && { status }), position });
  };

  const add = async (title: string) => {
    setError('');
    await request('POST', `${pathOf(project.project_id)}/tasks`, { title }, { idempotencyKey: crypto.randomUUID() }).catch((e: Error) => setError(e.message));
  };
  const shown = rows.find((t) => t.task_id === opened);

  if (!tasks) return <div className="board">{COLUMNS.map((c) => <Skeleton key={c.id} height={240} />)}</div>;
  return (
    <section className="tab" aria-label="Tasks">
      {error && (
        <Text size="sm" c="var(--bad)" px="md" pt="xs" role="alert">
          {error}
        </Text>
      )}
      <DndContext sensors={sensors} collisionDetection={closestCorners} onDragStart={(e: DragStartEvent) => setDragged(rows.find((t) => t.task_id === e.active.id) ?? null)} onDragCancel={() => setDragged(null)} onDragEnd={(e) => void drop(e)}>
        <div className="board">
          {COLUMNS.map((c) => (
            <BoardColumn key={c.id} id={c.id} title={c.title} tasks={columnOf(c.id)} isEditable={isEditable} isPending={isPending} onOpen={setOpened} onAdd={c.id === 'todo' && isEditable ? add : undefined} />
          ))}
        </div>
        <DragOverlay>{dragged && <Card task={dragged} />}</DragOverlay>
      </DndContext>
      {shown && <TaskDialog key={shown.task_id} task={shown} isEditable={isEditable} onEdit={(patch) => void edit(shown, patch)} onClose={() => setOpened(null)} />}
    </section>
  );
}

interface ColumnProps {
  id: TaskStatus;
  title: string;
  tasks: Task[];
  isEditable: boolean;
  isPending(task: Task): boolean;
  onOpen(id: number): void;
  onAdd?: (title: string) => Promise<void>;
}

function BoardColumn({ id, title, tasks, isEditable, isPending, onOpen, onAdd }: ColumnProps) {
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
        </ul>
      </SortableContext>
      {onAdd && (
        <TextInput size="xs" placeholder="New task, then Enter" aria-label="New task" leftSection={<IconPlus size={14} />} value={text} onChange={(e) => setText(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key !== 'Enter' || !text.trim()) return;
            void onAdd(text.trim());
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
      <div {...attributes} {...listeners} className="card-handle" onClick={onOpen}>
        <Card task={task} />
      </div>
    </li>
  );
}

function Card({ task }: { task: Task }) {
  const { people, comments } = useWorkspace();
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

function TaskDialog({ task, isEditable, onEdit, onClose }: { task: Task; isEditable: boolean; onEdit(patch: Partial<Task>): void; onClose(): void }) {
  const { people } = useWorkspace();
  const [title, setTitle] = useState(task.title);
  const [description, setDescription] = useState(task.description);
  return (
    <Modal opened onClose={onClose} title={`Task ${task.task_id}`} size="lg">
      <Stack>
        <TextInput label="Title" readOnly={!isEditable} value={title} onChange={(e) => setTitle(e.currentTarget.value)} onBlur={() => title.trim() && title !== task.title && onEdit({ title: title.trim() })} />
        <Group grow>
          <Select label="Assignee" readOnly={!isEditable} clearable searchable value={task.assignee_id} data={people.list.map((p) => ({ value: p.user_id, label: p.name }))} onChange={(assignee_id) => onEdit({ assignee_id })} />
          <Select label="Status" readOnly={!isEditable} allowDeselect={false} value={task.status} data={COLUMNS.map((c) => ({ value: c.id, label: c.title }))} onChange={(status) => status && onEdit({ status: status as TaskStatus })} />
          <TextInput label="Due" type="date" readOnly={!isEditable} value={task.due_date ?? ''} onChange={(e) => onEdit({ due_date: e.currentTarget.value || null })} />
        </Group>
        <Textarea label="Description" autosize minRows={2} readOnly={!isEditable} value={description} onChange={(e) => setDescription(e.currentTarget.value)} onBlur={() => description !== task.description && onEdit({ description })} />
        <Comments target={{ task_id: task.task_id }} />
        <Group justify="flex-end">
          <Button onClick={onClose}>Done</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
