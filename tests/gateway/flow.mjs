// The whole flow of a task by Node's fetch, as a front end would write it. Run by test_flow.py with URL and TOKEN.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

const { URL: base, TOKEN: token } = process.env;

function send(method, path, { body, headers = {}, signal } = {}) {
  const json = body === undefined ? {} : { "Content-Type": "application/json" };
  return fetch(base + path, {
    method,
    signal,
    headers: { Authorization: `Bearer ${token}`, ...json, ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
}

async function ask(expected, method, path, options) {
  const response = await send(method, path, options);
  const text = await response.text();
  assert.equal(response.status, expected, `${method} ${path}: ${text}`);
  return { headers: response.headers, body: text === "" ? null : JSON.parse(text) };
}

// Polls until the task's state is one of these, as often as Retry-After says, and only for versions that are new.
async function poll(path, ...states) {
  for (let etag = '"0"'; ; ) {
    const response = await send("GET", path, { headers: { "If-None-Match": etag } });
    const text = await response.text();
    if (response.status === 304) {
      assert.equal(text, "");
      assert.equal(response.headers.get("etag"), etag);
      await sleep(1000 * Number(response.headers.get("retry-after")));
      continue;
    }
    assert.equal(response.status, 200);
    etag = response.headers.get("etag");
    const task = JSON.parse(text);
    if (states.includes(task.status)) return task;
  }
}

// Reads a stream of events until one of this type has come; returns all of them.
async function read(path, until, after) {
  const stop = new AbortController();
  const response = await send("GET", `${path}/events`, {
    signal: stop.signal,
    headers: { Accept: "text/event-stream", ...(after === undefined ? {} : { "Last-Event-ID": String(after) }) },
  });
  assert.equal(response.headers.get("content-type").split(";")[0], "text/event-stream");
  const events = [];
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks.filter((each) => !each.startsWith(":"))) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
      events.push({ id: fields.id && Number(fields.id), type: fields.event, data: JSON.parse(fields.data) });
    }
    if (events.some((event) => event.type === until)) break;
  }
  stop.abort();
  return events;
}

function sample(schema) {
  if (schema.anyOf) return sample(schema.anyOf[0]);
  const made = { integer: 1, number: 1.5, string: "text", boolean: true, array: [], null: null };
  if (schema.type !== "object") return made[schema.type];
  const needed = (schema.required ?? []).map((name) => [name, sample(schema.properties[name])]);
  return Object.fromEntries(needed);
}

// An agent is found, and asked for what its schema says.
const { body: known } = await ask(200, "GET", "/agents");
const count = known.agents.find((agent) => agent.name === "count");
const counted = await ask(200, "POST", "/tasks", {
  body: { agent: "count", input: sample(count.input_schema) },
  headers: { Prefer: "wait=20" },
});
assert.equal(counted.body.result, 1);

// A task is submitted, twice with one key; it is polled until it waits, and its events are read as they come.
const request = { body: { agent: "approval", input: {} }, headers: { "Idempotency-Key": '"flow-of-node"' } };
const submitted = await ask(202, "POST", "/tasks", request);
const again = await ask(202, "POST", "/tasks", request);
assert.equal(again.body.id, submitted.body.id);
const path = submitted.headers.get("location");
assert.equal(submitted.headers.get("retry-after"), "1");
await poll(path, "waiting");
const before = await read(path, "waiting");

// It is found among those that wait, and signalled; then its result is there, and the events go on without a gap.
const { body: waiting } = await ask(200, "GET", "/waiting?kind=signal&agent=approval");
assert.ok(waiting.tasks.some((task) => task.id === submitted.body.id));
const signal = { body: { payload: { ok: true }, signal_id: "one" } };
assert.equal((await ask(200, "POST", `${path}/signals/approval`, signal)).body.delivered, true);
const result = await ask(200, "GET", `${path}/result`, { headers: { Prefer: "wait=20" } });
assert.deepEqual(result.body, { draft: "a draft", ok: true, by: "ana" });
await ask(200, "POST", `${path}/signals/approval`, signal);
const after = await read(path, "end", before.at(-1).id);
assert.equal(after.at(-1).id, undefined);
const ids = [...before, ...after.slice(0, -1)].map((event) => event.id);
assert.deepEqual(ids, ids.map((_, place) => place + 1));
assert.equal(after.at(-2).type, "finished");
assert.ok((await ask(200, "POST", `${path}/acknowledge`)).body.acknowledged_at);

// A tree is cancelled as a whole.
const family = { agent: "foreman", input: { family: [{ agent: "approval" }, { agent: "approval" }] } };
const root = (await ask(202, "POST", "/tasks", { body: family })).headers.get("location");
await poll(root, "waiting");
assert.equal((await ask(200, "POST", `${root}/cancel`, { body: { reason: "enough" } })).body.status, "cancelled");
const { body: tree } = await ask(200, "GET", `${root}/tree`);
assert.deepEqual(tree.children.map((child) => child.snapshot.status), ["cancelled", "cancelled"]);
assert.equal((await ask(200, "GET", `${root}/children`)).body.tasks.length, 2);

// A task that failed is told with its error, and resumed.
const failing = await ask(202, "POST", "/tasks", { body: { agent: "fails", input: {} } });
const failed = await ask(424, "GET", `${failing.headers.get("location")}/result`, { headers: { Prefer: "wait=20" } });
assert.equal(failed.headers.get("content-type"), "application/problem+json");
assert.equal(failed.body.error.type, "step_failed");
const resumed = await ask(202, "POST", `${failing.headers.get("location")}/resume`, { body: { budget: { steps: 9 } } });
assert.equal(resumed.body.resumed_from, failing.body.id);
assert.equal(resumed.body.budget.limit.steps, 9);
await poll(resumed.headers.get("location"), "failed");

// A schedule is made, changed, looked at and forgotten.
const schedule = { agent: "count", input: { to: 1 }, cron: "0 6 * * 1-5", timezone: "Europe/Berlin" };
await ask(200, "PUT", "/schedules/by-node", { body: schedule });
const changed = await ask(200, "PUT", "/schedules/by-node", { body: { ...schedule, cron: "0 7 * * *" } });
assert.deepEqual((await ask(200, "GET", "/schedules/by-node")).body, changed.body);
assert.ok((await ask(200, "GET", "/schedules")).body.schedules.some((each) => each.name === "by-node"));
await ask(204, "DELETE", "/schedules/by-node");
await ask(404, "GET", "/schedules/by-node");

console.log(JSON.stringify({ events: ids.length }));
