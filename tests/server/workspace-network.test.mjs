// The workspace when the network, the server, a token or a script is not there: nothing that was typed is lost.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Server, startServer } from './lib/harness.mjs';
import { until } from './lib/queue.mjs';
import { openSite, PAGE, Person, PROJECT, skip } from './lib/workspace.mjs';

const site = openSite();
const { person, patch, itemOf } = site;

describe('when the network fails', { skip }, () => {
  const state = (p, name) => p.page.locator(`.pill[data-state="${name}"]`);

  it('offline edits are kept and arrive; what was missed comes once; the pill says all of it', async () => {
    const [anna, ben] = [await person('anna'), await person('ben')];
    await anna.context.setOffline(true);
    await state(anna, 'offline').waitFor();
    await anna.type('item-0106', 'qty', '41');
    await anna.type('item-0107', 'qty', '42');
    await anna.page.getByText('Offline, 2 edits kept').waitFor();
    await anna.shot('offline');
    await ben.type('item-0109', 'qty', '51');
    await ben.type('item-0107', 'qty', '52');
    await ben.live();
    await anna.context.setOffline(false);
    await anna.page.getByText(/Caught up: \d+ change/).waitFor();
    await anna.shot('caught-up');
    await ben.sees('item-0106', 'qty', '41');
    await anna.sees('item-0109', 'qty', '51');
    // Both had changed this one.
    await anna.page.getByRole('alertdialog').getByText('Ben Okafor changed this, too').waitFor();
    await anna.page.getByRole('button', { name: 'Mine: 42' }).click();
    await ben.sees('item-0107', 'qty', '42');
    await anna.live();
    const events = (await site.server.api('GET', `/api/projects/${PROJECT}/events?after=0&limit=1000`, { as: 'anna' })).json.items;
    assert.equal(events.filter((e) => e.type === 'boq:item:updated' && e.data.item_id === 'item-0106').length, 1);
    await anna.close();
    await ben.close();
  });

  it('comments and tasks of a time without a network are kept, said to wait, and come once', async () => {
    const [anna, ben] = [await person('anna', { tab: 'tasks' }), await person('ben', { tab: 'tasks' })];
    const { page } = anna;
    const card = page.locator('[data-status="done"] li[data-task]').first();
    await card.waitFor();
    const [id, title] = [await card.getAttribute('data-task'), await card.locator('.card p').first().textContent()];
    await anna.context.setOffline(true);
    await state(anna, 'offline').waitFor();
    await page.getByLabel('New task').fill('Thought of underground');
    await page.keyboard.press('Enter');
    await page.locator('[data-waiting]', { hasText: 'Thought of underground' }).getByText('waiting to be sent').waitFor();
    await card.locator('.card-handle').click();
    await page.getByRole('textbox', { name: 'Status' }).click();
    await page.getByRole('option', { name: 'Blocked' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('textbox', { name: 'Comment' }).fill('Written underground');
    await dialog.getByRole('button', { name: 'Send' }).click();
    await dialog.locator('.comment.waiting', { hasText: 'Written underground' }).getByText('waiting to be sent').waitFor();
    await anna.shot('comment-waiting');
    await anna.accessibility();
    await dialog.getByRole('button', { name: 'Done' }).click();
    await page.locator(`[data-status="blocked"] li[data-task="${id}"]`).getByText('waiting to be sent').waitFor();
    await page.getByText('Offline, 3 edits kept').waitFor();
    await anna.shot('board-offline');
    await anna.context.setOffline(false);
    await ben.page.locator(`[data-status="blocked"] li[data-task="${id}"]`, { hasText: title }).waitFor();
    await ben.page.locator('[data-status="todo"] li[data-task]', { hasText: 'Thought of underground' }).waitFor();
    await ben.page.getByRole('link', { name: 'Comments' }).click();
    await ben.page.locator('.comment', { hasText: 'Written underground' }).waitFor();
    await page.waitForFunction(() => document.querySelectorAll('[data-waiting], li.pending').length === 0);
    await anna.live();
    const events = (await site.server.history(PROJECT)).map((e) => [e.type, e.data]);
    const n = (what) => events.filter(what).length;
    assert.deepEqual(
      [n(([t, d]) => t === 'task:created' && d.task.title === 'Thought of underground'), n(([t, d]) => t === 'comment:created' && d.comment.text === 'Written underground'), n(([t, d]) => t === 'task:updated' && String(d.task_id) === id && d.updates.status === 'blocked')],
      [1, 1, 1],
      'each once',
    );
    await anna.close();
    await ben.close();
  });

  it('a comment is kept while the page is closed; one that is refused says why and is not lost', async () => {
    const anna = await person('anna', { tab: 'comments' });
    const { page } = anna;
    await anna.context.route('**/api/**', (route) => (route.request().method() === 'POST' ? route.abort() : route.continue()));
    await page.getByRole('textbox', { name: 'Comment' }).fill('Kept overnight');
    await page.keyboard.press('Control+Enter');
    await page.locator('.comment.waiting', { hasText: 'Kept overnight' }).waitFor();
    await anna.context.unroute('**/api/**');
    await page.reload();
    await page.locator('.comment[data-comment]', { hasText: 'Kept overnight' }).waitFor();
    assert.equal((await site.server.history(PROJECT)).filter((e) => e.data.comment?.text === 'Kept overnight').length, 1);
    await page.getByRole('textbox', { name: 'Comment' }).fill('x'.repeat(20000));
    await page.keyboard.press('Control+Enter');
    const refused = page.locator('.refused');
    await refused.getByText(/was not saved: /).waitFor();
    await page.reload();
    await refused.getByRole('button', { name: 'OK' }).click();
    await refused.waitFor({ state: 'detached' });
    await anna.close();
  });

  it('two move one task at once: who was later without a network is told', async () => {
    const [anna, ben] = [await person('anna', { tab: 'tasks' }), await person('ben', { tab: 'tasks' })];
    const card = anna.page.locator('[data-status="in_progress"] li[data-task]').first();
    await card.waitFor();
    const [id, title] = [await card.getAttribute('data-task'), await card.locator('.card p').first().textContent()];
    await anna.context.setOffline(true);
    await state(anna, 'offline').waitFor();
    const move = async (p, to) => {
      await p.page.locator(`li[data-task="${id}"] .card-handle`).click();
      await p.page.getByRole('textbox', { name: 'Status' }).click();
      await p.page.getByRole('option', { name: to, exact: true }).click();
      await p.page.getByRole('button', { name: 'Done', exact: true }).click();
    };
    await move(anna, 'To do');
    await move(ben, 'Done');
    await ben.live();
    await anna.context.setOffline(false);
    await anna.page.locator('.refused').getByText(`A change of “${title}” was not saved: Ben Okafor has changed “${title}” meanwhile: it stays as they left it`).waitFor();
    await anna.page.locator(`[data-status="done"] li[data-task="${id}"]`).waitFor();
    await anna.accessibility();
    await anna.page.locator('.refused').getByRole('button', { name: 'OK' }).click();
    await anna.close();
    await ben.close();
  });

  it('an edit that was kept goes out after the page was closed and opened again', async () => {
    const anna = await person('anna');
    // The network goes for requests alone; the page itself can be had.
    await anna.context.route('**/api/**', (route) => (route.request().method() === 'PATCH' ? route.abort() : route.continue()));
    await anna.type('item-0108', 'qty', '61');
    await anna.page.getByText('Saving 1').waitFor();
    await anna.context.unroute('**/api/**');
    await anna.page.reload();
    await anna.live();
    await anna.sees('item-0108', 'qty', '61');
    await anna.page.waitForFunction(async () => true);
    for (let n = 0; (await itemOf('item-0108')).qty !== 61 && n < 100; n++) await anna.page.evaluate(() => new Promise(requestAnimationFrame));
    assert.equal((await itemOf('item-0108')).qty, 61);
    await anna.close();
  });

  it('the server is killed and started again under the open page', async () => {
    const [anna, ben] = [await person('anna'), await person('ben')];
    const { dir, env, port } = site.server;
    // A stock client that is just moving to WebSocket when the server dies notices nothing until its heartbeat fails, 45 s later:
    // its poll has ended, and what ends the WebSocket counts as a failed upgrade.
    await until(async () => (await site.server.metric('skybuild_sessions{transport="websocket"}')) === 2, 'both have moved to WebSocket');
    site.server.child.kill('SIGKILL');
    await site.server.exited;
    await state(anna, 'waiting').waitFor();
    await anna.shot('reconnecting');
    await anna.type('item-0113', 'qty', '71');
    site.server = await new Server(dir, { ...env, PORT: port }).listening();
    await ben.sees('item-0113', 'qty', '71');
    await anna.live();
    await anna.close();
    await ben.close();
  });

  it('away for so long that what was missed is not kept: everything is read anew, one’s role, too', async () => {
    const own = await startServer({ fill: 'demo', env: { WEB_ROOT: PAGE, EVENTS_KEEP_COUNT: 5 } });
    try {
      const call = (method, target, body) => own.api(method, `/api/projects/${PROJECT}${target}`, { as: 'anna', body });
      const ben = await Person.open(site.browser, own, 'ben');
      const { page } = ben;
      await page.getByRole('button', { name: 'Import' }).waitFor();
      await ben.cell('item-0101', 'qty').waitFor();
      await ben.context.setOffline(true);
      await state(ben, 'offline').waitFor();
      assert.equal((await call('PUT', '/collaborators/ben', { role: 'viewer' })).status, 200);
      assert.equal((await call('PATCH', '/boq/item-0101', { qty: '4321' })).status, 200);
      const { seq } = (await call('GET', '')).json;
      for (let n = 0; n < 10; n++) await call('POST', '/comments', { text: `Comment ${n}` });
      await until(async () => (await call('GET', `/events?after=${seq}`)).json.oldest_seq > seq + 1, 'the older events are gone', { timeout: 15000 });
      await ben.context.setOffline(false);
      await ben.sees('item-0101', 'qty', '4,321');
      await page.getByRole('button', { name: 'Import' }).waitFor({ state: 'detached' });
      await ben.type('item-0103', 'qty', '1');
      assert.equal(await page.locator('.editor').count(), 0, 'Ben may only look now');
      await page.getByRole('link', { name: 'Comments' }).click();
      await page.getByText('Comment 9').waitFor();
      await ben.close();
    } finally {
      await own.stop();
    }
  });

  it('the token ends under the open page: sign in again, nothing is lost', async () => {
    const token = site.server.token('anna', { ttl: 600 });
    const anna = await person('anna', { token });
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
    await anna.page.clock.setSystemTime((exp - 20) * 1000);
    await anna.type('item-0114', 'qty', '81');
    const ask = anna.page.getByRole('dialog', { name: 'Your session has ended' });
    await ask.waitFor();
    await anna.sees('item-0114', 'qty', '81');
    await anna.shot('session-ended');
    await anna.accessibility();
    await ask.locator('input[type=password]').fill('demo-anna');
    await ask.getByRole('button', { name: 'Go on' }).click();
    await ask.waitFor({ state: 'detached' });
    await anna.live();
    assert.equal((await itemOf('item-0114')).qty, 81);
    await anna.close();
  });

  it('lists that cannot be read say so, and are read when one asks again; what fails in the background takes nothing away', async () => {
    const anna = await person('anna', { tab: null });
    const { page } = anna;
    const lists = /\/api\/projects\/[^/]+\/(tasks|comments|events)\?/;
    await anna.context.route(lists, (route) => route.fulfill({ status: 400, contentType: 'application/problem+json', body: '{"code":"bad_request","detail":"not today"}' }));
    await page.goto(`${site.server.url}/p/${PROJECT}/tasks`);
    for (const [tab, what, row] of [['Tasks', 'tasks', 'li[data-task]'], ['Comments', 'comments', '.comment'], ['Activity', 'activity', '.feed li']]) {
      await page.getByRole('link', { name: tab, exact: true }).click();
      const says = page.getByRole('alert').filter({ hasText: `The ${what} could not be read.` });
      await says.waitFor();
      await anna.accessibility();
      await anna.context.unroute(lists);
      await says.getByRole('button', { name: 'Try again' }).click();
      await page.locator(row).first().waitFor();
      await anna.context.route(lists, (route) => route.fulfill({ status: 400, contentType: 'application/problem+json', body: '{}' }));
    }
    await anna.context.unroute(lists);
    await page.getByRole('link', { name: 'BoQ', exact: true }).click();
    await anna.text('item-0101', 'code').waitFor();
    await anna.context.route(`**/api/projects/${PROJECT}`, (route) => route.fulfill({ status: 400, contentType: 'application/problem+json', body: '{}' }));
    const failed = page.waitForResponse((r) => r.url().endsWith(`/api/projects/${PROJECT}`) && r.status() === 400);
    const { version } = (await site.server.api('GET', `/api/projects/${PROJECT}`, { as: 'anna' })).json;
    await site.server.api('PATCH', `/api/projects/${PROJECT}`, { as: 'anna', body: { description: 'Twenty-eight floors', version } });
    await failed;
    await patch('item-0101', 'ben', { qty: '1.125' });
    await anna.sees('item-0101', 'qty', '1.125');
    await anna.close();
  });

  it('the server refuses the token: sign in again, and everything is read', async () => {
    const anna = await person('anna', { tab: null, token: site.server.token('anna', { secret: 'what-the-secret-was-until-yesterday-0000' }) });
    const { page } = anna;
    await page.goto(`${site.server.url}/p/${PROJECT}/boq`);
    const ask = page.getByRole('dialog', { name: 'Your session has ended' });
    await ask.waitFor();
    await ask.locator('input[type=password]').fill('demo-anna');
    await ask.getByRole('button', { name: 'Go on' }).click();
    await ask.waitFor({ state: 'detached' });
    await anna.text('item-0101', 'code').waitFor();
    await anna.live();
    await anna.close();
  });

  it('a tab that was never opened opens without a network: its script is there already', async () => {
    const anna = await person('anna', { tab: null });
    const { page } = anna;
    const scripts = ['Board', 'Activity', 'BulkDialog'].map((name) => page.waitForResponse(new RegExp(`/assets/${name}-`)));
    await page.goto(`${site.server.url}/p/${PROJECT}/boq`);
    await anna.text('item-0101', 'code').waitFor();
    await Promise.all(scripts.map(async (script) => (await script).finished()));
    await anna.context.setOffline(true);
    await page.getByRole('link', { name: 'Tasks' }).click();
    await page.locator('[data-status="todo"] li[data-task]').first().waitFor();
    await anna.close();
  });

  it('a tab whose script cannot be had says so; the rest of the page goes on', async () => {
    const anna = await person('anna', { tab: null });
    const { page } = anna;
    await anna.context.route('**/assets/Board-*', (route) => route.abort());
    await page.goto(`${site.server.url}/p/${PROJECT}/boq`);
    await anna.text('item-0101', 'code').waitFor();
    await page.getByRole('link', { name: 'Tasks' }).click();
    const says = page.getByRole('alert').filter({ hasText: 'could not be loaded' });
    await says.waitFor();
    await anna.accessibility();
    await page.getByRole('link', { name: 'BoQ' }).click();
    await anna.text('item-0101', 'code').waitFor();
    await page.getByRole('link', { name: 'Tasks' }).click();
    await says.waitFor();
    await anna.context.unroute('**/assets/Board-*');
    await says.getByRole('button', { name: 'Load again' }).click();
    await page.locator('[data-status="todo"] li[data-task]').first().waitFor();
    anna.complaints = anna.complaints.filter((c) => !/dynamically imported module/.test(c)); // React tells what the boundary has caught
    await anna.close();
  });

  it('over long-polling alone', async () => {
    const [anna, ben] = [await person('anna', { init: () => delete window.WebSocket }), await person('ben')];
    await ben.type('item-0115', 'qty', '91');
    await anna.sees('item-0115', 'qty', '91');
    await anna.type('item-0116', 'qty', '92');
    await ben.sees('item-0116', 'qty', '92');
    await anna.close();
    await ben.close();
  });
});
