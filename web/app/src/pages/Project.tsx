// Project.tsx -- a project: its header, its four tabs, and what they share.
import { Button, Menu, Skeleton, Text, UnstyledButton } from '@mantine/core';
import { useIdle } from '@mantine/hooks';
import { type Member, ProjectProvider, useEvent, useMyPresence, useOthers, useProject, useReload } from '@skybuild/realtime-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Suspense, useCallback, useEffect, useMemo, useState } from 'react';
import { Link, Redirect, useLocation } from 'wouter';
import { BoqTab } from '../boq/BoqTab';
import { type Boq, BoqFeed, useBoq, useEdits } from '../boq/useBoq';
import { type Collaborator, listAll, pathOf, type ProjectRow, readOne } from '../lib/api';
import { lazily } from '../lib/lazily';
import type { Letters } from '../lib/letters';
import { firstName, peopleOf } from '../lib/people';
import { type CellRef, type Presence, type Tab, TABS } from '../lib/presence';
import { useRequest } from '../lib/useRequest';
import { Bar, Here } from '../parts/Bar';
import { Boundary } from '../parts/Boundary';
import { Pill } from '../parts/Pill';
import { useLetterList, useLetters } from '../parts/useLetters';
import { useComments, useTasks } from '../parts/useLists';
import { WorkspaceContext, type Workspace } from '../parts/workspace';

const Board = lazily(() => import('../parts/Board').then((m) => m.Board));
const Comments = lazily(() => import('../parts/Comments').then((m) => m.Comments));
const Activity = lazily(() => import('../parts/Activity').then((m) => m.Activity));
const IDLE_MS = 60_000;

export function Project({ id, tab, userId }: { id: string; tab: string; userId: string }) {
  const request = useRequest();
  // Its number is read before the lists are, so nothing falls between them and the live events.
  const { data, error, refetch } = useQuery({ queryKey: ['project', id], queryFn: () => readOne<ProjectRow>(request, pathOf(id)), staleTime: Infinity });
  if (!TABS.some((t) => t.id === tab)) return <Redirect to={`/p/${id}/boq`} replace />;
  if (error && !data)
    return (
      <div className="shell">
        <Bar />
        <main className="page notice">
          <Text>{error.message}</Text>
          <Button size="xs" onClick={() => void refetch()}>
            Try again
          </Button>
          <Link href="/">All projects</Link>
        </main>
      </div>
    );
  if (!data)
    return (
      <div className="shell">
        <Bar />
        <Skeleton height={24} m="md" width="auto" />
      </div>
    );
  return (
    <ProjectProvider key={id} projectId={id} initialSeq={data.seq} initialPresence={{ tab, cell: null, idle: false }}>
      <Room project={data} tab={tab as Tab} userId={userId} />
    </ProjectProvider>
  );
}

function Room({ project, tab, userId }: { project: ProjectRow; tab: Tab; userId: string }) {
  const id = project.project_id;
  const request = useRequest();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const { status } = useProject();
  // Whoever only moves about in the table is drawn there and among the faces, and nothing else anew.
  const others = useOthers<Presence, readonly Member<Presence>[]>(asMany, isSameCrowd);
  const [, update] = useMyPresence<Presence>();

  const { data: collaborators } = useQuery({ queryKey: ['people', id], queryFn: () => listAll<Collaborator>(request, `${pathOf(id)}/collaborators`), staleTime: Infinity });
  const { data: projects } = useQuery({ queryKey: ['projects'], queryFn: () => listAll<ProjectRow>(request, '/api/projects') });
  const people = useMemo(() => peopleOf(collaborators ?? [], others), [collaborators, others]);
  const boq = useBoq(id, userId);
  const tasks = useTasks(id);
  const comments = useComments(id);
  const letters = useLetters(id, userId, people, tasks, comments);
  const again = (key: string) => void queries.invalidateQueries({ queryKey: [key, id] });
  useEvent('collaborator:changed', () => (again('people'), again('project')));
  useEvent('project:updated', () => again('project'));
  useReload(() => (again('people'), again('project')));

  // ---- what the others see of us, and whom we follow ----
  const idle = useIdle(IDLE_MS, { initialState: false });
  useEffect(() => update({ idle }), [idle, update]);
  useEffect(() => update({ tab }), [tab, update]);
  const setCell = useCallback((cell: CellRef | null) => update({ cell }), [update]);
  const [following, setFollowing] = useState<string | null>(null);
  const followed = useOthers<Presence, Member<Presence> | null>((all) => all.find((o) => o.userId === following) ?? null);
  const goTo = followed?.presence?.tab;
  useEffect(() => {
    if (goTo && goTo !== tab) navigate(`/p/${id}/${goTo}`);
  }, [goTo]); // their going, not ours, is what one follows

  useEffect(() => {
    document.title = `${project.name} · SkyBuild`;
  }, [project.name]);

  const workspace = useMemo<Workspace>(() => ({ project, userId, people, boq, tasks: tasks.rows, comments: comments.rows, lists: { tasks, comments }, letters, setCell, followed }), [project, userId, people, boq, tasks, comments, letters, setCell, followed]);

  return (
    <WorkspaceContext.Provider value={workspace}>
      <div className="shell">
        <Bar right={<Here people={people} following={following} onFollow={setFollowing} />}>
          <Menu position="bottom-start">
            <Menu.Target>
              <UnstyledButton className="switch" aria-label={`Project ${project.name}: switch`}>
                {project.name} <span aria-hidden="true">▾</span>
              </UnstyledButton>
            </Menu.Target>
            <Menu.Dropdown>
              {projects?.map((p) => (
                <Menu.Item key={p.project_id} onClick={() => navigate(`/p/${p.project_id}/${tab}`)} fw={p.project_id === id ? 600 : undefined}>
                  {p.name}
                </Menu.Item>
              ))}
              <Menu.Divider />
              <Menu.Item onClick={() => navigate('/')}>All projects</Menu.Item>
            </Menu.Dropdown>
          </Menu>
          <nav className="tabs" aria-label="Parts of the project">
            {TABS.map((t) => (
              <Link key={t.id} href={`/p/${id}/${t.id}`} aria-current={t.id === tab ? 'page' : undefined}>
                {t.title}
              </Link>
            ))}
          </nav>
          <Kept boq={boq} letters={letters} />
        </Bar>
        {followed && (
          <div className="follow" style={{ '--who': people.colourOf(followed.userId) } as React.CSSProperties}>
            Following {firstName(followed.name)}
            <UnstyledButton fz="inherit" onClick={() => setFollowing(null)}>
              Stop
            </UnstyledButton>
          </div>
        )}
        <BoqFeed boq={boq} projectId={id} />
        <main className="content">
          <h1 className="visually-hidden">{project.name}</h1>
          {status === 'denied' || status === 'revoked' ? (
            <div className="notice">
              <Text>{status === 'revoked' ? 'You are not in this project any more.' : 'You have no access to this project.'}</Text>
              <Link href="/">All projects</Link>
            </div>
          ) : (
            <Boundary key={tab}>
              <Suspense fallback={<Skeleton height={240} m="md" width="auto" />}>
                {tab === 'boq' && <BoqTab />}
                {tab === 'tasks' && <Board />}
                {tab === 'comments' && (
                  <section className="tab talk" aria-label="Comments of the project">
                    <Comments target={{}} all />
                  </section>
                )}
                {tab === 'activity' && <Activity />}
              </Suspense>
            </Boundary>
          )}
        </main>
      </div>
    </WorkspaceContext.Provider>
  );
}

/** How much is on its way. */
function Kept({ boq, letters }: { boq: Boq; letters: Letters }) {
  const waiting = useLetterList(letters).filter((l) => l.refusal === undefined);
  return <Pill kept={useEdits(boq).length + waiting.length} />;
}

const asMany = (others: readonly Member<Presence>[]) => others;
const isSameCrowd = (a: readonly Member<Presence>[], b: readonly Member<Presence>[]) => a.length === b.length && a.every((m, i) => m.userId === b[i]!.userId && m.name === b[i]!.name);
