// Comments.tsx -- what was said about one thing, and a box to say something: with @mentions, and
// with who is typing below it.
import { ActionIcon, Button, Combobox, Group, Menu, ScrollArea, Skeleton, Stack, Text, Textarea, useCombobox } from '@mantine/core';
import { useTyping } from '@skybuild/realtime-react';
import { IconTrash } from './icons';
import { useEffect, useRef, useState } from 'react';
import { canComment, canEdit, type Comment, pathOf } from '../lib/api';
import { firstName, namesInShort, type People, when } from '../lib/people';
import { Face } from './Face';
import { useTopic } from '../boq/useBoq';
import type { Letter } from '../lib/letters';
import { useRequest } from '../lib/useRequest';
import { NotRead } from './NotRead';
import { Refused } from './Refused';
import { useLetterList } from './useLetters';
import { useWorkspace } from './workspace';

export type Target = { item_id?: string; task_id?: number };

const NEAR_PX = 40; // that is the end, too

type OwnComment = Extract<Letter, { kind: 'comment' }>;
const isAbout = (c: Pick<Partial<Comment>, 'item_id' | 'task_id'>, t: Target) => (t.item_id !== undefined ? c.item_id === t.item_id : t.task_id !== undefined ? c.task_id === t.task_id : !c.item_id && !c.task_id);

export function Comments({ target, all = false }: { target: Target; all?: boolean }) {
  const { project, comments, lists, people, userId, boq, tasks, letters } = useWorkspace();
  const request = useRequest();
  useTopic(boq, 'texts'); // what they are about has a name
  const [error, setError] = useState('');
  const end = useRef<HTMLDivElement>(null);
  const view = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true); // whoever reads old ones stays there
  const sent = useRef(0);
  const list = comments?.filter((c) => all || isAbout(c, target)).sort((a, b) => a.comment_id - b.comment_id);
  const own = useLetterList(letters).filter((l): l is OwnComment => l.kind === 'comment' && (all || isAbout(l.body, target)));
  const waiting = own.filter((l) => l.refusal === undefined);
  useEffect(() => {
    const isOwn = own.length > sent.current;
    sent.current = own.length;
    if (isAtEnd.current || isOwn) end.current?.scrollIntoView({ block: 'nearest' }); // gives a promise in some browsers, which is no clean-up
  }, [list?.length, own.length]);

  const about = (c: Comment) => {
    if (c.item_id) {
      const item = boq.items.get(c.item_id);
      return item ? `${item.code} ${item.description}` : c.item_id;
    }
    return c.task_id ? (tasks?.find((t) => t.task_id === c.task_id)?.title ?? `task ${c.task_id}`) : '';
  };
  const remove = (c: Comment) => {
    setError('');
    return request('DELETE', `${pathOf(project.project_id)}/comments/${c.comment_id}`).catch((e: Error) => setError(e.message));
  };

  return (
    <Stack gap="sm" className="comments">
      <ScrollArea className="comment-list" viewportRef={view} onScrollPositionChange={({ y }) => (isAtEnd.current = y + view.current!.clientHeight > view.current!.scrollHeight - NEAR_PX)} tabIndex={0} aria-label="Comments" role="log">
        {!list && (lists.comments.isError ? <NotRead what="The comments" onAgain={() => void lists.comments.reload()} /> : <Skeleton height={48} />)}
        {list?.length === 0 && waiting.length === 0 && (
          <Text size="sm" c="dimmed">
            Nothing has been said yet.
          </Text>
        )}
        {list?.map((c) => (
          <Group key={c.comment_id} align="flex-start" wrap="nowrap" gap="sm" className="comment" data-comment={c.comment_id}>
            <Face userId={c.author_id} people={people} />
            <div className="grow">
              <Text size="sm" fw={600}>
                {people.nameOf(c.author_id)}{' '}
                <Text span size="xs" c="dimmed">
                  {when(c.created_at)}
                  {all && about(c) ? ` · ${about(c)}` : ''}
                </Text>
              </Text>
              <Text size="sm" className="comment-text">
                <Mentions text={c.text} people={people} />
              </Text>
            </div>
            {(c.author_id === userId || canEdit(project.role)) && (
              <Menu position="bottom-end">
                <Menu.Target>
                  <ActionIcon variant="subtle" color="gray" size="sm" aria-label="Delete the comment">
                    <IconTrash size={14} />
                  </ActionIcon>
                </Menu.Target>
                <Menu.Dropdown>
                  <Menu.Item c="var(--bad)" onClick={() => void remove(c)}>
                    Delete it for everybody
                  </Menu.Item>
                </Menu.Dropdown>
              </Menu>
            )}
          </Group>
        ))}
        {waiting.map((l) => (
          <Group key={l.key} align="flex-start" wrap="nowrap" gap="sm" className="comment waiting" data-waiting={l.key}>
            <Face userId={userId} people={people} />
            <div className="grow">
              <Text size="sm" fw={600}>
                {people.nameOf(userId)}{' '}
                <Text span size="xs" c="dimmed">
                  waiting to be sent
                </Text>
              </Text>
              <Text size="sm" className="comment-text">
                <Mentions text={l.body.text} people={people} />
              </Text>
            </div>
          </Group>
        ))}
        <div ref={end} />
      </ScrollArea>
      {own.map((l) => l.refusal !== undefined && <Refused key={l.key} letter={l} />)}
      {canComment(project.role) && <CommentBox target={target} />}
      {error && (
        <Text size="xs" c="var(--bad)" role="alert">
          {error}
        </Text>
      )}
    </Stack>
  );
}

/** Text with the names of those it mentions set off. */
function Mentions({ text, people }: { text: string; people: People }) {
  const ids = new Set(people.list.map((p) => p.user_id));
  return text.split(/(?<![\p{L}\p{N}_])(@[\p{L}\p{N}_|+:.@-]+)/u).map((part, i) => {
    const id = part.slice(1).replace(/[.:-]+$/, '');
    if (!part.startsWith('@') || !ids.has(id)) return part;
    return (
      <span key={i}>
        <b className="mention" title={people.nameOf(id)}>
          @{id}
        </b>
        {part.slice(1 + id.length)}
      </span>
    );
  });
}

function CommentBox({ target }: { target: Target }) {
  const { people, userId, letters } = useWorkspace();
  const { typing, start, stop } = useTyping({ comment: target });
  const [text, setText] = useState('');
  const box = useRef<HTMLTextAreaElement>(null);
  const combobox = useCombobox({ onDropdownOpen: () => combobox.selectFirstOption() });
  const asked = /(?:^|[^\p{L}\p{N}_])@([\p{L}\p{N}_.-]*)$/u.exec(text.slice(0, box.current?.selectionStart ?? text.length))?.[1];
  const found = asked === undefined ? [] : people.list.filter((p) => p.user_id !== userId && `${p.user_id} ${p.name}`.toLowerCase().includes(asked.toLowerCase())).slice(0, 6);

  useEffect(() => {
    if (found.length) {
      combobox.openDropdown();
      combobox.selectFirstOption();
    } else combobox.closeDropdown();
  }, [asked, found.length]);

  const mention = (id: string) => {
    const at = box.current?.selectionStart ?? text.length;
    const before = text.slice(0, at).replace(/@[\p{L}\p{N}_.-]*$/u, `@${id} `);
    setText(before + text.slice(at));
    combobox.closeDropdown();
    box.current?.focus();
  };
  const send = () => {
    const body = text.trim();
    if (!body) return;
    letters.post({ kind: 'comment', body: { text: body, ...target } });
    setText('');
    stop();
  };

  return (
    <div>
      <Combobox store={combobox} onOptionSubmit={mention} withinPortal position="top-start">
        <Combobox.DropdownTarget>
          <div />
        </Combobox.DropdownTarget>
        <Combobox.EventsTarget>
          <Textarea
            ref={box}
            autosize
            minRows={2}
            maxRows={8}
            aria-label="Comment"
            placeholder="Write a comment. @ mentions somebody."
            value={text}
            onChange={(e) => {
              setText(e.currentTarget.value);
              start();
            }}
            onBlur={stop}
            onKeyDown={(e) => {
              if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) send();
            }}
          />
        </Combobox.EventsTarget>
        <Combobox.Dropdown hidden={found.length === 0}>
          <Combobox.Options aria-label="People">
            {found.map((p) => (
              <Combobox.Option key={p.user_id} value={p.user_id}>
                {p.name} <span className="handle">@{p.user_id}</span>
              </Combobox.Option>
            ))}
          </Combobox.Options>
        </Combobox.Dropdown>
      </Combobox>
      <Group justify="space-between" mt={4} wrap="nowrap">
        <Text size="xs" c="dimmed" className="typing" aria-live="polite">
          {typing.length > 0 && `${namesInShort(typing.map((t) => firstName(t.name)))} ${typing.length > 1 ? 'are' : 'is'} typing…`}
        </Text>
        <Button size="xs" disabled={!text.trim()} onClick={send}>
          Send
        </Button>
      </Group>
    </div>
  );
}
