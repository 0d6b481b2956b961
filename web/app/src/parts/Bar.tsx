// Bar.tsx -- the line at the top of every page: where one is, who else is here, what is new.
import { ActionIcon, Avatar, Group, Indicator, Menu, ScrollArea, Text, Tooltip, UnstyledButton, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { type Member, type Notification, useMembers, useNotifications } from '@skybuild/realtime-react';
import { IconBell, IconMoon, IconSun } from './icons';
import type { ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import { initialsOf, type People, when } from '../lib/people';
import type { Presence } from '../lib/presence';
import { signOut, useSession } from '../lib/session';
import { Face } from './Face';

const FACES = 4;

export function Bar({ children, right }: { children?: ReactNode; right?: ReactNode }) {
  return (
    <div className="bar" role="navigation" aria-label="Workspace">
      <Link href="/" className="home" aria-label="Projects">
        <img src="/icon.svg" alt="" width={24} height={24} />
      </Link>
      {children}
      <span className="grow" />
      {right}
      <Bell />
      <Theme />
      <Me />
    </div>
  );
}

export function Theme() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const other = scheme === 'dark' ? 'light' : 'dark';
  return (
    <ActionIcon variant="subtle" color="gray" size="lg" aria-label={`Use ${other} colours`} onClick={() => setColorScheme(other)}>
      {scheme === 'dark' ? <IconSun size={18} /> : <IconMoon size={18} />}
    </ActionIcon>
  );
}

function Me() {
  const { session } = useSession();
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <UnstyledButton className="me">
          <Avatar size={28} radius="xl" color="gray" aria-hidden="true">
            {initialsOf(session?.userId ?? '')}
          </Avatar>
          <span className="visually-hidden">Your account</span>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{session?.userId}</Menu.Label>
        <Menu.Item component="a" href="/docs">
          API
        </Menu.Item>
        <Menu.Item component="a" href="/docs/events">
          Events
        </Menu.Item>
        <Menu.Item component="a" href="/ops">
          Operations
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item onClick={signOut}>Sign out</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function Bell() {
  const [, navigate] = useLocation();
  const { items, unread, markRead, markAllRead } = useNotifications({
    onNew: (n) => notifications.show({ id: `n-${n.id}`, message: n.data.message ?? n.data.kind ?? 'Something new', autoClose: 6000 }),
  });
  const open = (n: Notification) => {
    void markRead(n.id).catch(() => {});
    if (n.data.project_id) navigate(`/p/${n.data.project_id}/${n.data.kind === 'task_assigned' || n.data.task_id ? 'tasks' : n.data.item_id ? 'boq' : 'comments'}`);
  };
  return (
    <Menu position="bottom-end" width={340}>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label={`Notifications, ${unread} unread`}>
          <Indicator label={unread} size={16} disabled={unread === 0} color="red.8">
            <IconBell size={18} />
          </Indicator>
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <ScrollArea.Autosize mah={360}>
          {items.length === 0 && <Menu.Label>Nothing new</Menu.Label>}
          {items.map((n) => (
            <Menu.Item key={n.id} onClick={() => open(n)} className={n.read_at ? 'read' : 'unread'}>
              <Text size="sm">{n.data.message ?? n.data.kind}</Text>
              <Text size="xs" c="dimmed">
                {when(n.created_at)}
              </Text>
            </Menu.Item>
          ))}
        </ScrollArea.Autosize>
        {unread > 0 && (
          <>
            <Menu.Divider />
            <Menu.Item onClick={() => void markAllRead().catch(() => {})}>All read</Menu.Item>
          </>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}

interface HereProps {
  people: People;
  following: string | null;
  onFollow(userId: string | null): void;
}

/** The others in the project; a click follows somebody's selection, another one ends that. */
export function Here({ people, following, onFollow }: HereProps) {
  const { others } = useMembers<Presence>();
  const say = (o: Member<Presence>) => `${o.name}${o.presence?.idle ? ' is idle' : ''}. ${following === o.userId ? 'Following; click to stop.' : 'Click to follow.'}`;
  const rest = others.slice(FACES);
  return (
    <Group gap={0} className="here" role="group" aria-label="Here now">
      {others.slice(0, FACES).map((o) => (
        <Tooltip key={o.userId} label={say(o)}>
          <UnstyledButton className={`face${o.presence?.idle ? ' idle' : ''}${following === o.userId ? ' followed' : ''}`} aria-pressed={following === o.userId} data-user={o.userId} onClick={() => onFollow(following === o.userId ? null : o.userId)}>
            <Face userId={o.userId} people={people} aria-hidden="true" />
            <span className="visually-hidden">{say(o)}</span>
          </UnstyledButton>
        </Tooltip>
      ))}
      {rest.length > 0 && (
        <Menu position="bottom-end">
          <Menu.Target>
            <UnstyledButton className="face" aria-label={`${rest.length} more`}>
              <Avatar size={28} radius="xl" aria-hidden="true">
                +{rest.length}
              </Avatar>
            </UnstyledButton>
          </Menu.Target>
          <Menu.Dropdown>
            {rest.map((o) => (
              <Menu.Item key={o.userId} fw={following === o.userId ? 600 : undefined} onClick={() => onFollow(following === o.userId ? null : o.userId)}>
                {say(o)}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
    </Group>
  );
}
